"""Worlds whose folders become Git folders and plain ones again: every notebook and permission as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CONVERSION_POINTS, ROLLBACK_POINTS, Crash, CrashTap, play_dead
from local.faults.taps import Call, QuietTap
from local.memory.world import World, succeeded
from local.workspace.model import Node
from shared.services.git_folders.convert import LastBackup
from shared.services.git_folders.operations import OperationKind, Request
from shared.services.state.manifests import ManifestStore
from tests.git_folders import (
    CLIENTS,
    Editor,
    clients,
    finish,
    grants,
    operate,
    outcomes,
    small_limits,
    state,
    text,
    write,
)

CONVERT, ROLLBACK, PLAN = OperationKind.CONVERT, OperationKind.ROLLBACK, OperationKind.PLAN
PATHS = [f"/Clients/{name}" for name in CLIENTS]


@pytest.fixture(params=[True, False], ids=["moved", "copied"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """Three clients, backed up, with Git folders of at most ten notebooks."""
    world = World(tmp_path)
    world.workspace.behaviour.rename = request.param
    clients(world)
    world.back_up()
    small_limits(world)
    return world


def _kinds(world: World) -> dict[str, str]:
    return {path: world.model.get(path).kind for path in PATHS}


def _check_backup(world: World) -> None:
    run = world.back_up()
    assert succeeded(run), run
    assert world.backed_up() == world.notebooks()


def test_the_plan_cuts_at_the_shallowest_folders_that_fit(world: World) -> None:
    plan = operate(world, PLAN)["plan"]
    assert [(f["path"], f["branch"], f["notebooks"]) for f in plan["folders"]] == [
        (path, f"folders/{name}", 8) for path, name in zip(PATHS, CLIENTS, strict=True)
    ]
    assert (plan["plain"], plan["blocks"], plan["totals"]["notebooks"]) == ([], [], 24)
    world.settings["git_folder_notebooks"] = 30
    world.process()
    (whole,) = operate(world, PLAN)["plan"]["folders"]
    assert (whole["path"], whole["branch"]) == ("/Clients", "folders/%root")


def test_folders_become_git_folders_and_nothing_changes_for_anybody(world: World) -> None:
    before = state(world)
    found = operate(world, CONVERT)
    assert (found["status"], set(outcomes(found).values())) == ("succeeded", {"converted"}), found
    assert state(world) == before
    assert set(_kinds(world).values()) == {"REPO"}
    _check_backup(world)
    assert state(world) == before
    again = operate(world, CONVERT, PATHS[0])
    assert outcomes(again) == {PATHS[0]: "unchanged"}
    back = operate(world, ROLLBACK)
    assert (back["status"], outcomes(back)) == ("succeeded", dict.fromkeys(PATHS, "rolled_back")), back
    assert state(world) == before
    assert set(_kinds(world).values()) == {"DIRECTORY"}
    _check_backup(world)
    assert outcomes(operate(world, CONVERT, PATHS[1])) == {PATHS[1]: "converted"}
    assert state(world) == before
    assert _kinds(world) == {PATHS[0]: "DIRECTORY", PATHS[1]: "REPO", PATHS[2]: "DIRECTORY"}


def test_a_moved_folder_keeps_its_objects_through_there_and_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.workspace.behaviour.rename = True
    clients(world, ("acme",))
    world.back_up()
    before = {n.path: n.object_id for n in world.model.get("/Clients").notebooks()}
    operate(world, CONVERT, "/Clients/acme")
    operate(world, ROLLBACK)
    assert {n.path: n.object_id for n in world.model.get("/Clients").notebooks()} == before


def test_what_changed_since_the_last_backup_is_backed_up_first(world: World) -> None:
    write(world, "/Clients/acme/new", "# new")
    world.model.apply("delete", "ada", path="/Clients/bolt/job_0")
    before = state(world)
    found = operate(world, CONVERT)
    assert set(outcomes(found).values()) == {"converted"}, found
    assert state(world) == before
    assert len(world.app.runs.recent(10)) == 2
    _check_backup(world)


EDITS = {
    "before it is set aside": ("before", "git_folders.move("),
    "before the Git folder is made": ("before", "git_folders.create("),
    "after it was checked out": ("after", "git_folders.check_out("),
    "while it is compared": ("before", "workspace.export_folder(/Clients/acme"),
    "after it was compared": ("before", "workspace.list(/Clients.before-git"),
}


@pytest.mark.parametrize("when", EDITS)
def test_what_users_edit_meanwhile_is_kept(world: World, when: str) -> None:
    expected = state(world)
    edited, made = "/Clients/acme/etl/job_1", "/Clients/acme/made"

    def act() -> None:
        write(world, edited, "# mine", "SQL")
        write(world, made, "# made")

    tap = Editor(*EDITS[when], act)
    world.process(tap)
    found = operate(world, CONVERT, "/Clients/acme")
    assert tap.acted
    world.process()
    assert outcomes(found) == {"/Clients/acme": "converted"}, found
    after = state(world)
    expected[edited] = ("NOTEBOOK", "SQL", text("SQL", "# mine").encode(), expected[edited][3])
    expected[made] = ("NOTEBOOK", "PYTHON", text("PYTHON", "# made").encode(), grants(world, made))
    beside = {path: seen for path, seen in after.items() if "(before Git)" in path}
    assert {path: seen for path, seen in after.items() if path not in beside} == expected
    _check_backup(world)
    operate(world, ROLLBACK)
    assert {p: s for p, s in state(world).items() if "(before Git)" not in p} == expected


def test_work_in_the_git_folder_comes_back_with_it(world: World) -> None:
    operate(world, CONVERT)
    write(world, "/Clients/acme/job_0", "# later")
    write(world, "/Clients/acme/etl/more", "# more", "R")
    world.model.apply("delete", "ada", path="/Clients/acme/etl/daily/job_2")
    _check_backup(world)
    write(world, "/Clients/bolt/job_3", "# never backed up", "R")
    before = state(world)
    assert set(outcomes(operate(world, ROLLBACK)).values()) == {"rolled_back"}
    assert state(world) == before
    _check_backup(world)


@pytest.mark.parametrize("wrong", ["bytes", "language", "missing", "refused", "permissions"])
def test_what_does_not_come_out_of_git_as_it_was_is_rolled_back_by_itself(world: World, wrong: str) -> None:
    before = state(world)

    if wrong == "refused":
        world.endpoints.limits["notebooks"] = 7
    world.process(_Spoiler(world, wrong))
    if wrong == "permissions":
        host: Any = world.app.git_folders._converter._host
        world.app.git_folders._converter._host = _Forgetful(host)  # type: ignore[assignment]
    found = operate(world, CONVERT, "/Clients/acme")
    assert outcomes(found) == {"/Clients/acme": "rolled_back"}, found
    assert found["outcomes"][0]["reason"]
    world.process()
    assert state(world) == before
    assert _kinds(world)["/Clients/acme"] == "DIRECTORY"
    _check_backup(world)


class _Spoiler(QuietTap):
    """A workspace that shows a notebook otherwise than Git has it, at each checkout."""

    def __init__(self, world: World, how: str) -> None:
        self._world, self._how = world, how

    def meet(self, when: str, call: Call) -> None:
        if when == "after" and str(call).startswith("git_folders.check_out("):
            for repo in self._world.endpoints.repos("GET", None, {})["repos"]:
                self._spoil(self._world.model.find(f"{repo['path']}/etl/job_1"))

    def _spoil(self, node: Node | None) -> None:
        if node is None or node.parent is None or node.parent.children is None:
            return
        if self._how == "bytes":
            node.content = b"-- Databricks notebook source\r\n"
        elif self._how == "language":
            node.language = "SCALA"
        elif self._how == "missing":
            del node.parent.children[node.name]


class _Reads(QuietTap):
    """Counts how often a manifest is read."""

    def __init__(self) -> None:
        self.count = 0

    def meet(self, when: str, call: Call) -> None:
        self.count += when == "before" and str(call).startswith("blobs.get(manifests/")


def test_many_folders_are_held_to_one_reading_of_the_manifest_and_to_the_newest(world: World) -> None:
    reads = _Reads()
    world.process(reads)
    found = operate(world, CONVERT)
    assert (set(outcomes(found).values()), reads.count) == ({"converted"}, 2), "once for the plan, once for all folders"
    last = LastBackup(ManifestStore(world.blobs, world.tables, world.clock))
    assert last.entries().keys() == {path for path, _ in world.notebooks()}
    write(world, "/Clients/acme/new", "# new")
    _check_backup(world)
    assert "/Clients/acme/new" in last.entries()


class _Forgetful:
    """A workspace that says yes to permissions and does not set them."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def set_grants(self, *_: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize("point", CONVERSION_POINTS)
