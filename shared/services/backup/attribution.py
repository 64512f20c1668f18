"""Attribution: who made each change, by the workspace's own record of acts and by what restores wrote.

A run reads the acts since those that it read last, and some days before, since rows come late. An author that is
found only after the commit goes into the history's index, beside the commit, which is never rewritten.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.domain.attribution import Authors, Changed, ChangeEvent, Maker, RestoreWrite, RestoreWrites
from shared.domain.batches import Notice
from shared.domain.versions import LateAuthor, VersionKind
from shared.errors import DamagedBlob
from shared.protocols import BlobStore, ChangeLog, IndexedVersion, Tables
from shared.redaction import redact
from shared.services.backup.restored import RestoredNotebooks
from shared.services.git_folders.brought import BroughtStore
from shared.services.recovery.history import HistoryService
from shared.services.state.runs import CHECKPOINTS

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
    """Reads the change log and what restores wrote; without a log, only who asked for restores is known."""

    def __init__(
        self,
        *,
        log: ChangeLog | None,
        restores: RestoredNotebooks,
        brought: BroughtStore,
        history: HistoryService,
        blobs: BlobStore,
        tables: Tables,
        clock: Clock,
        days: int,
    ) -> None:
        self._changes, self._restores, self._history, self._blobs = log, restores, history, blobs
        self._brought = brought
        self._tables, self._clock, self._first = tables, clock, timedelta(days=days)

    def of_run(self, run_id: str) -> Known:
        """The authors for a run's commits: read once, the same for each of its steps.

        What keeps the log from being read is a notice: the run goes on with what restores tell.
        """
        name = f"changes/{run_id}.json.gz"
        try:
            return Known(_decoded(self._blobs.get(name)).authors)
        except (KeyError, DamagedBlob):
            since = self._since()
        restored = self._own(since)
        try:
            acts = self._read(since, restored)
        except Exception as error:  # noqa: BLE001 - a run goes on without
            reason = f"who made the changes is not known yet: {redact(str(error))}"
            _log.warning("run %s: %s", run_id, reason, extra={"action": "attribution.read"})
            return Known(restored.authors, (Notice("system.access.audit", "authors_unknown", reason),))
        self._blobs.put(name, _encoded(acts))
        self._tables.upsert(CHECKPOINTS, *_ROW, {"read_at": self._clock.now().isoformat()})
        return Known(acts.authors)

    def catch_up(self, identity: str) -> int:
        """Find authors of the last days' versions in what came late; returns for how many.

        Raises `WorkspaceError` where the log does not answer: it is tried again the next day.
        """
        waiting = self._history.unattributed(int((self._clock.now() - OVERLAP).timestamp() * 1000))
        if not waiting:
            return 0
        since = self._since()
        restored = self._own(since)
        try:
            acts = self._read(since, restored)
        except Exception:
            self._enter(f"{identity}-restores", waiting, restored.authors)
            raise
        return self._enter(identity, waiting, acts.authors)

    def _enter(self, identity: str, waiting: Iterable[IndexedVersion], authors: Authors) -> int:
        found = [late for v in waiting if (late := _late(v, self._maker(authors, v)))]
        if found:
            self._history.correct_authors(identity, found)
        return len(found)

    def _maker(self, authors: Authors, found: IndexedVersion) -> Maker:
        version, kind = found.version, found.version.kind
        if kind is VersionKind.DELETED:
            held = self._history.before(version.path, found.commit.sequence)
            since = held.commit.committed_at if held else 0
            return authors.remover(version.path, 0, since - int(OVERLAP.total_seconds() * 1000))
        if version.modified_at is None:
            return Maker(None)
        path, old = version.path, None
        if kind is VersionKind.RENAMED:
            old = version.other_path
        elif kind is VersionKind.MOVED_AWAY:
            path, old = str(version.other_path), version.path
        held = self._history.before(old, found.commit.sequence) if old else None
        then = held.version.modified_at if held else None
        return authors.maker(Changed(path, 0, version.modified_at, old, then, version.sha256))

    def _since(self) -> datetime:
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        return (
            datetime.fromisoformat(str(stored.row["read_at"])) - OVERLAP if stored else self._clock.now() - self._first
        )

    def _own(self, since: datetime) -> _Acts:
        """What the backup itself knows: who asked for restores, and whose commits it showed in the workspace."""
        return _Acts(restores=self._restores.since(since), events=self._brought.events(since))

    def _read(self, since: datetime, restored: _Acts) -> _Acts:
        """The log's acts since then, beside those that are known without it."""
        if self._changes is None:
            return restored
        now = self._clock.now()
        ours = self._changes.ours()
        events = list(self._changes.events(int(since.timestamp() * 1000), int(now.timestamp() * 1000) + 1))
        return replace(restored, ours=ours, events=[*restored.events, *events])


@dataclass(frozen=True, slots=True)
class _Acts:
    """What was read: names of our own, acts of the log, and what restores did."""

    restores: list[RestoreWrite]
    ours: list[str] = field(default_factory=list)
    events: list[ChangeEvent] = field(default_factory=list)

    @property
    def authors(self) -> Authors:
        return Authors(self.events, self.ours, RestoreWrites(self.restores))


def _late(found: IndexedVersion, maker: Maker) -> LateAuthor | None:
    if maker.author is None:
        return None
    restore = maker.restore if found.version.kind is not VersionKind.MOVED_AWAY else None
    told = (restore.restore, restore.from_ms) if restore else (None, None)
    return LateAuthor(found.commit.commit, found.version.path, maker.author, *told)


def _encoded(acts: _Acts) -> bytes:
    body = [acts.ours, [astuple(e) for e in acts.events], [astuple(w) for w in acts.restores]]
    return gzip.compress(json.dumps(body).encode(), compresslevel=1, mtime=0)


def _decoded(data: bytes) -> _Acts:
    ours, events, *restores = json.loads(gzip.decompress(data))
    writes = [RestoreWrite(*write) for some in restores for write in some]
    return _Acts(writes, ours, [ChangeEvent(*event) for event in events])
