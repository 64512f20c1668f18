"""The Git repository that holds the backup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.notebooks import MOST_NOTEBOOK_BYTES
from shared.domain.own_commits import ToldCommit


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Put a blob into the tree at `file`: bytes from `source`, a callable's iterator of chunks, `size` in all."""

    file: str
    size: int
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class PointFile:
    """Put an existing Git blob, by its object id, into the tree at `file`, with a mode as Git writes it."""

    file: str
    blob: str
    mode: str = "100644"


@dataclass(frozen=True, slots=True)
class Signature:
    """Who and when, for a commit's author or committer; `when` is aware."""

    name: str
    email: str
    when: datetime


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a commit: its blob, None where it was removed; `old_file` where the same blob was moved from."""

    file: str
    blob: str | None
    old_file: str | None = None


@dataclass(frozen=True, slots=True)
class GitCommit:
    """A commit with what it changed against its first parent; `when` is the committer's time, aware.

    `mail` and `committer` are the addresses of its author and its committer.
    """

    commit: str
    when: datetime
    author: str
    mail: str
    committer: str
    message: str
    changes: tuple[FileChange, ...]


class Repository(Protocol):
    """The Git repository that holds the backup, through a bare blobless mirror and one remote branch."""

    def fetch(self) -> str | None:
        """Bring the mirror to the remote branch's head and return its commit id; None where it does not exist."""
        ...

    def tree(self, commit: str) -> dict[str, str]:
        """Every file of a commit's tree with its blob id. A file is a slash-joined path, any Unicode but NUL."""
        ...

    def changes(self, parent: str | None, commit: str) -> dict[str, str | None]:
        """Files that differ between two commits' trees, with their blob id in `commit`; None where it has none."""
        ...

    def build_commit(
        self,
        parent: str | None,
        deletes: Iterable[str],
        writes: Iterable[WriteFile | PointFile],
        message: str,
        author: Signature,
        committer: Signature,
    ) -> str | None:
        """Make a commit on `parent` locally, deletes first; None where the tree would be the parent's own.

        Nothing moves but a private ref. Raises `RepositoryError`; a stream that ends early makes nothing.
        """
        ...

    def push(self, commit: str, expected: str | None) -> None:
        """Move the remote branch from `expected` to `commit`, fast-forward only, never forced.

        The commits between them go with it; each follows on one other alone.

        Raises `RemoteMoved` where the branch is no longer at `expected`, `RepositoryError` otherwise.
        A push that had its effect but lost its answer is found by `fetch`.
        """
        ...

    def message(self, commit: str) -> str:
        """A commit's message."""
        ...

    def messages_with(self, head: str, start: str) -> list[str]:
        """The messages in the history of `head` that have a line which begins with `start` (plain text)."""
        ...

    def commits_with(self, head: str, start: str) -> list[ToldCommit]:
        """The commits in the history of `head` that have such a line."""
        ...

    def parents(self, head: str) -> dict[str, tuple[str, ...]]:
        """Every commit in the history of `head`, children before parents, with those that it follows on."""
        ...

    def revive(self, commit: str) -> bool:
        """Make the missing remote branch again at a commit that the remote may still hold; whether it was."""
        ...

    def contains(self, head: str, commit: str) -> bool:
        """Whether `commit` is `head` or in its history; False too for one that the remote does not hold."""
        ...

    def own_files(self, head: str) -> set[str]:
        """Files that the backup's own commits (`has_own_form`) ever wrote, in the history of `head`."""
        ...

    def history(self, head: str) -> Iterator[GitCommit]:
        """The commits up to `head`, the oldest first, with the files that each changed."""
        ...

    def blobs(self, ids: Iterable[str], most_bytes: int = MOST_NOTEBOOK_BYTES) -> Iterator[tuple[str, bytes]]:
        """Blobs by id, each once, one at a time; one of more than `most_bytes` is left out, and not read.

        Raises `RepositoryError` where the remote does not hold one.
        """
        ...

    def check(self) -> list[str]:
        """Problems that a full check of the mirror finds; none where it is whole."""
        ...

    def forget(self) -> None:
        """Drop the mirror, which is a cache: the next call makes it again."""
        ...


class Contents(Protocol):
    """A cache of notebook contents by Git blob id."""

    def get(self, blob: str) -> bytes | None:
        """The bytes, proved to be those of the id, or None."""
        ...

    def put(self, blob: str, data: bytes) -> None:
        """Keep bytes for a while."""
        ...
