"""What people do with Git: commits on folders' branches, pull requests, work in Git folders and on other branches."""

from __future__ import annotations

from collections import Counter
from typing import Any

from local.memory.branches import tree_id
from local.memory.commits import MemoryCommit, Tree
from local.memory.world import World
from local.workspace.content import EXTENSION
from local.workspace.model import ApiError
from shared.domain.blob_ids import blob_id
from shared.services.git_folders.brought import BroughtStore
from shared.services.git_folders.operations import OperationKind
from shared.services.git_folders.store import FolderState, GitFolder, GitFolderStore
from shared.services.state.manifests import ManifestStore
from tests.git_folders import clients, operate, outcomes, small_limits, text

type Change = dict[str, str | None]
"""Files below the folder with what they are to hold; None removes one."""


def converted(world: World) -> World:
    """Three clients, each a Git folder, all backed up."""
    world.workspace.behaviour.rename = True
    clients(world)
    world.back_up()
    small_limits(world)
    world.endpoints.limits["notebooks"] = 100
    assert set(outcomes(operate(world, OperationKind.CONVERT)).values()) == {"converted"}
    world.back_up()
    check_together(world)
    return world


def notebook(body: str, language: str = "PYTHON") -> str:
    """A notebook's file."""
    return text(language, body)


def codes(run: dict[str, Any]) -> Counter[str]:
    """What a run gives notice of."""
    return Counter(n["code"] for n in run["notices"])


def folders(world: World) -> list[GitFolder]:
    """The converted folders."""
    return [f for f in GitFolderStore(world.tables, world.clock).folders() if f.state is FolderState.CONVERTED]


def folder(world: World, path: str) -> GitFolder:
    """One folder's row."""
    return GitFolderStore(world.tables, world.clock).get(path)


def commit(
    world: World, branch: str, change: Change, author: str = "grace", *, onto: str | None = None, message: str = ""
) -> str:
    """A commit on a branch, or on a commit without moving any branch; returns its id."""
    remote: Any = world.remote
    parent = onto or remote.branches[branch]
    tree: Tree = dict(remote.commits[parent].tree)
    for file, content in change.items():
        tree.pop(file, None)
        if content is not None:
            tree[file] = remote.add(content.encode())
    made = MemoryCommit(parent, tree, message or f"by {author}", _who(world, author), world.clock.now())
    name = str(remote.enter(made))
    if onto is None:
        remote.branches[branch] = name
    return name


def merge_request(world: World, branch: str, change: Change, author: str = "grace", *, squash: bool = False) -> str:
    """A pull request of two commits that somebody completed; returns the branch's new head."""
    remote: Any = world.remote
    base = remote.branches[branch]
    files = sorted(change)
    if squash or len(files) < 2:
        return commit(world, branch, change, author)
    first = commit(world, branch, {f: change[f] for f in files[:1]}, author, onto=base)
    topic = commit(world, branch, {f: change[f] for f in files[1:]}, "linus", onto=first)
    tree = dict(remote.commits[topic].tree)
    merged = MemoryCommit(base, tree, "Merged PR 7", _who(world, "hopper"), world.clock.now(), topic)
    remote.branches[branch] = remote.enter(merged)
    return str(remote.branches[branch])


def working_tree(world: World, path: str) -> Tree:
    """What a Git folder holds, as files; those that are no notebooks as they were checked out."""
    repo = _repo(world, path)
    base = world.endpoints._base(repo)
    shown = {relative for _, relative in base.values()}
    found: Tree = {}
    for node in world.model.get(path).notebooks():
        relative = node.path[len(path) + 1 :]
        found[relative + EXTENSION[node.language or ""]] = blob_id(node.source())
    for file, (blob, relative) in base.items():
        node = world.model.find(f"{path}/{relative}")
        if relative in shown and node is not None and node.kind == "FILE":
            found[file] = blob
    return found


def commit_and_push(world: World, path: str, author: str = "ada") -> str | None:
    """Somebody commits all that they changed in a Git folder, as its dialog does; None where the branch moved on."""
    remote: Any = world.remote
    repo = _repo(world, path)
    branch, head = repo["branch"], repo["head_commit_id"]
    if branch is None or remote.branches.get(branch) != head:
        return None
    tree = working_tree(world, path)
    for node in world.model.get(path).notebooks():
        remote.add(node.source())
    if tree == remote.commits[head].tree:
        return None
    made = remote.enter(MemoryCommit(head, tree, f"{author} commits", _who(world, author), world.clock.now()))
    remote.branches[branch] = repo["head_commit_id"] = made
    shown = {file: _shown(file) for file in tree}
    world.endpoints._bases[repo["id"]] = {file: [blob, shown[file]] for file, blob in tree.items()}
    return str(made)


def switch(world: World, path: str, branch: str) -> bool:
    """Somebody brings a Git folder to another branch, made where it is missing; False where it refuses."""
    remote: Any = world.remote
    repo = _repo(world, path)
    remote.branches.setdefault(branch, repo["head_commit_id"])
    try:
        world.endpoints.repos("PATCH", repo["id"], {"branch": branch})
    except ApiError:
        return False
    return True


def shows(world: World, path: str) -> tuple[str | None, str]:
    """The branch and commit that a Git folder says it is at."""
    repo = _repo(world, path)
    return repo["branch"], repo["head_commit_id"]


def history(world: World, head: str) -> set[str]:
    """Every commit that a commit follows on."""
    remote: Any = world.remote
    return set(remote.lineage(head))


def check_together(world: World) -> None:
    """Repository, workspace and manifest agree; branches and Git folders that are on them show the same."""
    remote: Any = world.remote
    assert world.backed_up(own_files(world)) == world.notebooks()
    checkpoint = ManifestStore(world.blobs, world.tables, world.clock).load()
    assert checkpoint is not None
    nodes = {n.path: n for n in world.model.get("/Clients").notebooks()}
    assert {path: (e.object_id, e.blob) for path, e in checkpoint.manifest.items()} == {
        path: (n.object_id, blob_id(n.source())) for path, n in nodes.items()
    }
    assert all(b.taken for b in BroughtStore(world.blobs, world.clock).files().values())
    whole = remote.commits[remote.head].tree
    for row in folders(world):
        branch, commit = shows(world, row.path)
        if branch != row.branch:
            continue
        start = f"{row.tree}/"
        ours = {f[len(start) :]: b for f, b in whole.items() if f.startswith(start)}
        assert remote.branches[row.branch] == row.head == commit, row.path
        assert remote.commits[commit].tree == ours, row.path
        assert row.shown == tree_id(ours)
        assert working_tree(world, row.path) == ours, row.path


def own_files(world: World) -> dict[str, bytes]:
    """The branch's files without those that people keep for themselves."""
    return {f: d for f, d in world.remote.contents().items() if b"Databricks notebook source" in d}


def _shown(file: str) -> str:
    return file.rpartition(".")[0] if file.endswith(tuple(EXTENSION.values())) else file


def _repo(world: World, path: str) -> dict[str, Any]:
    found: dict[str, Any] = world.endpoints._repos[world.model.get(path).object_id]
    return found


def _who(world: World, name: str) -> str:
    when = world.clock.now().isoformat()
    return f"{name} <{name}@example.com> {when} {name} <{name}@example.com> {when}"
