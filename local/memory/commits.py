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
