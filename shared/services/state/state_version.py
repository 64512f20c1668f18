"""The version of what is stored, and tables that no older code writes to.

Every step of the backup writes a row before it touches workspace or repository, so this one place holds for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from shared.clock import Clock
from shared.errors import BackupError, StateConflict
from shared.protocols import Row, StoredRow, Tables

STATE_VERSION = 1
"""Counts changes of tables, blobs and messages that code from before cannot go on with."""
KEY = ("checkpoints", "state", "version")
RECHECK_SECONDS = 60.0


class StateTooNew(BackupError):
    """The stored state has version {found}, and this app knows none above {known}: a newer app wrote it.

    Deploy that version again, or a later one. Nothing was changed.
    """

    code = "state_too_new"

    def __init__(self, found: int, known: int = STATE_VERSION) -> None:
        super().__init__(found=found, known=known)


def stored_version(tables: Tables) -> int:
    """The version that is stored; 0 where there is none: nothing was stored yet, or before versions were."""
    found = tables.get(*KEY)
    return int(found.row["version"] or 0) if found else 0


class VersionedTables:
    """See `shared.protocols.Tables`. A write raises `StateTooNew` where newer code has written.

    What is older is taken over by the first write, which raises the stored version. The version is read again
    once a minute: while two versions of the app run, the older one stops.
    """

    def __init__(self, inner: Tables, clock: Clock) -> None:
        self._inner, self._clock = inner, clock
        self._good_until = float("-inf")

    def get(self, table: str, partition: str, key: str) -> StoredRow | None:
        """See `Tables.get`."""
        return self._inner.get(table, partition, key)

    def query(self, table: str, partition: str, where: str = "", columns: Iterable[str] = ()) -> Iterator[StoredRow]:
        """See `Tables.query`."""
        return self._inner.query(table, partition, where, columns)

    def insert(self, table: str, partition: str, key: str, row: Row) -> str:
        """See `Tables.insert`."""
        self._check()
        return self._inner.insert(table, partition, key, row)

    def replace(self, table: str, partition: str, key: str, row: Row, etag: str) -> str:
        """See `Tables.replace`."""
        self._check()
        return self._inner.replace(table, partition, key, row, etag)

    def upsert(self, table: str, partition: str, key: str, row: Row) -> None:
        """See `Tables.upsert`."""
        self._check()
        self._inner.upsert(table, partition, key, row)

    def upsert_many(self, table: str, partition: str, rows: Mapping[str, Row]) -> None:
        """See `Tables.upsert_many`."""
        self._check()
        self._inner.upsert_many(table, partition, rows)

    def delete(self, table: str, partition: str, key: str) -> None:
        """See `Tables.delete`."""
        self._check()
        self._inner.delete(table, partition, key)

    def _check(self) -> None:
        now = self._clock.monotonic()
        if now < self._good_until:
            return
        found = self._inner.get(*KEY)
        version = int(found.row["version"] or 0) if found else 0
        if version > STATE_VERSION:
            raise StateTooNew(version)
        if version < STATE_VERSION:
            self._raise_version(found)
        self._good_until = now + RECHECK_SECONDS

    def _raise_version(self, found: StoredRow | None) -> None:
        """Write this code's version. Raises `StateConflict` where another process did: the step is run again."""
        row: Row = {"version": STATE_VERSION, "raised_at": self._clock.now().isoformat()}
        if found:
            self._inner.replace(*KEY, row, found.etag)
            return
        try:
            self._inner.insert(*KEY, row)
        except StateConflict:
            if stored_version(self._inner) != STATE_VERSION:
                raise
