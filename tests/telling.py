"""A made-up history of notebooks, in a version index, beside the plain list of what happened in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.memory.clock import ManualClock
from local.memory.storage import MemoryBlobs
from shared.adapters.version_index import SqliteVersionIndex
from shared.domain.blob_ids import blob_id
from shared.domain.notebooks import ExportFormat, Language
from shared.domain.people import People
from shared.domain.repository_links import RepositoryLinks
from shared.domain.versions import CommitMark, CommitVersions, Version, VersionKind
from shared.protocols import IndexedChange, IndexedCommit
from shared.services.recovery.history import UnknownMoment
from shared.services.reporting.line_counter import LineCounter, LineLimits
from shared.services.reporting.reports import ReportService
from shared.services.state.version_log import VersionLog

ROOT = "/Clients"
MIDNIGHT_MS = 1_795_478_400_000
"""2026-11-24 in UTC."""
HOUR_MS = 3_600_000
REMOTE = "https://dev.azure.com/o/p/_git/r"


@dataclass(frozen=True)
class Event:
    """One thing that happened, as whoever did it would tell."""

    at_ms: int
    kind: VersionKind
    path: str
    author: str | None
    added: int
    removed: int
    other_path: str | None = None


@dataclass
class History:
    """Stands for the history service and for the contents; each `commit` takes what happened since the last."""

    index: SqliteVersionIndex
    log: VersionLog
    root: str = ROOT
    living: dict[str, frozenset[str]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    waiting: list[tuple[Version, dict[str, Any]]] = field(default_factory=list)
    last: CommitMark | None = None

    def changes(self, from_ms: int, to_ms: int) -> Iterator[IndexedChange]:
        return self.index.changes(from_ms, to_ms)

    def moment(self, at: str) -> IndexedCommit:
        found = self.index.latest()
        if found is None:
            raise UnknownMoment(at=at)
        return found

    def blobs(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        return ((blob, self.contents[blob]) for blob in ids if blob in self.contents)

    def write(self, path: str, lines: Iterable[str], author: str | None) -> None:
        """A person writes a notebook, whose lines are kept in order: then what came and went is plain to see."""
        old, new = self.living.get(path), frozenset(lines)
        kind = VersionKind.CREATED if old is None else VersionKind.CHANGED
        self._tell(path, kind, new, author, len(new - (old or set())), len((old or set()) - new))
        self.living[path] = new

    def delete(self, path: str, author: str | None) -> None:
        old = self.living.pop(path)
        self._tell(path, VersionKind.DELETED, old, author, 0, len(old))

    def move(self, path: str, to: str, lines: Iterable[str], author: str | None) -> None:
        """To a path where nothing is, with an edit on the way."""
        old, new = self.living.pop(path), frozenset(lines)
        self._tell(path, VersionKind.MOVED_AWAY, old, author, 0, 0, to)
        self._tell(to, VersionKind.RENAMED, new, author, len(new - old), len(old - new), path)
        self.living[to] = new

    def overrule(self, path: str, pushed: Iterable[str], author: str | None) -> None:
        """Somebody edits the file on the branch, and the backup writes the workspace's content again."""
        ours, theirs = self.living[path], frozenset(pushed)
        self._tell(path, VersionKind.BRANCH_EDIT, theirs, None, len(theirs - ours), len(ours - theirs))
        self._tell(path, VersionKind.CONFLICT, ours, author, len(ours - theirs), len(theirs - ours))

    def commit(self, at_ms: int) -> None:
        sequence = self.last.sequence + 1 if self.last else 1
        mark = CommitMark(sequence, f"{sequence:040x}")
        versions = tuple(version for version, _ in self.waiting)
        branch = "b" * 40 if any(v.kind is VersionKind.BRANCH_EDIT for v in versions) else None
        found = CommitVersions(mark, self.last, f"run-{sequence}", at_ms, "Backup", "backup", branch, versions)
        self.log.save([found])
        self.index.apply([found])
        self.events += [Event(at_ms, **event) for _, event in self.waiting]
        self.waiting, self.last = [], mark

    def _tell(
        self,
        path: str,
        kind: VersionKind,
        lines: frozenset[str],
        author: str | None,
        added: int,
        removed: int,
        other_path: str | None = None,
    ) -> None:
        data = "".join(f"{line}\n" for line in sorted(lines)).encode()
        blob = blob_id(data)
        self.contents[blob] = data
        version = Version(
            path=path,
            kind=kind,
            file=f"file of {path}.py".encode("utf-8", "backslashreplace").decode(),
            blob=blob,
            language=Language.PYTHON,
            format=ExportFormat.SOURCE,
            size=len(data),
            other_path=other_path,
            author=author,
        )
        event = {"kind": kind, "path": path, "author": author, "other_path": other_path}
        self.waiting.append((version, {**event, "added": added, "removed": removed}))


def new_history(folder: Path) -> History:
    """An empty one, whose index is a file of its own in `folder`."""
    log = VersionLog(MemoryBlobs(ManualClock()))
    return History(SqliteVersionIndex(folder / f"history-{len(list(folder.iterdir()))}.sqlite"), log)


def reports(
    history: History, people: str = "", *, remote: str = REMOTE, limits: LineLimits | None = None
) -> ReportService:
    """The service over a made-up history."""
    clock = ManualClock()
    return ReportService(
        history=history,
        lines=LineCounter(history, clock, limits or LineLimits()),
        people=People.parse(people),
        links=RepositoryLinks.of(remote),
        clock=clock,
    )
