"""What people do to a folder at one moment of its conversion or its undoing is told from what Git does, and kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.faults.taps import Call, QuietTap
from local.memory.world import World, succeeded
from shared.errors import WorkspaceError
from shared.services.git_folders.operations import OperationKind
from shared.services.state.listing import SEGMENT_FOLDERS
from tests.git_folders import Editor, clients, grants, operate, outcomes, small_limits, state, text, write

CONVERT, ROLLBACK, PLAN = OperationKind.CONVERT, OperationKind.ROLLBACK, OperationKind.PLAN


@pytest.fixture(params=[True, False], ids=["moved", "copied"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Three clients, backed up, with Git folders of at most ten notebooks."""
    world = World(tmp_path)
    world.workspace.behaviour.rename = request.param
    clients(world)
    world.back_up()
    small_limits(world)
    return world


def _check_backup(world: World) -> None:
    run = world.back_up()
    assert succeeded(run), run
    assert world.backed_up() == world.notebooks()


class _Both(QuietTap):
    """Two taps in one process."""

    def __init__(self, *taps: QuietTap) -> None:
        self._taps = taps

    def meet(self, when: str, call: Call) -> None:
        for tap in self._taps:
            tap.meet(when, call)


def _changed_at_once(
    world: World, when: tuple[str, str] = ("after", "git_folders.check_out(")
) -> tuple[Editor, dict[str, Any]]:
    """Somebody edits, makes and removes notebooks at one moment of a conversion or its undoing; what is there then."""
    expected = state(world)
    edited, made, removed = (f"/Clients/acme/{name}" for name in ("etl/job_1", "made", "etl/daily/job_2"))

    def act() -> None:
        write(world, edited, "# mine", "SQL")
        write(world, made, "# made")
        world.model.apply("delete", "ada", path=removed)

    del expected[removed]
    expected[edited] = ("NOTEBOOK", "SQL", text("SQL", "# mine").encode(), expected[edited][3])
    expected[made] = ("NOTEBOOK", "PYTHON", text("PYTHON", "# made").encode(), grants(world, "/Clients/acme"))
    return Editor(*when, act), expected


@pytest.mark.parametrize("dies", [False, True])
def test_what_people_change_before_the_first_look_is_told_from_what_git_shows(world: World, dies: bool) -> None:
    editor, expected = _changed_at_once(world)
    death = CrashTap(CrashPoint("after", r"git_folders\.create\(", 2), play_dead)
    world.process(_Both(editor, death) if dies else editor)
    found = operate(world, CONVERT, "/Clients/acme")
    assert (editor.acted, death.dead, outcomes(found)) == (True, dies, {"/Clients/acme": "converted"}), found
    assert state(world) == expected
    assert [repo["path"] for repo in world.endpoints.repos("GET", None, {})["repos"]] == ["/Clients/acme"]
    world.process()
    _check_backup(world)
    assert outcomes(operate(world, ROLLBACK)) == {"/Clients/acme": "rolled_back"}
    assert state(world) == expected


def test_where_the_workspace_refuses_a_second_checkout_what_differs_is_kept_beside(world: World) -> None:
    before, (editor, _) = state(world), _changed_at_once(world)
    world.endpoints.limits["folders"] = 1
    world.process(editor)
    assert outcomes(operate(world, CONVERT, "/Clients/acme")) == {"/Clients/acme": "rolled_back"}
    aside = [n.source() for n in world.model.get("/Clients.before-git").notebooks() if ".from-git/" in n.path]
    assert sorted(aside) == [text("PYTHON", "# made").encode(), text("SQL", "# mine").encode()]
    assert state(world) == before


@pytest.mark.parametrize("dies", [False, True])
def test_what_people_change_at_the_last_moment_of_a_git_folder_comes_back_with_it(tmp_path: Path, dies: bool) -> None:
    world = World(tmp_path)
    world.workspace.behaviour.rename = True
    clients(world)
    world.back_up()
    small_limits(world)
    operate(world, CONVERT, "/Clients/acme")
    editor, expected = _changed_at_once(world, ("before", "git_folders.move(/Clients/"))
    death = CrashTap(CrashPoint("before", r"git_folders\.delete\("), play_dead)
    world.process(_Both(editor, death) if dies else editor)
    found = operate(world, ROLLBACK)
    assert (editor.acted, death.dead, outcomes(found)) == (True, dies, {"/Clients/acme": "rolled_back"}), found
    assert state(world) == expected
    assert world.endpoints.repos("GET", None, {}) == {}
    world.process()
    _check_backup(world)


def test_a_workspace_that_moves_folders_but_no_git_folders_has_it_removed_where_it_is(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.workspace.behaviour.rename = True
    clients(world, ("acme",))
    world.back_up()
    before = state(world)
    operate(world, CONVERT, "/Clients/acme")
    world.process(_Unmoved())
    assert outcomes(operate(world, ROLLBACK)) == {"/Clients/acme": "rolled_back"}
    assert state(world) == before


class _Unmoved(QuietTap):
    """A workspace that refuses to move what stands in the root."""

    def meet(self, when: str, call: Call) -> None:
        if when == "before" and str(call).startswith("git_folders.move(/Clients/"):
            raise WorkspaceError(path="/Clients/acme", error_code="INVALID_PARAMETER_VALUE", detail="a Git folder")


def test_what_a_plan_listed_goes_with_time_and_no_backup_stumbles_over_it(tmp_path: Path) -> None:
    """A listing of more folders than one segment holds is kept in part."""
    world = World(tmp_path)
    clients(world, ("acme",))
    for number in range(SEGMENT_FOLDERS):
        world.model.apply("mkdir", "ada", path=f"/Clients/empty/{number:04}")
    world.back_up()
    identity = operate(world, PLAN)["id"]
    assert [name for name in world.blobs.names("plans/") if identity in name]
    _check_backup(world)
    world.clock.sleep(timedelta(days=9).total_seconds())
    _check_backup(world)
    assert not [name for name in world.blobs.names("plans/") if identity in name]
    assert not world.seen, "nothing failed on the way"


def test_a_blob_that_names_no_day_is_left_where_it_is(tmp_path: Path) -> None:
    world = World(tmp_path)
    clients(world, ("acme",))
    world.blobs.put("plans/gitfolders-20260101T000000Z-abcd/listing-00000.jsonl.gz", b"")
    _check_backup(world)
    assert list(world.blobs.names("plans/gitfolders-"))
    assert not world.seen, "nothing failed on the way"
