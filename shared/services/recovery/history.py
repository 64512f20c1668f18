"""The history of notebooks: an index of every version, kept as fresh as the checkpoint."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import threading
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import astuple
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from pathlib import Path

from shared.clock import Clock
from shared.domain.tags import AT_PREFIX
from shared.domain.times import parse_time
from shared.domain.versions import CommitMark, CommitVersions, LateAuthor
from shared.errors import BackupError, DamagedBlob
from shared.protocols import BlobStore, IndexedChange, IndexedCommit, IndexedVersion, Repository, VersionIndex
from shared.services.recovery.version_rebuild import versions_from_git
from shared.services.state.manifests import ManifestStore
from shared.services.state.version_log import VersionLog, VersionLogGap, copy_name

FRESH_SECONDS = 0.5
"""How long an answer may rest on a checkpoint that was read before."""
COPY_AFTER = 50
"""Backups since the last kept copy of the index after which another is made."""
COPIES_KEPT = 2
CORRECTED_SECONDS = 60.0
"""How long authors that another process found later may be missing."""
CORRECTIONS = "history-authors/"
FEWEST_DIGITS = 7
LATEST = "latest"
_log = logging.getLogger("backup.history")


class UnknownMoment(BackupError):
    """The backup knows no {at}. Give a commit of 7 characters or more, a date (2026-11-24), tag:NAME, or `latest`."""

    code = "unknown_moment"


class NotInBackup(BackupError):
    """The backup holds no notebook {path} as of {at}. Look at its versions, or search for its name."""

    code = "not_in_backup"


class HistoryService:
    """Answers from the index. The first question of a process may wait for the index to be made."""

    def __init__(
        self,
        *,
        index: VersionIndex,
        log: VersionLog,
        manifests: ManifestStore,
        repository: Repository,
        blobs: BlobStore,
        clock: Clock,
        root: str,
        scratch: Path,
        tagged: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._index, self._log_store = index, log
        self._manifests, self._repository = manifests, repository
        self._blobs, self._clock, self._root, self._scratch = blobs, clock, root, scratch
        self._tagged = tagged
        self._lock = threading.Lock()
        self._checked_at = self._corrected_at = float("-inf")

    @property
    def root(self) -> str:
        """The workspace folder that is backed up."""
        return self._root

    def moment(self, at: str) -> IndexedCommit:
        """The commit that a person means: an id, a date, a time, `tag:NAME`, or `latest`. Raises `UnknownMoment`."""
        self._refresh()
        found = self._index.latest() if at == LATEST else self._commit(at) or self._by(at) or self._of_tag(at)
        if found is None:
            raise UnknownMoment(at=at)
        return found

    def version(self, path: str, at: str) -> IndexedVersion:
        """A notebook as of a moment. Raises `UnknownMoment`, `NotInBackup`."""
        found = self._index.version(path, self.moment(at).sequence)
        if found is None or found.version.kind.gone:
            raise NotInBackup(path=path, at=at)
        return found

    def versions(self, path: str) -> list[IndexedVersion]:
        """Every version of a notebook, the newest first. Raises `NotInBackup` where there never was one."""
        self._refresh()
        found = self._index.versions(path)
        if not found:
            raise NotInBackup(path=path, at="any time")
        return found

    def below(self, folder: str, sequence: int, most: int | None = None, *, after: str = "") -> list[IndexedVersion]:
        """The notebooks that a folder held, at any depth, in path order: `most` of those above `after`."""
        self._refresh()
        return list(islice(self._index.below(folder.rstrip("/"), sequence, after), most))

    def children(
        self, folder: str, sequence: int, limit: int | None = None, offset: int = 0
    ) -> tuple[list[str], list[IndexedVersion]]:
        """The folders and then the notebooks that a folder held itself: `limit` of them after `offset`."""
        self._refresh()
        return self._index.children(folder.rstrip("/"), sequence, limit, offset)

    def find(
        self, text: str, *, deleted: bool, limit: int, shows: Callable[[str], bool] = lambda _: True
    ) -> list[IndexedVersion]:
        """Notebooks whose path holds a text: `limit` of those whose path `shows` lets through."""
        self._refresh()
        found = self._index.find(text, deleted=deleted)
        return list(islice((one for one in found if shows(one.version.path)), limit))

    def unattributed(self, since_ms: int) -> list[IndexedVersion]:
        """Versions of the backups since then (Unix milliseconds) whose author nobody knew."""
        self._refresh()
        return self._index.unattributed(since_ms)

    def before(self, path: str, sequence: int) -> IndexedVersion | None:
        """The version of a notebook that a commit found."""
        return self._index.version(path, sequence - 1)

    def correct_authors(self, name: str, authors: list[LateAuthor]) -> None:
        """Keep authors that were found later beside the log, and show them."""
        blob = f"{CORRECTIONS}{name}.json"
        self._blobs.put(blob, json.dumps([astuple(late) for late in authors]).encode())
        self._index.correct(blob, authors)

    def changes(self, from_ms: int, to_ms: int) -> Iterator[IndexedChange]:
        """The versions committed from one time until before another (Unix time in milliseconds), the oldest first."""
        self._refresh()
        return self._index.changes(from_ms, to_ms)

    def publish(self) -> None:
        """Keep a copy of the index, where many backups came since the last: a new instance starts from it."""
        self._refresh()
        last, copies = self._index.last(), self._log_store.copies()
        newest = max((mark.sequence for mark in copies), default=0)
        if last is None or last.sequence - newest < COPY_AFTER:
            return
        self._publish(last)
        for mark in sorted(copies, key=lambda m: m.sequence)[: -(COPIES_KEPT - 1)]:
            self._blobs.delete(copies[mark])

    def _publish(self, last: CommitMark) -> None:
        plain = self._scratch / f"index-{uuid.uuid4().hex[:8]}.sqlite"
        packed = plain.with_suffix(".gz")
        try:
            self._index.save(plain)
            with plain.open("rb") as source, gzip.open(packed, "wb", compresslevel=3) as target:
                shutil.copyfileobj(source, target)
            self._blobs.put_file(copy_name(last), packed)
        finally:
            plain.unlink(missing_ok=True)
            packed.unlink(missing_ok=True)

    def _commit(self, at: str) -> IndexedCommit | None:
        if len(at) < FEWEST_DIGITS or any(c not in "0123456789abcdef" for c in at.lower()):
            return None
        found = self._index.commits(at.lower())
        return found[0] if len(found) == 1 else None

    def _of_tag(self, at: str) -> IndexedCommit | None:
        if not at.startswith(AT_PREFIX):
            return None
        commit = self._tagged(at.removeprefix(AT_PREFIX))
        return self._commit(commit) if commit else None

    def _by(self, at: str) -> IndexedCommit | None:
        when = parse_moment(at)
        return self._index.backup_by(int(when.timestamp() * 1000)) if when else None

    def _refresh(self) -> None:
        """Bring the index to the checkpoint; others read on meanwhile, unless there is nothing to read yet."""
        if self._clock.monotonic() - self._checked_at < FRESH_SECONDS:
            return
        wait = self._checked_at == float("-inf")
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._clock.monotonic() - self._checked_at >= FRESH_SECONDS:
                self._bring_up_to_date()
                self._checked_at = self._clock.monotonic()
        finally:
            self._lock.release()

    def _bring_up_to_date(self) -> None:
        head, last = self._manifests.mark(), self._index.last()
        moved = head is not None and head != last
        if head is not None and moved:
            self._take_in(head, last)
        if moved or self._clock.monotonic() - self._corrected_at >= CORRECTED_SECONDS:
            self._take_corrections()
            self._corrected_at = self._clock.monotonic()

    def _take_corrections(self) -> None:
        known = self._index.corrections()
        for name in [n for n in self._blobs.names(CORRECTIONS) if n not in known]:
            try:
                self._index.correct(name, [LateAuthor(*late) for late in json.loads(self._blobs.get(name))])
            except (KeyError, DamagedBlob, ValueError, TypeError) as error:
                _log.warning("%s is of no use: %s", name, type(error).__name__, extra={"action": "history.correct"})

    def _take_in(self, head: CommitMark, last: CommitMark | None) -> None:
        copies = {} if last else self._log_store.copies()
        missing: list[CommitVersions] = []
        try:
            reached = self._collect(head, {last, *copies}, missing)
            if reached in copies and not self._load_copy(copies[reached]):
                reached = self._collect(reached, {last}, missing)
            self._index.apply(reversed(missing), anew=reached is None)
        except VersionLogGap as gap:
            _log.warning("the history is read from Git: %s", gap, extra={"action": "history.rebuild"})
            older = versions_from_git(self._repository, self._root, gap.after)
            self._index.apply([*older, *reversed(missing)], anew=True)
            self._publish(head)

    def _collect(
        self, head: CommitMark, known: Collection[CommitMark | None], missing: list[CommitVersions]
    ) -> CommitMark | None:
        """Gather the backups from `head` back, the newest first; returns the known one they follow on, if any."""
        wanted: CommitMark | None = head
        while wanted and wanted not in known:
            missing += reversed(self._log_store.load(wanted))
            wanted = missing[-1].before
        return wanted

    def _load_copy(self, name: str | None) -> bool:
        """Start from a kept copy of the index; False where there is none that can be used."""
        if name is None:
            return False
        packed = self._scratch / f"copy-{uuid.uuid4().hex[:8]}.gz"
        plain = packed.with_suffix(".sqlite")
        try:
            self._blobs.get_file(name, packed)
            with gzip.open(packed, "rb") as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target)
            self._index.load(plain)
        except (KeyError, DamagedBlob, ValueError, OSError) as error:
            _log.warning("a copy of the index is of no use: %s", type(error).__name__, extra={"action": "history.copy"})
            return False
        finally:
            packed.unlink(missing_ok=True)
            plain.unlink(missing_ok=True)
        return True


def parse_moment(at: str) -> datetime | None:
    """A date as the end of that day in UTC, or a time; None for anything else."""
    try:
        when, is_date = parse_time(at)
    except ValueError:
        return None
    return datetime.combine(when.date(), time(), UTC) + timedelta(days=1, milliseconds=-1) if is_date else when
