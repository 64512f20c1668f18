"""The index of every version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.domain.versions import CommitMark, CommitVersions, LateAuthor, Version


@dataclass(frozen=True, slots=True)
class IndexedCommit:
    """A commit as the index knows it: `sequence` orders all of them, `is_backup` is False for a person's."""

    sequence: int
    commit: str
    committed_at: int
    run_id: str
    message: str
    is_backup: bool


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A version with the commit that made it."""

    commit: IndexedCommit
    version: Version


@dataclass(frozen=True, slots=True)
class IndexedChange:
    """A version with the one that it followed on: at its path, or of a renamed one at the path it came from.

    `before` is None where nothing was there; what somebody pushed to the branch counts as having been there.
    """

    found: IndexedVersion
    before: Version | None


class VersionIndex(Protocol):
    """Every version of every notebook, to be asked quickly. A cache: it is made again from the version log.

    `sequence` arguments are those of `IndexedCommit`; a question about one means "as of it".
    """

    def last(self) -> CommitMark | None:
        """The last backup that the index holds, None where it is empty."""
        ...

    def apply(self, commits: Iterable[CommitVersions], *, anew: bool = False) -> None:
        """Add commits, the oldest first, or replace everything by them; all of it, or nothing."""
        ...

    def save(self, target: Path) -> None:
        """Write a compact copy of the whole index to a file."""
        ...

    def load(self, source: Path) -> None:
        """Replace the index by a copy. Raises `ValueError` where the file is none, or of another version."""
        ...

    def latest(self) -> IndexedCommit | None:
        """The last backup."""
        ...

    def backup_by(self, when_ms: int) -> IndexedCommit | None:
        """The last backup that was committed by then (Unix time in milliseconds)."""
        ...

    def commits(self, prefix: str) -> list[IndexedCommit]:
        """Commits whose id begins with `prefix`, two at the most: more than one is ambiguous."""
        ...

    def versions(self, path: str) -> list[IndexedVersion]:
        """Every version of a notebook, the newest first, with those from before it was renamed."""
        ...

    def version(self, path: str, sequence: int) -> IndexedVersion | None:
        """The version of a notebook, which may be one that it is gone with; None where it never was."""
        ...

    def below(self, folder: str, sequence: int, after: str = "") -> Iterator[IndexedVersion]:
        """The notebooks that a folder held, at any depth, in path order, one at a time; those above `after` alone."""
        ...

    def children(
        self, folder: str, sequence: int, limit: int | None = None, offset: int = 0
    ) -> tuple[list[str], list[IndexedVersion]]:
        """The folders, by path, and then the notebooks that a folder held itself: `limit` of them after `offset`."""
        ...

    def find(self, text: str, *, deleted: bool) -> Iterator[IndexedVersion]:
        """Notebooks whose path holds `text`, whatever its case, one at a time: living ones, or those that are gone."""
        ...

    def unattributed(self, since_ms: int) -> list[IndexedVersion]:
        """Versions of backups since then (Unix milliseconds) whose author nobody knew, people's edits left out."""
        ...

    def corrections(self) -> set[str]:
        """Names of the corrections that the index holds already."""
        ...

    def correct(self, name: str, authors: Iterable[LateAuthor]) -> None:
        """Enter authors that were found later under a name; again changes nothing."""
        ...

    def changes(self, from_ms: int, to_ms: int) -> Iterator[IndexedChange]:
        """The versions committed from one time until before another (Unix time in milliseconds).

        They come by commit, the oldest first, and in path order within one; read on as they are asked for.
        """
        ...
