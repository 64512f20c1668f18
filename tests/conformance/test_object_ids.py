"""No adapter gives git, or a server, what is no whole id of an object."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.memory.repository import MemoryRemote
from shared.adapters.git_blobs import DirectBlobs
from shared.adapters.repository import GitRepository
from shared.domain.tags import Tag
from shared.errors import BadObjectId
from shared.protocols import PointFile, Signature
from shared.protocols.folder_branches import BranchChain, BranchMove, Link

GOOD = "a" * 40
WHO = Signature("Backup", "backup@example.com", datetime(2026, 1, 1, tzinfo=UTC))
BAD = [
    "",
    "HEAD",
    "--output=/tmp/x",
    "-" + "a" * 39,
    "^" + GOOD,
    f"{GOOD}^",
    f"{GOOD}..{GOOD}",
    f"{GOOD}\n",
    GOOD[:7],
    GOOD.upper(),
    f"+{GOOD}:refs/heads/main",
    f"{GOOD}:refs/heads/main",
    f" {GOOD}",
    "à" * 40,
]
type Call = Callable[[Any, str], object]


def _link(tree: str = GOOD, onto: str | None = None, **files: str) -> BranchChain:
    return BranchChain(None, (Link(tree, WHO, WHO, "m", onto, files),))


CALLS: dict[str, Call] = {
    "tree": lambda r, i: r.tree(i),
    "changes from": lambda r, i: r.changes(i, GOOD),
    "changes to": lambda r, i: r.changes(GOOD, i),
    "changes alone": lambda r, i: r.changes(None, i),
    "build on": lambda r, i: r.build_commit(i, (), (), "m", WHO, WHO),
    "build with": lambda r, i: r.build_commit(None, (), [PointFile("a", i)], "m", WHO, WHO),
    "push": lambda r, i: r.push(i, GOOD),
    "push onto": lambda r, i: r.push(GOOD, i),
    "revive": lambda r, i: r.revive(i),
    "contains": lambda r, i: r.contains(GOOD, i),
    "contains in": lambda r, i: r.contains(i, GOOD),
    "contains itself": lambda r, i: r.contains(i, i),
    "own_files": lambda r, i: r.own_files(i),
    "history": lambda r, i: list(r.history(i)),
    "message": lambda r, i: r.message(i),
    "messages with": lambda r, i: r.messages_with(i, "x"),
    "commits with": lambda r, i: r.commits_with(i, "x"),
    "parents": lambda r, i: r.parents(i),
    "blobs": lambda r, i: list(r.blobs([GOOD, i])),
    "describe": lambda r, i: r.branches().describe({GOOD, i}),
    "branch contains": lambda r, i: r.branches().contains(GOOD, i),
    "common": lambda r, i: r.branches().common(GOOD, i),
    "edits": lambda r, i: r.branches().edits(i, GOOD),
    "edits after": lambda r, i: r.branches().edits(GOOD, i),
    "modes": lambda r, i: r.branches().modes(i),
    "since": lambda r, i: r.branches().since(i, None),
    "since after": lambda r, i: r.branches().since(GOOD, i),
    "subtrees": lambda r, i: r.branches().subtrees([i], ["a"]),
    "chain on": lambda r, i: r.branches().build([BranchChain(i, _link().links)]),
    "link tree": lambda r, i: r.branches().build([_link(i)]),
    "link onto": lambda r, i: r.branches().build([_link(onto=i)]),
    "link file": lambda r, i: r.branches().build([_link(file=i)]),
    "remove": lambda r, i: r.branches().remove("b", i),
    "move": lambda r, i: r.branches().push([BranchMove("b", i)]),
    "tag": lambda r, i: r.tags().create("v1", i, "m", WHO),
    "tag away": lambda r, i: r.tags().delete(Tag("v1", GOOD, i)),
}


@pytest.mark.parametrize("kind", ["memory", "git"])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_whole_id_reaches_no_git(tmp_path: Path, kind: str, call: str) -> None:
    mirror = tmp_path / "mirror.git"
    git = GitRepository(f"file://{tmp_path}/none.git", "main", mirror, lambda: "Basic eDp4")
    repository = MemoryRemote().mirror(tmp_path) if kind == "memory" else git
    for bad in BAD:
        with pytest.raises(BadObjectId, match="40 hexadecimal digits"):
            CALLS[call](repository, bad)
    # Where any git ran, it made the mirror first.
    assert not mirror.exists()


def test_no_such_id_is_asked_of_a_server() -> None:
    asked: list[str] = []
    direct = DirectBlobs("https://git.example.com/r", lambda: asked.append("") or "Basic eDp4")
    for bad in BAD:
        with pytest.raises(BadObjectId):
            direct.get([GOOD, bad])
    assert asked == []
