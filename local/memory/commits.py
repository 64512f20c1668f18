"""A commit as the repository in memory holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

type Tree = dict[str, str]
"""Files with their blob ids."""


@dataclass(frozen=True)
class MemoryCommit:
    """One commit: its parent, its whole tree (file to blob id), and what it says; `merged` is a second parent."""

    parent: str | None
    tree: Tree
    message: str
    author: str
    when: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    merged: str | None = None


def remove(tree: Tree, file: str) -> None:
    """Take a file, or all that lies below a folder, out of a tree."""
    for name in [f for f in tree if f == file or f.startswith(f"{file}/")]:
        del tree[name]


def place(tree: Tree, file: str, blob: str) -> None:
    """As Git does: a file takes the place of a folder of its name, and of files on the way to it."""
    remove(tree, file)
    parent = file
    while "/" in parent:
        parent = parent.rpartition("/")[0]
        tree.pop(parent, None)
    tree[file] = blob
