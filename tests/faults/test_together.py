"""Git folders and the backup side by side: edits, branches, pull requests and conflicts, day after day."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.faults.taps import Call, QuietTap
from local.memory.world import World, succeeded
from shared.errors import WorkspaceUnavailable
from shared.services.state.manifests import ManifestStore
from tests.git_folders import Editor, write
from tests.together import (
    check_together,
    codes,
    commit,
    commit_and_push,
    converted,
    folder,
    history,
    merge_request,
    notebook,
    shows,
    switch,
)

ACME, BOLT = "/Clients/acme", "/Clients/bolt"
BRANCH = "folders/acme"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three clients, each a Git folder."""
    return converted(World(tmp_path))


def test_edits_in_a_git_folder_reach_its_branch_and_stop_counting_as_changes(world: World) -> None:
    write(world, f"{ACME}/job_0", "# edited")
    write(world, f"{ACME}/new", "-- new", "SQL")
    world.model.apply("delete", "ada", path=f"{ACME}/etl/job_1")
    before = shows(world, ACME)
    run = world.back_up()
    assert (succeeded(run), run["notices"]) == (True, [])
    assert shows(world, ACME) != before
    assert world.back_up()["notices"] == []
    check_together(world)


def test_a_pull_request_comes_to_the_backup_branch_and_the_workspace_as_its_authors_own(world: World) -> None:
    change = {"job_0.py": notebook("# by grace"), "new/made.sql": notebook("-- new", "SQL"), "README.md": "read me"}
    tip = merge_request(world, BRANCH, {**change, "etl/job_1.sql": None})
    run = world.back_up()
    assert (succeeded(run), codes(run)) == (True, {"folder_edits_merged": 1}), run
    check_together(world)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# by grace").encode()
    assert world.model.find(f"{ACME}/etl/job_1") is None
    assert world.model.get(f"{ACME}/README.md").kind == "FILE"
    assert world.remote.contents()["acme/README.md"] == b"read me"
    assert tip in history(world, str(folder(world, ACME).head))
    assert len(world.app.runs.recent(10)) == 4, "a backup takes in what came to the workspace"
    remote: Any = world.remote
    made = {c.author.split(" <")[0]: c.message for _, c in remote.history(remote.head) if "Backup-Folder" in c.message}
    assert made.keys() == {"grace", "linus"}
    assert "by grace" in made["grace"]
    versions = world.app.history.versions(f"{ACME}/job_0")
    assert versions[0].version.author == "linus@example.com"
    again = world.back_up()
    assert (succeeded(again), again["notices"], again["counts"]["changed"]) == (True, [], 0)
    check_together(world)


def test_where_both_changed_a_notebook_the_workspace_wins_and_the_rest_comes(world: World) -> None:
    write(world, f"{ACME}/job_0", "# live")
    write(world, f"{ACME}/job_3", "# only live", "R")
    tip = merge_request(world, BRANCH, {"job_0.py": notebook("# theirs"), "etl/job_4.py": notebook("# theirs too")})
    run = world.back_up()
    assert succeeded(run)
    assert codes(run) == {"conflict_overruled": 1, "folder_edits_merged": 1}
    check_together(world)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# live").encode()
    assert world.model.get(f"{ACME}/etl/job_4").source() == notebook("# theirs too").encode()
    head = str(folder(world, ACME).head)
    assert tip in history(world, head)
    remote: Any = world.remote
    assert remote.commits[head].parent == tip, "the branch moves forward from what people committed"
    messages = [remote.commits[name].message for name in history(world, head)]
    assert not any("Backup-Folder-Commit" in text for text in messages), "a person's commit came twice"
    assert world.back_up()["notices"] == []


def test_what_somebody_commits_in_the_git_folder_itself_is_their_own_commit(world: World) -> None:
    write(world, f"{ACME}/job_0", "# committed")
    write(world, f"{ACME}/job_3", "# committed", "R")
    assert commit_and_push(world, ACME, "grace")
    write(world, f"{ACME}/job_3", "# and edited again", "R")
    run = world.back_up()
    assert succeeded(run), run
    check_together(world)
    assert world.model.get(f"{ACME}/job_3").source() == notebook("# and edited again", "R").encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"load.ipynb": '{"cells": []}'}, "folder_edit_left"),
        ({"job_0.py": "print('no notebook any more')"}, "folder_edit_left"),
        ({"100%41.py": notebook("# a name that stands for another")}, "folder_edit_left"),
        ({"job_0.sql": notebook("-- beside the Python one", "SQL")}, "folder_edit_left"),
        ({"job_0.py/inner.py": notebook("# below a file"), "job_0.py": None}, None),
    ],
    ids=["jupyter", "no notebook", "other name", "same place", "file to folder"],
)
def test_what_a_git_folder_would_show_otherwise_is_left_and_named(
    world: World, change: dict[str, str | None], code: str | None
) -> None:
    tip = commit(world, BRANCH, change)
    run = world.back_up()
    assert succeeded(run), run
    assert code is None or code in codes(run), run["notices"]
    check_together(world)
    assert tip in history(world, str(folder(world, ACME).head))
    world.back_up()
    check_together(world)


