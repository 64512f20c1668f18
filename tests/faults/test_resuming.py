"""Steps that run out of time, meet what others left, or find that what they need is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.faults.taps import Call, QuietTap
from local.memory.world import ROOT, World, succeeded
from shared.services.state import listing
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.maintenance import Kind
from shared.services.state.stored_plan import plan_blob
from tests.faults.living import check_equal, fill, live
from tests.faults.test_corruption import _damage

FOLDERS = 40
DAMAGED_AT = 20


class _Slow(QuietTap):
    """Each listing takes a second of the clock; counts them, and damages the segments when told to."""

    def __init__(self, world: World, damage: str | None = None) -> None:
        self._world, self._damage = world, damage
        self.lists = 0

    def meet(self, when: str, call: Call) -> None:
        if when == "before" and call.method == "list":
            self.lists += 1
            self._world.clock.sleep(1)
            if self._damage and self.lists == DAMAGED_AT:
                for name in list(self._world.blobs.names("plans/")):
                    if "listing-" in name:
                        _damage(self._world, name, self._damage)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    fill(world)
    for n in range(FOLDERS):
        world.model.apply("mkdir", "ada", path=f"{ROOT}/many/{n}")
        world.model.apply("create", "ada", path=f"{ROOT}/many/{n}/job", content=f"# {n}\n")
    return world


@pytest.mark.parametrize("segment", [1, 3, 2_000])
def test_a_listing_that_runs_out_of_its_time_slice_goes_on(
    world: World, segment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SEGMENT_FOLDERS", segment)
    world.process(slow := _Slow(world))
    assert succeeded(world.back_up())
    folders = FOLDERS + 7
    assert slow.lists == folders, "a folder was listed twice, or not at all"
    check_equal(world)


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_a_listing_whose_notes_are_damaged_lists_again(world: World, damage: str) -> None:
    world.process(slow := _Slow(world, damage))
    assert succeeded(world.back_up())
    assert slow.lists > FOLDERS + 7
    assert world.backed_up() == world.notebooks()


def test_a_rebuild_takes_as_many_steps_as_it_needs(world: World) -> None:
    world.back_up()
    world.process(_Slow(world))
    assert world.maintain(Kind.REBUILD)["notebooks"] == len(world.notebooks())
    world.process()
    check_equal(world)


def test_a_rebuild_without_a_branch_or_beside_a_run_says_so(world: World) -> None:
    nothing = world.maintain(Kind.REBUILD)
    assert (nothing["status"], "sync" in nothing["error"]) == ("stopped", True)
    world.start()
    identity = world.app.maintenance.start(Kind.REBUILD, "test")
    world._maintain(f'{{"kind": "rebuild", "id": "{identity}"}}'.encode())
    stopped = world.app.maintenance.get(Kind.REBUILD, identity)
    assert (stopped["status"], "already under way" in stopped["error"]) == ("stopped", True)


def test_a_plan_that_is_damaged_before_it_was_entered_is_made_again(world: World) -> None:
    run_id = str(world.start())
    world.app.plan._make_plan(run_id, world.app.runs.get(run_id))
    _damage(world, plan_blob(run_id), "flipped")
    world.settle()
    assert succeeded(world.app.status.run(run_id))
    check_equal(world)


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_a_plan_that_is_lost_later_removes_nothing_and_says_so(world: World, damage: str) -> None:
    world.back_up()
    world.model.apply("delete", "ada", path=f"{ROOT}/many/3/job")
    world.model.apply("edit", "ada", path=f"{ROOT}/many/4/job", content="# newer\n")
    run_id = str(world.start())
    while not world.queues.stored.get(EXPORT_QUEUE):
        world._deliver()
    _damage(world, plan_blob(run_id), damage)
    world.settle()
    run = world.app.status.run(run_id)
    assert (run["status"], [f["code"] for f in run["failures"]]) == ("partial", ["plan_lost"])
    assert (f"{ROOT}/many/3/job", "PYTHON") in world.backed_up()
    assert succeeded(world.back_up())
    assert world.backed_up() == world.notebooks()


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_a_batch_whose_blob_is_lost_is_named_and_the_next_run_has_it(world: World, damage: str) -> None:
    run_id = str(world.start())
    while not world.queues.stored.get(EXPORT_QUEUE):
        world._deliver()
    (name,) = world.blobs.names(f"batches/{run_id}/")
    _damage(world, name, damage)
    world.settle()
    run = world.app.status.run(run_id)
    assert (run["status"], [f["path"] for f in run["failures"]]) == ("partial", [name])
    assert succeeded(world.back_up())
    assert world.backed_up() == world.notebooks()


class _Damaging(QuietTap):
    """Damages every staged archive as soon as it is written, so often."""

    def __init__(self, world: World, times: int) -> None:
        self._world, self.times = world, times

    def meet(self, when: str, call: Call) -> None:
        if when == "after" and call.method == "put_file" and self.times:
            self.times -= 1
            _damage(self._world, call.arguments[0], "flipped")


@pytest.mark.parametrize(("times", "status"), [(1, "succeeded"), (3, "succeeded"), (100, "partial")])
def test_a_staged_archive_that_is_damaged_is_exported_again_but_not_for_ever(
    world: World, times: int, status: str
) -> None:
    world.process(_Damaging(world, times))
    assert world.back_up()["status"] == status
    world.process()
    assert succeeded(world.back_up())
    assert world.backed_up() == world.notebooks()


def test_a_verification_leaves_alone_what_people_changed_since(world: World) -> None:
    world.back_up()
    live(world, 20)
    world.model.apply("delete", "ada", path=f"{ROOT}/many/9", recursive=True)
    person = min(f for f in world.remote.contents() if f.startswith("many/"))
    world.remote.person_commits({person: b"by hand"})
    proof = world.maintain(Kind.VERIFY)
    assert (proof["status"], proof["changed_since"] > 0) == ("passed", True)
    assert (person, "changed_on_branch") in {(n["path"], n["code"]) for n in proof["notices"]}


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_verification_says_that_the_branch_is_not_what_it_was(world: World, how: str) -> None:
    first = world.back_up()["commit"]
    live(world, 5)
    world.model.apply("create", "ada", path=f"{ROOT}/one more", content="# more\n")
    world.back_up()
    world.remote.move(first if how == "moved" else None)
    proof = world.maintain(Kind.VERIFY)
    assert {f["code"] for f in proof["failures"]} == {"history_rewritten" if how == "moved" else "branch_missing"}
    assert succeeded(world.back_up())
    check_equal(world)
