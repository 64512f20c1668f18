"""Days of a living workspace: people work, faults and crashes happen, a backup and a verification run each day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local.faults.crash_points import CRASH_POINTS, CrashTap, play_dead
from local.faults.port_faults import Declared, Fault, FaultTap
from local.faults.taps import Call, QuietTap
from local.memory.world import World, succeeded
from shared.services.state.maintenance import Kind
from tests.faults.living import live, person_pushes

_FAULTS = (
    Declared("workspace", "export", Fault.THROTTLED, times=6),
    Declared("workspace", "list", Fault.TIMEOUT),
    Declared("repository", "push", Fault.TIMEOUT),
    Declared("blobs", "put_file", Fault.ERROR_AFTER),
    Declared("tables", "upsert", Fault.ERROR_BEFORE, nth=2),
    Declared("queue", "send", Fault.ERROR_AFTER),
)


@dataclass
class Day:
    """What one day came to; `kept` counts stored blobs and rows, `calls` those of an undisturbed run."""

    number: int
    runs: int
    disturbed: bool
    equal: bool
    proof: dict[str, Any]
    kept: Counter[str]
    calls: int


class _Counting(QuietTap):
    """Counts the calls of a run."""

    def __init__(self) -> None:
        self.calls = 0

    def before(self, call: Call) -> None:
        self.calls += 1


def days(world: World, count: int, edits: int = 8) -> Iterator[Day]:
    """Live `count` days, one after another."""
    for number in range(count):
        began = world.clock.now()
        live(world, edits)
        if world.draw.random() < 0.2 and world.remote.head:
            person_pushes(world, world.draw)
        disturbed = world.draw.random() < 0.5
        counting = _Counting()
        world.process(_trouble(world) if disturbed else counting)
        runs = 1
        run = world.back_up()
        world.process()
        while not succeeded(run) and runs < 4:
            run, runs = world.back_up(), runs + 1
        equal = world.backed_up() == world.notebooks()
        proof = world.maintain(Kind.VERIFY)
        yield Day(number, runs, disturbed, equal, proof, _kept(world), counting.calls)
        world.clock.sleep((began + timedelta(days=1) - world.clock.now()).total_seconds())


def _trouble(world: World) -> CrashTap | FaultTap:
    if world.draw.random() < 0.5:
        return CrashTap(CRASH_POINTS[world.draw.choice(sorted(CRASH_POINTS))], play_dead)
    return FaultTap(world.draw.choice(_FAULTS))


def _kept(world: World) -> Counter[str]:
    kept = Counter(name.partition("/")[0] for name in world.blobs.stored)
    kept.update(key[0] for key in world.tables.stored)
    kept["messages"] = sum(map(len, world.queues.stored.values()))
    return kept