def test_a_switched_folder_is_backed_up_as_it_is_told_of_once_and_left_alone(world: World) -> None:
    head = folder(world, ACME).head
    assert switch(world, ACME, "feature/x")
    write(world, f"{ACME}/job_0", "# on a feature branch")
    run = world.back_up()
    assert (succeeded(run), codes(run)) == (True, {"folder_switched": 1})
    assert world.back_up()["notices"] == []
    assert shows(world, ACME)[0] == "feature/x"
    remote: Any = world.remote
    assert remote.branches[BRANCH] == head, "its branch waits"
    assert world.backed_up() == world.notebooks()
    (row,) = [f for f in world.app.git_folders.status()["folders"] if f["path"] == ACME]
    assert (row["standing"], row["standing_detail"]) == ("switched", "feature/x")
    assert commit_and_push(world, ACME)
    assert switch(world, ACME, BRANCH)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# 0").encode()
    world.back_up()
    check_together(world)


def test_a_detached_folder_and_one_that_is_gone_are_told_of(world: World) -> None:
    world.endpoints._repos[world.model.get(ACME).object_id]["branch"] = None
    world.endpoints.repos("DELETE", world.model.get(BOLT).object_id, {})
    world.model.apply("mkdir", "ada", path=BOLT)
    write(world, f"{BOLT}/anew", "# anew")
    run = world.back_up()
    assert codes(run) == {"folder_detached": 1, "folder_gone": 1}
    assert world.backed_up() == world.notebooks()
    assert codes(world.back_up()) == {}


def test_a_folder_with_a_commit_that_its_branch_lost_is_left_alone(world: World) -> None:
    write(world, f"{ACME}/job_0", "# committed")
    remote: Any = world.remote
    before = remote.branches[BRANCH]
    assert commit_and_push(world, ACME)
    remote.branches[BRANCH] = before
    run = world.back_up()
    assert codes(run) == {"folder_own_commits": 1}
    assert world.backed_up() == world.notebooks()


def test_an_edit_while_folders_are_brought_to_their_heads_is_never_overwritten(world: World) -> None:
    write(world, f"{ACME}/job_0", "# backed up")
    tap = Editor("before", "git_folders.check_out(", lambda: write(world, f"{ACME}/job_0", "# a second later"))
    world.process(tap)
    run = world.back_up()
    assert tap.acted
    assert succeeded(run)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# a second later").encode()
    assert codes(run) == {"folder_refused": 1}
    world.process()
    world.back_up()
    check_together(world)


def test_a_folder_edited_since_its_export_waits_with_what_people_committed(world: World) -> None:
    commit(world, BRANCH, {"job_0.py": notebook("# theirs")})
    edit = Editor("before", "branches.heads(", lambda: write(world, f"{ACME}/job_6", "# late"))
    world.process(edit)
    run = world.back_up()
    assert edit.acted
    assert (succeeded(run), run["notices"]) == (True, [])
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# 0").encode()
    world.process()
    assert codes(world.back_up()) == {"folder_edits_merged": 1}
    check_together(world)


class _Unavailable(QuietTap):
    """The workspace brings no Git folder anywhere; what else happens before is up to `act`."""

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self._act = act

    def meet(self, when: str, call: Call) -> None:
        """See `QuietTap.meet`."""
        if when == "before" and str(call).startswith("git_folders.check_out("):
            self._act()
            raise WorkspaceUnavailable(path=ACME, error_code="UNAVAILABLE", detail="HTTP 503")


def test_what_people_committed_waits_for_a_workspace_that_does_not_answer(world: World) -> None:
    commit(world, BRANCH, {"job_0.py": notebook("# theirs"), "etl/job_1.sql": None})
    world.process(_Unavailable())
    assert codes(world.back_up()) == {"folder_edits_merged": 1}
    before = world.remote.head
    again = world.back_up()
    assert (succeeded(again), again["notices"], again["counts"]["conflict"]) == (True, [], 0)
    assert world.remote.head == before, "the backup does not overrule what only waits"
    assert world.remote.contents()["acme/job_0.py"] == notebook("# theirs").encode()
    world.process()
    assert codes(world.back_up()) == {}
    check_together(world)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# theirs").encode()


def test_an_edit_in_the_workspace_overrules_what_waits(world: World) -> None:
    commit(world, BRANCH, {"job_0.py": notebook("# theirs"), "job_3.r": notebook("# theirs", "R")})
    world.process(_Unavailable())
    world.back_up()
    write(world, f"{ACME}/job_0", "# live")
    world.process()
    assert codes(world.back_up()) == {"conflict_overruled": 1}
    check_together(world)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# live").encode()
    assert world.model.get(f"{ACME}/job_3").source() == notebook("# theirs", "R").encode()


