"""Code that meets state of another version: it goes on with what is older, and leaves what is newer alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.memory.world import World
from shared.services.state.maintenance import Kind
from shared.services.state.state_version import KEY, RECHECK_SECONDS, STATE_VERSION, StateTooNew
from tests.faults.living import check_equal, fill


def _stored(world: World) -> tuple[Any, Any, Any]:
    tables = {k: v for k, v in world.tables.stored.items() if k != KEY}
    return dict(world.blobs.stored), tables, {q: [m.text for m in ms] for q, ms in world.queues.stored.items() if ms}


def _version(world: World) -> int:
    found = world.tables.get(*KEY)
    return int(found.row["version"] or 0) if found else 0


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    fill(found)
    found.back_up()
    return found


def test_the_first_write_enters_the_version(world: World) -> None:
    assert _version(world) == STATE_VERSION


def test_state_from_before_versions_is_taken_over(world: World) -> None:
    world.tables.delete(*KEY)
    world.process()
    world.model.apply("create", "ada", path="/Clients/new", content="# new\n")
    run = world.back_up()
    assert (run["status"], run["planned"], _version(world)) == ("succeeded", 1, STATE_VERSION)
    check_equal(world)


def test_newer_state_is_refused_and_not_touched(world: World) -> None:
    world.tables.upsert(*KEY, {"version": STATE_VERSION + 1})
    world.process()
    before, head = _stored(world), world.remote.head
    for act in (
        lambda: world.app.runs.start("timer"),
        lambda: world.app.maintenance.start(Kind.VERIFY, "timer"),
        lambda: world.app.maintenance.start(Kind.REBUILD, "http"),
        lambda: world.app.recorder.record("content_read", "ada"),  # type: ignore[arg-type]
    ):
        with pytest.raises(StateTooNew, match=f"version {STATE_VERSION + 1}, and this app knows none above"):
            act()
    assert (_stored(world), world.remote.head) == (before, head)
    assert world.app.status.overview()["last"]["status"] == "succeeded"


def test_a_run_under_way_stops_when_newer_code_took_over(world: World) -> None:
    world.model.apply("create", "ada", path="/Clients/new", content="# new\n")
    world.start()
    world.tables.upsert(*KEY, {"version": STATE_VERSION + 1})
    world.clock.sleep(RECHECK_SECONDS)
    head, run_id = world.remote.head, world.app.runs.active()
    assert run_id is not None
    with pytest.raises(StateTooNew):
        world.app.plan.plan(run_id)
    assert world.remote.head == head
    world.tables.upsert(*KEY, {"version": STATE_VERSION})
    world.settle()
    assert world.app.status.run(run_id)["status"] == "succeeded"
    check_equal(world)
