"""The branches of Git folders in the repository, beside the backup's own branch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.protocols.repository import Signature

PLAIN, EXECUTABLE, SUBMODULE = "100644", "100755", "160000"
"""Modes of a tree's entries."""


@dataclass(frozen=True, slots=True)
class BackupCommit:
    """A commit of the backup branch, with what a commit that follows it takes over."""

    commit: str
    author: Signature
    committer: Signature
    message: str


@dataclass(frozen=True, slots=True)
class Link:
    """A commit to make: its root tree, by id, and whose work it is.

    With `onto` it is a merge: it follows on that commit first, and on the one before it in the chain second.
    `files` differ from the tree: their blobs, which the remote holds, or None for those that are left out; `modes`
    are those of files that are no plain ones.
    """

    tree: str
    author: Signature
    committer: Signature
    message: str
    onto: str | None = None
    files: Mapping[str, str | None] = field(default_factory=dict)
    modes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BranchChain:
    """Commits to make, one after the other, on `parent`; on nothing where that is None."""

    parent: str | None
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class BranchMove:
    """A branch to bring to a commit that follows on where it is; it is made where it is not there."""

    branch: str
    commit: str


@dataclass(frozen=True, slots=True)
class BranchHead:
    """A branch's commit: its root tree and its message."""

    tree: str
    message: str


@dataclass(frozen=True, slots=True)
class BranchCommit:
    """A commit of a branch with what it changed, file by file: the new blob, or None; nothing for a merge.

    `committer` is the committer's address.
    """

    commit: str
    author: Signature
    committer: str
    message: str
    files: Mapping[str, str | None]


class FolderBranches(Protocol):
    """Branches whose root trees are folders of the backup branch. All raise `RepositoryError`."""

    def heads(self, prefix: str) -> dict[str, str]:
        """The remote's branches whose name begins with `prefix`, with their commits."""
        ...

    def default_branch(self) -> str | None:
        """The branch that a clone checks out; None where the server does not say."""
        ...

    def describe(self, commits: Collection[str]) -> dict[str, BranchHead]:
        """The commits that the remote holds, brought here; one that it no longer holds is left out."""
        ...

    def contains(self, head: str, commit: str) -> bool:
        """Whether `commit` is `head` or in its history, both brought here before."""
        ...

    def common(self, one: str, other: str) -> str | None:
        """The newest commit that is in the history of both; None where they have none in common."""
        ...

    def edits(self, head: str, after: str) -> list[BranchCommit]:
        """The commits that are in the history of `head` and not in that of `after`, parents before children.

        `after` must be in the history of `head`, as `contains` tells.
        """
        ...

    def modes(self, commit: str) -> dict[str, str]:
        """The modes of what is more than a plain file in a commit's tree, as Git writes them.

        `EXECUTABLE` is a file, too; links and other repositories are none.
        """
        ...

    def since(self, head: str, after: str | None) -> list[BackupCommit]:
        """The backup's commits that come after `after` up to `head`, the oldest first.

        `head` alone where `after` is None, or not in its history, or very long ago.
        """
        ...

    def subtrees(self, commits: Sequence[str], folders: Collection[str]) -> dict[tuple[str, str], str]:
        """The tree ids of folders in the backup's commits, by commit and folder; the folder `` is the whole tree.

        A folder that a commit does not have is left out.
        """
        ...

    def build(self, chains: Sequence[BranchChain]) -> list[str]:
        """Make the commits, here alone; returns the last one of each chain."""
        ...

    def remove(self, branch: str, commit: str) -> bool:
        """Remove a branch that is at a commit; whether it is gone. One that moved on stays."""
        ...

    def push(self, moves: Iterable[BranchMove]) -> set[str]:
        """Move branches, fast-forward only and never forced, some hundreds at a time; returns those refused."""
        ...
