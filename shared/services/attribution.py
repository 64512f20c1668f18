"""Attribution: who made each change, by the workspace's own record of acts.

A run reads the acts since those that it read last, and some days before, since rows come late. An author that is
found only after the commit goes into the history's index, beside the commit, which is never rewritten.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.domain.attribution import Authors, Changed, ChangeEvent
from shared.domain.batches import Notice
from shared.domain.versions import VersionKind
from shared.errors import DamagedBlob
from shared.protocols import BlobStore, ChangeLog, IndexedVersion, Tables
from shared.redaction import redact
from shared.services.history import HistoryService
from shared.services.runs import CHECKPOINTS

OVERLAP = timedelta(days=3)
"""How late a row of the audit table may come and still be read."""
_ROW = ("backup", "changes-read")
_log = logging.getLogger("backup.attribution")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of who did what, and what people should know of that."""

    authors: Authors
    notices: tuple[Notice, ...] = ()


class AttributionService:
    """Reads the change log; without one, nobody is known."""

    def __init__(
        self,
        *,
        log: ChangeLog | None,
        history: HistoryService,
        blobs: BlobStore,
        tables: Tables,
        clock: Clock,
        days: int,
    ) -> None:
        self._changes, self._history, self._blobs = log, history, blobs
        self._tables, self._clock, self._first = tables, clock, timedelta(days=days)

    def of_run(self, run_id: str) -> Known:
        """The authors for a run's commits: read once, the same for each of its steps.

        What keeps them from being read is a notice: the run goes on without.
        """
        name = f"changes/{run_id}.json.gz"
        if self._changes is None:
            return Known(Authors(()))
        try:
            ours, events = _decoded(self._blobs.get(name))
        except (KeyError, DamagedBlob):
            try:
                ours, events = self._read()
            except Exception as error:  # noqa: BLE001 - a run goes on without
                reason = f"who made the changes is not known yet: {redact(str(error))}"
                _log.warning("run %s: %s", run_id, reason, extra={"action": "attribution.read"})
                return Known(Authors(()), (Notice("system.access.audit", "authors_unknown", reason),))
            self._blobs.put(name, _encoded(ours, events))
            self._tables.upsert(CHECKPOINTS, *_ROW, {"read_at": self._clock.now().isoformat()})
        return Known(Authors(events, ours))

    def catch_up(self, identity: str) -> int:
        """Find authors of the last days' versions in rows that came late; returns for how many.

        Raises `WorkspaceError`: it is tried again the next day.
        """
        if self._changes is None:
            return 0
        since = int((self._clock.now() - OVERLAP).timestamp() * 1000)
        waiting = self._history.unattributed(since)
        if not waiting:
            return 0
        ours, events = self._read()
        authors = Authors(events, ours)
        found = [(v.commit.commit, v.version.path, who) for v in waiting if (who := self._author(authors, v))]
        if found:
            self._history.correct_authors(identity, found)
        return len(found)

    def _author(self, authors: Authors, found: IndexedVersion) -> str | None:
        version, kind = found.version, found.version.kind
        if kind is VersionKind.DELETED:
            held = self._history.before(version.path, found.commit.sequence)
            since = held.commit.committed_at if held else 0
            return authors.of_removal(version.path, 0, since - int(OVERLAP.total_seconds() * 1000))
        if version.modified_at is None:
            return None
        path, old = version.path, None
        if kind is VersionKind.RENAMED:
            old = version.other_path
        elif kind is VersionKind.MOVED_AWAY:
            path, old = str(version.other_path), version.path
        held = self._history.before(old, found.commit.sequence) if old else None
        return authors.of(Changed(path, 0, version.modified_at, old, held.version.modified_at if held else None))

    def _read(self) -> tuple[list[str], list[ChangeEvent]]:
        assert self._changes is not None  # noqa: S101 - asked by the callers
        now = self._clock.now()
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        since = datetime.fromisoformat(str(stored.row["read_at"])) - OVERLAP if stored else now - self._first
        ours = self._changes.ours()
        return ours, list(self._changes.events(int(since.timestamp() * 1000), int(now.timestamp() * 1000) + 1))


def _encoded(ours: Iterable[str], events: Iterable[ChangeEvent]) -> bytes:
    return gzip.compress(json.dumps([list(ours), [astuple(e) for e in events]]).encode(), compresslevel=1, mtime=0)


def _decoded(data: bytes) -> tuple[list[str], list[ChangeEvent]]:
    ours, events = json.loads(gzip.decompress(data))
    return ours, [ChangeEvent(*event) for event in events]