def test_what_is_removed_again_after_a_commit_in_the_git_folder_stays_removed(world: World) -> None:
    write(world, f"{ACME}/fresh", "# fresh")
    write(world, f"{ACME}/job_0", "# committed")
    assert commit_and_push(world, ACME, "grace")
    world.model.apply("delete", "ada", path=f"{ACME}/fresh")
    write(world, f"{ACME}/job_0", "# edited since")
    run = world.back_up()
    assert (succeeded(run), run["notices"]) == (True, [])
    check_together(world)
    assert world.model.find(f"{ACME}/fresh") is None
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# edited since").encode()


def test_a_notebook_that_a_pull_request_added_and_somebody_removed_at_once_is_removed(world: World) -> None:
    commit(world, BRANCH, {"fresh.py": notebook("# fresh")})
    tap = Editor("before", "tables.insert(runs,", lambda: world.model.apply("delete", "ada", path=f"{ACME}/fresh"))
    run_id = world.start()
    world.process(tap)
    world.settle()
    assert tap.acted, run_id
    world.process()
    world.back_up()
    check_together(world)
    assert "acme/fresh.py" not in world.remote.contents()


def test_a_folder_with_edits_that_no_backup_has_is_not_brought_to_its_head(world: World) -> None:
    write(world, f"{ACME}/job_0", "# backed up")
    before = shows(world, ACME)
    edit = Editor("before", "branches.heads(", lambda: write(world, f"{ACME}/job_6", "# late", "SCALA"))
    world.process(edit)
    assert world.back_up()["notices"] == []
    assert edit.acted
    assert shows(world, ACME) == before
    (row,) = [f for f in world.app.git_folders.status()["folders"] if f["path"] == ACME]
    assert (row["standing"], row["standing_detail"]) == ("edited", "job_6 is edited")
    world.process()
    world.back_up()
    check_together(world)


def test_being_brought_to_its_head_changes_no_notebooks_author(world: World) -> None:
    write(world, f"{ACME}/job_0", "# by ada")
    # What is exported again after the Git folder was brought to its head has no act near it to go by.
    world.clock.sleep(600)
    for _ in range(3):
        world.back_up()
        checkpoint = ManifestStore(world.blobs, world.tables, world.clock).load()
        assert checkpoint is not None
        assert checkpoint.manifest[f"{ACME}/job_0"].author == "ada"


def test_a_push_to_the_backup_branch_between_two_attempts_reverts_nothing(world: World) -> None:
    commit(world, BRANCH, {"job_3.r": notebook("# theirs", "R")})
    tap = CrashTap(CrashPoint("before", r"git_folders\.check_out\("), play_dead)
    world.process(tap)
    restart = world.restart

    def push_and_restart() -> None:
        world.remote.person_commits({"bolt/job_0.py": notebook("# on the branch").encode()})
        restart()

    world.restart = push_and_restart  # type: ignore[method-assign]
    world.back_up()
    assert tap.dead
    remote: Any = world.remote
    trees = [c.tree["job_3.r"] for _, c in remote.history(remote.branches[BRANCH])]
    assert trees[0] != trees[-1]
    assert sum(one != other for one, other in itertools.pairwise(trees)) == 1, "the edit went and came again"
    world.back_up()
    check_together(world)


POINTS = {
    "edits found, nothing kept": CrashPoint("before", r"blobs\.put\(gitfolders/brought"),
    "kept, backup branch not pushed": CrashPoint("before", r"repository\.push\(", 2),
    "backup branch pushed": CrashPoint("after", r"repository\.push\(", 2),
    "folder's branch pushed, row missing": CrashPoint("after", r"branches\.push\("),
    "rows written, nothing checked out": CrashPoint("after", r"tables\.upsert_many\(gitfolders"),
    "about to be checked out": CrashPoint("before", r"git_folders\.check_out\("),
    "checked out, row missing": CrashPoint("after", r"git_folders\.check_out\("),
    "row written, files not": CrashPoint("after", r"tables\.upsert\(gitfolders,.*'pulled'"),
    "all done, run open": CrashPoint("after", r"blobs\.put\(gitfolders/brought", 2),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_while_both_are_brought_together_is_caught_up_with(world: World, point: str) -> None:
    write(world, f"{ACME}/job_3", "# live", "R")
    write(world, f"{ACME}/job_0", "# live")
    tip = merge_request(world, BRANCH, {"etl/job_4.py": notebook("# theirs"), "job_0.py": notebook("# theirs")})
    tap = CrashTap(POINTS[point], play_dead)
    world.process(tap)
    world.back_up()
    assert tap.dead
    world.back_up()
    check_together(world)
    assert tip in history(world, str(folder(world, ACME).head))
    assert world.model.get(f"{ACME}/etl/job_4").source() == notebook("# theirs").encode()
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# live").encode()
    remote: Any = world.remote
    trees = [tuple(sorted(c.tree.items())) for _, c in remote.history(remote.head)]
    assert len(trees) == len(set(trees)), "a change came twice"