def test_a_conversion_that_dies_is_gone_on_with(world: World, point: str) -> None:
    before = state(world)
    tap = CrashTap(CONVERSION_POINTS[point], play_dead)
    world.process(tap)
    found = operate(world, CONVERT, "/Clients/acme")
    assert tap.dead, "the point was never reached"
    assert outcomes(found) == {"/Clients/acme": "converted"}, found
    assert state(world) == before
    _check_backup(world)


@pytest.mark.parametrize("point", ROLLBACK_POINTS)
def test_a_rollback_that_dies_is_gone_on_with(world: World, point: str) -> None:
    operate(world, CONVERT, "/Clients/acme")
    write(world, "/Clients/acme/etl/job_1", "# later", "SQL")
    before = state(world)
    tap = CrashTap(ROLLBACK_POINTS[point], play_dead)
    world.process(tap)
    found = operate(world, ROLLBACK)
    assert tap.dead, "the point was never reached"
    assert outcomes(found) == {"/Clients/acme": "rolled_back"}, found
    assert state(world) == before
    _check_backup(world)


@pytest.mark.parametrize("point", ["set aside, or told that it cannot be", "removed, or made", "checked out"])
def test_a_backup_never_reads_a_half_moved_folder_as_deletions(world: World, point: str) -> None:
    """The process died with the folder on the move, and the daily backup comes before it is gone on with."""
    before, held = state(world), world.backed_up()
    tap = CrashTap(CONVERSION_POINTS[point], play_dead)
    world.process(tap)
    identity = str(world.app.git_folders.start(Request(CONVERT, ("/Clients/acme",)))["id"])
    with pytest.raises(Crash):
        while not world.app.git_folders.step(identity):
            pass
    assert tap.dead
    world.restart()
    world.clock.sleep(60)
    run = world.back_up()
    assert run["counts"]["deleted"] == run["counts"]["held"] == 0
    assert (run["status"], [f["path"] for f in run["failures"]]) == ("partial", ["/Clients/acme"])
    assert world.backed_up() == held
    assert outcomes(finish(world, identity)) == {"/Clients/acme": "converted"}
    assert state(world) == before
    _check_backup(world)


