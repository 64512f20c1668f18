"""One part of a measurement: what a running system asked of Azure meanwhile."""

from __future__ import annotations

import functools
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peaks import Peak, family_megabytes
from bench.storage_log import count
from local.ingestion import EnvelopeCount
from local.lab import Lab

LEAST_SECONDS, STEP_SECONDS = 1.0, 0.1
"""Flex Consumption charges an active period with a second at the least, and by tenths of a second."""
QUIET_SECONDS, MOST_SECONDS, LOOK_SECONDS = 10.0, 7_200.0, 0.5
SAMPLE_SECONDS = 0.1
DURABLE = ("orchestrationTrigger", "activityTrigger")


class NotSettled(Exception):
    """The functions were still at work when the time was over."""


@dataclass(slots=True)
class Phase:
    """What was counted. Bytes are bytes, times seconds; `active_seconds` is by group of functions that scale together.

    `peak_mb` is the highest resident memory of the app's process and of the git below it, together.
    """

    name: str
    seconds: float = 0.0
    storage: dict[str, dict[str, int]] = field(default_factory=dict)
    executions: dict[str, int] = field(default_factory=dict)
    active_seconds: dict[str, float] = field(default_factory=dict)
    workspace_calls: dict[str, int] = field(default_factory=dict)
    workspace_refused: int = 0
    vault_operations: int = 0
    git_bytes: dict[str, int] = field(default_factory=dict)
    telemetry_items: dict[str, int] = field(default_factory=dict)
    telemetry_bytes: dict[str, int] = field(default_factory=dict)
    peak_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Meters:
    """A metered system, and what its telemetry comes to."""

    lab: Lab
    telemetry: EnvelopeCount

    def measure(self, name: str, timers: Iterable[str], quiet_seconds: float = QUIET_SECONDS) -> Phase:
        """Fire timer functions, wait until all that follows is over, and tell what it took. Raises `NotSettled`."""
        system, fired = self.lab.system, tuple(timers)
        self.lab.control("reset_stats", {})
        before, logs = self._counters(), (_size(system.storage_log), _size(system.invocations))
        with Peak(functools.partial(family_megabytes, system.host.pid), SAMPLE_SECONDS) as peak:
            for timer in fired:
                system.fire_timer(timer)
            events = self._settled(logs[1], fired, quiet_seconds)
        # What was done while all was quiet is the host's polling, and is counted with it.
        after, stats = self._counters(), self.lab.control("stats").json()
        return Phase(
            name,
            seconds=round(max(e["at"] for e in events) - min(e["at"] for e in events), 1),
            storage=_nested(count(_since(system.storage_log, logs[0]))),
            executions=dict(sorted(Counter(e["function"] for e in events if e["event"] == "end").items())),
            active_seconds=active_by_group(events),
            workspace_calls=stats["calls"],
            workspace_refused=stats["refused"],
            vault_operations=after["vault"]["calls"] - before["vault"]["calls"],
            git_bytes=_grown(before["git"], after["git"]),
            telemetry_items=_grown(before["items"], after["items"]),
            telemetry_bytes=_grown(before["bytes"], after["bytes"]),
            peak_mb=peak.megabytes,
        )

    def _counters(self) -> dict[str, Mapping[str, int]]:
        return {
            "vault": {"calls": self.lab.vault_calls()},
            "git": self.lab.git_stats()["bytes"],
            "items": dict(self.telemetry.items),
            "bytes": dict(self.telemetry.bytes),
        }

    def _settled(self, offset: int, fired: tuple[str, ...], quiet: float) -> list[dict[str, Any]]:
        """The events since then, once the fired functions have run, none runs, and none has begun for a while."""
        deadline = time.monotonic() + MOST_SECONDS
        while time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            events = [json.loads(line) for line in _since(self.lab.system.invocations, offset)]
            if is_settled(events, fired, time.time() - quiet):
                return events
        raise NotSettled(f"{fired} after {MOST_SECONDS:.0f} s")


def is_settled(events: list[dict[str, Any]], fired: Iterable[str], since: float) -> bool:
    """Whether each fired function ran, what began has ended, and nothing has happened `since`."""
    open_ones = {e["number"] for e in events if e["event"] == "begin"} - {
        e["number"] for e in events if e["event"] == "end"
    }
    seen = {e["function"] for e in events if e["event"] == "begin"}
    return set(fired) <= seen and not open_ones and max((e["at"] for e in events), default=since) < since


def active_by_group(events: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Charged seconds, had each group of functions one instance: HTTP, durable ones, and every other by itself."""
    began: dict[int, float] = {}
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        if event["event"] == "begin":
            began[event["number"]] = event["at"]
        elif event["number"] in began:
            found[_group(event)].append((began[event["number"]], event["at"]))
    return {group: charged_seconds(spans) for group, spans in sorted(found.items())}


def charged_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """The time in which at least one span was under way, each stretch rounded as it is charged."""
    stretches: list[list[float]] = []
    for first, last in sorted(spans):
        if stretches and first <= stretches[-1][1]:
            stretches[-1][1] = max(stretches[-1][1], last)
        else:
            stretches.append([first, last])
    return round(sum(_charged(last - first) for first, last in stretches), 1)


def _charged(seconds: float) -> float:
    # A billionth is taken off so that a tenth that is not exact in binary is not rounded up.
    return max(LEAST_SECONDS, math.ceil(seconds / STEP_SECONDS - 1e-9) * STEP_SECONDS)


def _group(event: Mapping[str, Any]) -> str:
    if event["trigger"] in DURABLE:
        return "durable"
    return "http" if event["trigger"] == "httpTrigger" else str(event["function"])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _since(path: Path, offset: int) -> list[str]:
    """Whole lines that were written after the first `offset` bytes."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(offset)
        whole, _, _ = file.read().rpartition(b"\n")
    return whole.decode().splitlines()


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: grown for name, value in sorted(after.items()) if (grown := value - before.get(name, 0))}


def _nested(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (service, kind), number in sorted(counts.items()):
        found.setdefault(service, {})[kind] = number
    return found
