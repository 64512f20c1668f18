"""Worlds with branches of folders: they follow every backup, whatever people do and wherever a process dies."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.memory.branches import tree_id
from local.memory.repository import MemoryCommit, MemoryRemote
from local.memory.world import World, succeeded
from shared.services.git_folders.store import GitFolder, GitFolderStore
from tests.faults.living import fill, live
from tests.remotes import GitRemote

FOLDERS = ("", "etl", "etl/daily", "Reports", "x.py")
FIELDS = "%H%x02%T%x02%P%x02%an%x02%B%x01"


def _store(world: World) -> GitFolderStore:
    return GitFolderStore(world.tables, world.clock)


def _link(world: World, folders: tuple[str, ...] = FOLDERS) -> None:
    for folder in folders:
        path = f"/Clients/{folder}".rstrip("/")
        _store(world).link(path, folder, f"folders/{folder.replace('/', '.').replace('x.py', 'x%2Epy') or '%root'}")


@pytest.fixture(params=["memory", "git"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    remote: Any = MemoryRemote() if request.param == "memory" else GitRemote(tmp_path / "remote.git")
    world = World(tmp_path / "scratch", seed=3, remote=remote)
    fill(world, 30)
    return world


def _history(world: World, branch: str) -> list[tuple[str, str, list[str], str, str]]:
    """The commits of a branch, the newest first: id, root tree, parents, author, message."""
    remote: Any = world.remote
    if isinstance(remote, MemoryRemote):
        head = remote.head if branch == "main" else remote.branches.get(branch)
        found = remote.history(head)
        return [(n, tree_id(c.tree), [c.parent] if c.parent else [], c.author, c.message) for n, c in found]
    text = remote._git("log", f"--format={FIELDS}", branch).decode()
    rows = (row.strip("\n").split("\2") for row in text.split("\1") if row.strip("\n"))
    return [(name, tree, parents.split(), author, message) for name, tree, parents, author, message in rows]


def _subtree(world: World, commit: str, folder: str) -> str:
    remote: Any = world.remote
    if isinstance(remote, MemoryRemote):
        start = f"{folder}/" if folder else ""
        whole = remote.commits[commit].tree
        return tree_id({f.removeprefix(start): b for f, b in whole.items() if f.startswith(start)})
    return str(remote._git("rev-parse", f"{commit}:{folder}").decode().strip())


def _check(world: World, folders: tuple[str, ...] = FOLDERS) -> None:
    """Each branch shows its folder as of the last backup, and its commits follow those that changed it."""
    head = str(world.remote.head)
    for row in _store(world).followed():
        history = _history(world, row.branch)
        assert history[0][1] == _subtree(world, head, row.tree) == row.shown
        assert (row.head, row.at) == (history[0][0], head)
        assert all(len(parents) == 1 for _, _, parents, _, _ in history[:-1])
    assert {f.tree for f in _store(world).followed()} == set(folders)


def test_branches_follow_a_living_workspace_author_by_author(world: World) -> None:
    _link(world)
    for _ in range(5):
        run = world.back_up()
        assert succeeded(run), run
        _check(world)
        live(world, 12)
    main = {name: (author, tree) for name, tree, _, author, _ in _history(world, "main")}
    for row in _store(world).followed():
        for _, tree, _, author, message in _history(world, row.branch):
            (followed,) = [line[15:] for line in message.splitlines() if line.startswith("Backup-Commit: ")]
            assert author == main[followed][0]
            assert tree == _subtree(world, followed, row.tree)
    whole = [tree for _, tree, _, _, _ in _history(world, "folders/%root")]
    assert whole == [tree for _, tree, _, _, _ in _history(world, "main")][: len(whole)]
    assert len(whole) > 5


def test_a_run_without_changes_moves_no_branch(world: World) -> None:
    _link(world)
    world.back_up()
    before = {f.branch: _history(world, f.branch) for f in _store(world).followed()}
    run = world.back_up()
    assert (succeeded(run), run["notices"]) == (True, [])
    assert {f.branch: _history(world, f.branch) for f in _store(world).followed()} == before


def _set(world: World, branch: str, commit: str | None) -> None:
    remote: Any = world.remote
    if isinstance(remote, MemoryRemote):
        remote.branches[branch] = str(commit)
        if commit is None:
            del remote.branches[branch]
    else:
        remote._git("update-ref", *([f"refs/heads/{branch}", commit] if commit else ["-d", f"refs/heads/{branch}"]))


def _commit_of_person(world: World, tree_of: str, parents: list[str], message: str = "mine") -> str:
    """A commit by somebody, with the tree of another commit."""
    remote: Any = world.remote
    if isinstance(remote, MemoryRemote):
        when = remote.commits[tree_of].when
        parent = parents[0] if parents else None
        return remote.enter(MemoryCommit(parent, remote.commits[tree_of].tree, message, "grace <g@x> 2026-01-01", when))
    who = ["-c", "user.name=grace", "-c", "user.email=g@example.com", "commit-tree", "-m", message]
    return str(remote._git(*who, f"{tree_of}^{{tree}}", *(f"-p{p}" for p in parents)).decode().strip())


def _prepared(world: World) -> GitFolder:
    """Two backups, the second of which changed the folder."""
    _link(world)
    world.back_up()
    world.model.apply("create", "ada", path="/Clients/etl/second", language="SQL", content="-- 2\n")
    world.back_up()
    return _store(world).get("/Clients/etl")


@pytest.mark.parametrize("changed", [True, False], ids=["and the folder changed", "and nothing else"])
@pytest.mark.parametrize("what", ["deleted", "rewound", "committed", "forced"])
def test_what_people_do_to_a_branch_is_settled_and_told(world: World, what: str, changed: bool) -> None:
    row = _prepared(world)
    before = [name for name, *_ in _history(world, row.branch)]
    other = next(name for name, *_ in _history(world, "folders/Reports"))
    moved = {
        "deleted": lambda: None,
        "rewound": lambda: before[1],
        "committed": lambda: _commit_of_person(world, other, [before[0]]),
        "forced": lambda: _commit_of_person(world, other, []),
    }[what]()
    _set(world, row.branch, moved)
    if changed:
        world.model.apply("create", "ada", path="/Clients/etl/third", language="SQL", content="-- 3\n")
    run = world.back_up()
    code = {"deleted": "revived", "rewound": "rewound", "committed": "edited", "forced": "rewritten"}[what]
    assert [n["code"] for n in run["notices"]] == [f"folder_branch_{code}"]
    assert succeeded(run)
    _check(world)
    after = [name for name, *_ in _history(world, row.branch)]
    if what == "forced":
        assert moved in after
    else:
        assert after[-len(before) :] == before
    assert moved is None or moved in after
    assert world.back_up()["notices"] == []


def test_a_persons_commit_with_the_backups_message_is_told_of(world: World) -> None:
    row = _prepared(world)
    head, _, _, _, message = _history(world, row.branch)[0]
    other = next(name for name, *_ in _history(world, "folders/Reports"))
    _set(world, row.branch, _commit_of_person(world, other, [head], message))
    assert [n["code"] for n in world.back_up()["notices"]] == ["folder_branch_edited"]
    _check(world)
    assert world.back_up()["notices"] == []


def test_a_branch_whose_commits_are_lost_begins_anew(tmp_path: Path) -> None:
    remote = MemoryRemote()
    world = World(tmp_path, remote=remote)
    fill(world)
    row = _prepared(world)
    for name, *_ in _history(world, row.branch):
        remote.commits.pop(name)
    del remote.branches[row.branch]
    run = world.back_up()
    assert [n["code"] for n in run["notices"]] == ["folder_branch_lost"]
    _check(world)
    assert len(_history(world, row.branch)) == 1


POINTS = {
    "about to build": CrashPoint("before", r"branches\.build\("),
    "built, not pushed": CrashPoint("before", r"branches\.push\("),
    "pushed, answer lost": CrashPoint("after", r"branches\.push\("),
    "rows half written": CrashPoint("after", r"tables\.upsert_many\(gitfolders"),
}


@pytest.mark.parametrize("first", [True, False], ids=["new branches", "known branches"])
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_is_caught_up_with(world: World, point: str, first: bool) -> None:
    if not first:
        _link(world)
    world.back_up()
    live(world, 12)
    if first:
        _link(world)
    tap = CrashTap(POINTS[point], play_dead)
    world.process(tap)
    world.back_up()
    assert tap.dead
    world.back_up()
    _check(world)
    for row in _store(world).followed():
        trees = [tree for _, tree, *_ in _history(world, row.branch)]
        assert all(one != other for one, other in itertools.pairwise(trees)), "a commit came twice"


def test_a_server_that_refuses_keeps_no_backup_from_succeeding(tmp_path: Path) -> None:
    world = World(tmp_path, seed=2)
    fill(world)
    _prepared(world)
    live(world, 6)
    world.model.apply("create", "ada", path="/Clients/etl/third", language="SQL", content="-- 3\n")
    world.process()
    service: Any = world.app.drive._folders._following
    service._branches.push = lambda moves: {move.branch for move in moves}
    run = world.back_up()
    assert succeeded(run)
    assert {n["code"] for n in run["notices"]} == {"folder_branch_refused"}
    world.process()
    world.model.apply("create", "ada", path="/Clients/etl/fourth", language="SQL", content="-- 4\n")
    assert world.back_up()["notices"] == []
    _check(world)
