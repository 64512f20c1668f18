"""Whatever people push to Git folders' branches or to the backup branch, it does no more than it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.memory.commits import MemoryCommit, Tree
from local.memory.world import World, succeeded
from shared.services.git_folders import sync
from tests.git_folders import Editor, write
from tests.together import check_together, codes, commit, converted, notebook

ACME, BRANCH = "/Clients/acme", "folders/acme"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three clients, each a Git folder."""
    return converted(World(tmp_path))


def test_a_persons_message_does_not_pass_for_one_of_the_backup(world: World) -> None:
    message = "mine\n\nBackup-Run: 20260101T000000Z-aaaaaa\nBackup-Commit: " + "a" * 40
    commit(world, BRANCH, {"job_0.py": notebook("# theirs")}, message=message)
    world.back_up()
    remote: Any = world.remote
    (text,) = [c.message for _, c in remote.history(remote.head) if "Backup-Folder-Commit" in c.message]
    assert [line for line in text.splitlines() if line.startswith("Backup-")] == [text.splitlines()[-1]]
    check_together(world)


def _forged(world: World, files: Tree, at: str, parent: str | None = None) -> str:
    """A commit on the folder's branch with all that the backup says of itself, or beside it on a commit."""
    remote: Any = world.remote
    who = "Notebook Backup <notebook-backup@localhost> 2026-01-01T00:00:00+00:00"
    text = f"Back up 1 notebook at 2026-01-01 00:00:00 UTC\n\nBackup-Run: r1\nBackup-Commit: {at}\n"
    made = MemoryCommit(parent or remote.branches[BRANCH], files, text, f"{who} {who}", world.clock.now())
    name = str(remote.enter(made))
    if parent is None:
        remote.branches[BRANCH] = name
    return name


def _with(world: World, tree: Tree, file: str, body: str) -> Tree:
    remote: Any = world.remote
    return {**tree, file: remote.add(notebook(body).encode())}


@pytest.mark.parametrize("named", ["the last backup", "a commit of their own", "none that is there"])
def test_an_edit_with_the_backups_copied_trailer_is_still_a_persons_edit(world: World, named: str) -> None:
    remote: Any = world.remote
    edited = _with(world, remote.commits[remote.branches[BRANCH]].tree, "job_0.py", "# theirs")
    whole = _with(world, remote.commits[remote.head].tree, "acme/job_0.py", "# theirs")
    at = {
        "the last backup": remote.head,
        "a commit of their own": _forged(world, whole, "a" * 40, remote.head),
        "none that is there": "a" * 40,
    }[named]
    _forged(world, edited, at)
    run = world.back_up()
    assert codes(run) == {"folder_edits_merged": 1}
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# theirs").encode()
    check_together(world)


def test_going_back_to_an_earlier_state_with_the_backups_copied_trailer_is_a_persons_edit(world: World) -> None:
    remote: Any = world.remote
    before, tree = remote.head, remote.commits[remote.branches[BRANCH]].tree
    write(world, f"{ACME}/job_0", "# newer")
    world.back_up()
    check_together(world)
    _forged(world, dict(tree), before)
    run = world.back_up()
    assert codes(run) == {"folder_edits_merged": 1}
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# 0").encode()
    check_together(world)


def test_links_and_other_repositories_are_left_and_named(world: World) -> None:
    remote: Any = world.remote
    remote.modes |= {"link.py": "120000", "job_0.py": "160000"}
    commit(world, BRANCH, {"link.py": "/etc/passwd", "job_0.py": "elsewhere", "job_3.r": notebook("# theirs", "R")})
    run = world.back_up()
    assert codes(run) == {"folder_edit_left": 2, "folder_edits_merged": 1}
    check_together(world)
    assert world.model.find(f"{ACME}/link.py") is None
    assert world.model.get(f"{ACME}/job_3").source() == notebook("# theirs", "R").encode()


def test_a_file_that_is_too_large_for_a_notebook_is_left_unread_and_named(world: World) -> None:
    large = notebook("# " + "0" * 10_485_760)
    commit(world, BRANCH, {"job_0.py": large, "job_4.py": large + "1", "job_3.r": notebook("# theirs", "R")})
    run = world.back_up()
    assert codes(run) == {"folder_edit_left": 2, "folder_edits_merged": 1}
    check_together(world)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# 0").encode()
    assert world.model.get(f"{ACME}/job_3").source() == notebook("# theirs", "R").encode()


def test_more_at_once_than_a_folder_may_hold_is_for_people(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync, "MOST_FILES", 3)
    commit(world, BRANCH, {f"n_{number}.py": notebook(f"# {number}") for number in range(4)})
    run = world.back_up()
    assert (succeeded(run), codes(run)) == (True, {"folder_refused": 1})
    assert world.backed_up() == world.notebooks()
    assert codes(world.back_up()) == {}


def test_a_commit_on_the_backup_branch_that_passes_for_a_brought_one_reaches_no_workspace(world: World) -> None:
    remote: Any = world.remote
    write(world, f"{ACME}/job_3", "# live", "R")

    def push() -> None:
        """After the run's own push: an edit of a backed-up notebook, with all that the backup writes of itself."""
        tree = dict(remote.commits[remote.head].tree)
        tree["acme/job_0.py"] = remote.add(notebook("# forged").encode())
        who = "Notebook Backup <notebook-backup@localhost> 2026-01-01T00:00:00+00:00"
        text = f"mine\n\nBackup-Folder-Commit: {'a' * 40}\n"
        remote.head = remote.enter(MemoryCommit(remote.head, tree, text, f"{who} {who}", world.clock.now()))

    tap = Editor("before", "branches.heads(", push)
    world.process(tap)
    assert succeeded(world.back_up())
    assert tap.acted
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# 0").encode()
    world.process()
    assert codes(world.back_up()) == {"conflict_overruled": 1}
    check_together(world)
    assert world.model.get(f"{ACME}/job_0").source() == notebook("# 0").encode()


def test_whatever_goes_wrong_with_git_folders_the_backup_itself_ends(world: World) -> None:
    write(world, f"{ACME}/job_0", "# live")

    def fail() -> None:
        raise ValueError("what nobody thought of")

    world.process(Editor("before", "branches.heads(", fail))
    run = world.back_up()
    assert (succeeded(run), codes(run)) == (True, {"folder_branches_behind": 1})
    world.process()
    world.back_up()
    check_together(world)


def test_a_name_that_git_would_show_otherwise_keeps_its_folder_where_it_is(world: World) -> None:
    write(world, f"{ACME}/con", "# a device, to some file systems")
    before = set(world.notebooks())
    assert codes(world.back_up()) == {"folder_refused": 1}
    assert codes(world.back_up()) == {}
    assert set(world.notebooks()) == before
    world.model.apply("move", "ada", path=f"{ACME}/con", to=f"{ACME}/connect")
    world.back_up()
    check_together(world)