def test_a_folder_that_moves_while_a_backup_lists_is_left_out(world: World) -> None:
    """The listing began before the conversion and ended after it."""
    held = world.backed_up()
    row = world.app.git_folders._store

    def move() -> None:
        row.link("/Clients/acme", "acme", "folders/acme")
        row.update("/Clients/acme", moving=True, epoch=1)
        world.model.apply("move", "ada", path="/Clients/acme", to="/acme")

    tap = Editor("after", "workspace.list(/Clients)", move)
    world.process(tap)
    run = world.back_up()
    assert tap.acted
    assert (run["counts"]["deleted"], run["status"]) == (0, "partial")
    assert world.backed_up() == held


def test_a_conversion_waits_for_a_backup_that_is_under_way(world: World) -> None:
    world.start()
    identity = str(world.app.git_folders.start(Request(CONVERT, ("/Clients/acme",)))["id"])
    for _ in range(3):
        assert world.app.git_folders.step(identity) is False
    assert _kinds(world)["/Clients/acme"] == "DIRECTORY"
    assert world.app.git_folders.get(identity)["waiting_for"]
    assert outcomes(finish(world, identity)) == {"/Clients/acme": "converted"}


REFUSALS = {
    "workspace files": lambda w: w.model.add("/Clients/acme/data.csv", "FILE", None, 0),
    "a name that Git shows otherwise": lambda w: write(w, "/Clients/acme/a:b", "# x"),
    "a Git folder inside": lambda w: w.model.apply("create", "a", path="/Clients/acme/g", kind="REPO", language=None),
    "too many": lambda w: [write(w, f"/Clients/acme/more_{n}", "# x") for n in range(5)],
    "permissions inside": lambda w: w.model.apply(
        "grant", "ada", path="/Clients/acme/etl/job_1", grants=[["user_name", "bob@example.com", "CAN_READ"]]
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_would_be_lost_or_cannot_be_is_refused_before_anything_is_touched(world: World, why: str) -> None:
    REFUSALS[why](world)
    before = state(world)
    found = operate(world, CONVERT, "/Clients/acme", "/Clients/bolt")
    assert outcomes(found) == {"/Clients/acme": "refused", "/Clients/bolt": "converted"}
    assert state(world) == before
    assert _kinds(world)["/Clients/acme"] == "DIRECTORY"


def test_accepted_losses_come_back_with_a_rollback(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.workspace.behaviour.rename = True
    clients(world, ("acme",))
    world.model.add("/Clients/acme/data.csv", "FILE", None, 0)
    inner = [["user_name", "bob@example.com", "CAN_READ"]]
    world.model.apply("grant", "ada", path="/Clients/acme/etl", grants=inner)
    world.back_up()
    before = state(world)
    assert outcomes(operate(world, CONVERT, "/Clients/acme", accept_losses=True)) == {"/Clients/acme": "converted"}
    assert world.model.find("/Clients/acme/data.csv") is None
    operate(world, ROLLBACK)
    assert state(world) == before


def test_permissions_inside_come_back_in_a_copy(tmp_path: Path) -> None:
    world = World(tmp_path)
    clients(world, ("acme",))
    inner = [["user_name", "bob@example.com", "CAN_READ"]]
    for path in ("/Clients/acme/etl", "/Clients/acme/job_0"):
        world.model.apply("grant", "ada", path=path, grants=inner)
    world.back_up()
    before = state(world)
    assert outcomes(operate(world, CONVERT, "/Clients/acme", accept_losses=True)) == {"/Clients/acme": "converted"}
    operate(world, ROLLBACK)
    assert state(world) == before


def test_a_default_branch_that_does_not_fit_blocks_and_names_the_one_that_does(tmp_path: Path) -> None:
    world = World(tmp_path, git_folder_notebooks=10)
    clients(world)
    world.back_up()
    found = operate(world, CONVERT)
    assert (found["status"], found["outcomes"]) == ("failed", [])
    assert "make folders/%home" in found["error"]
    remote: Any = world.remote
    assert remote.commits[remote.branches["folders/%home"]].tree == {}
