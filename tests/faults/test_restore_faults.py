"""Restores that die, run twice, and meet faults: each notebook is proved, or as it was."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import LONG_RESTORE_POINTS, RESTORE_POINTS, CrashTap, play_dead
from local.faults.port_faults import Declared, Fault, FaultTap
from local.memory.world import ROOT, World
from tests.faults.living import live
from tests.faults.recovering import at_once, finish, lived, outcome_of, restore, undo


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, seed=3)


@pytest.mark.parametrize("name", RESTORE_POINTS | LONG_RESTORE_POINTS)
def test_a_restore_that_dies_is_finished_by_the_next_process(world: World, name: str) -> None:
    days = lived(world, 3)
    now = world.notebooks()
    tap = CrashTap((RESTORE_POINTS | LONG_RESTORE_POINTS)[name], play_dead)
    world.process(tap)
    if name in LONG_RESTORE_POINTS:
        world.app.restores._store.row_characters = 0
    restore_id = _started_anyhow(world, days[0].commit)
    done = finish(world, restore_id)
    assert world.seen["restart"] == 1, "the process never died"
    assert done["status"] == "succeeded", [i for i in done["items"] if i["reason"]]
    assert world.notebooks() == days[0].notebooks
    assert undo(world, restore_id)["status"] == "succeeded"
    assert world.notebooks() == now


def _started_anyhow(world: World, commit: str) -> str:
    """The restore's id, though the process that took the request may have died with it."""
    body = {"folder": ROOT, "at": commit, "remove_extra": True}
    while True:
        try:
            return str(at_once(world, **body)["id"])
        except BaseException as error:
            if type(error).__name__ != "Crash":
                raise
            world.restart()
            left = world.app.restores.recent(5)
            world.clock.sleep(3_600)
            if left:
                assert left[0]["id"] in world.app.restores.abandoned()
                return str(left[0]["id"])


def test_a_restore_that_runs_twice_does_the_same(world: World) -> None:
    days = lived(world, 3)
    done = restore(world, folder=ROOT, at=days[0].commit, remove_extra=True)
    assert world.app.restores.step(done["id"])
    store = world.app.restores._store
    store.update(store.load(done["id"]), status="running", done=0, results="")
    again = finish(world, done["id"])
    assert again["status"] == "succeeded"
    assert world.notebooks() == days[0].notebooks


FAULTS = [
    Declared("workspace", method, fault, nth)
    for method in ("status", "export", "import_notebook", "make_folder", "delete_notebook", "list")
    for fault in (Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.TIMEOUT)
    for nth in (1, 3)
] + [Declared("reader", "blobs", fault) for fault in (Fault.ERROR_BEFORE, Fault.TIMEOUT, Fault.CUT_BODY)]
LATE = {("make_folder", 3), ("delete_notebook", 3)}


@pytest.mark.parametrize("declared", [f for f in FAULTS if (f.method, f.nth) not in LATE], ids=lambda d: f"{d} {d.nth}")
def test_a_fault_leaves_each_notebook_restored_or_as_it_was(world: World, declared: Declared) -> None:
    days = lived(world, 3)
    world.model.apply("delete", "ada", path=f"{ROOT}/etl", recursive=True)
    now = world.notebooks()
    tap = FaultTap(declared)
    world.process(tap)
    done = restore(world, folder=ROOT, at=days[0].commit, remove_extra=True)
    assert tap.fired == 1, "the declared fault never fired"
    _check_each(world, done, now, dict(days[0].notebooks))
    world.process()
    assert restore(world, folder=ROOT, at=days[0].commit, remove_extra=True)["status"] == "succeeded"
    assert world.notebooks() == days[0].notebooks


def _check_each(world: World, done: dict[str, Any], before: Any, wanted: Any) -> None:
    """Every notebook is what the answer says of it: as it is wanted, or untouched, or written and named."""
    present = {path: (language, data) for (path, language), data in world.notebooks().items()}
    was = {path: (language, data) for (path, language), data in before.items()}
    meant = {path: (language, data) for (path, language), data in wanted.items()}
    for item in done["items"]:
        path = item["target"]
        if item["outcome"] in ("verified", "unchanged"):
            assert present[path] == meant[path]
        elif item["outcome"] == "removed":
            assert path not in present
        else:
            assert item["reason"]
            assert item["detail"]
            assert present.get(path) in (was.get(path), meant.get(path))


@pytest.mark.parametrize("seed", range(8))
def test_restores_at_random_over_the_history(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed=seed)
    days = lived(world, 5, 14)
    draw = random.Random(seed)
    outcomes: list[str] = []
    for _ in range(25):
        day = draw.choice(days)
        if not day.notebooks:
            continue
        path, language = draw.choice(sorted(day.notebooks))
        before = world.notebooks()
        done = restore(world, paths=[path], at=day.commit)
        outcome, reason = outcome_of(done)
        outcomes.append(outcome)
        if outcome in ("verified", "unchanged"):
            assert world.notebooks()[(path, language)] == day.notebooks[(path, language)]
            others = {k: v for k, v in before.items() if k[0] != path}
            assert {k: v for k, v in world.notebooks().items() if k[0] != path} == others
        else:
            assert (outcome, reason) == ("refused", "occupied")
            assert world.notebooks() == before
        live(world, 3)
        world.clock.sleep(30)
    assert outcomes.count("verified") > 5
