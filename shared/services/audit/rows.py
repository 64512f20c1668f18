"""Audit records in Table Storage, and the head row that alone decides which record is next.

One replacement of the head row, at its ETag, appends: the new head holds the new records themselves. They become rows
of their own before they leave the head, by whoever replaces it then; a few short ones of a day stay for some appends.
So a writer can die anywhere: what the head names is stored, and what it does not name was not appended.

Table `audit`:
- partition `head`: the row `current`, and the row `removed` (up to where retention removed records)
- partition `days`: a row for each day that has records, with the number of its first
- partition `2026-01-31`: the records of a day in UTC, keyed by their number in 12 digits
- partition `key-...`: a row for each key of an entry, by the hash of its correlation id, so that a repeat is found
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from shared.domain.audit import GENESIS, AuditHead, AuditRecord, day_of, decoded, encoded, units
from shared.errors import BackupError, StateConflict
from shared.protocols import Row, StoredRow, Tables

AUDIT = "audit"
HEAD, CURRENT, REMOVED = "head", "current", "removed"
DAYS = "days"
MOST_PENDING_RECORDS = 100
"""A transaction's limit, so that a settled batch is one."""
MOST_PENDING_UNITS = 300_000
"""An entity holds 1 MB, at two bytes a UTF-16 code unit."""
MOST_CARRIED_RECORDS = 16
MOST_CARRIED_UNITS = 30_000
"""Up to so much of one day stays in the head when more comes: giving a record its row costs more than the append."""
UNREADABLE = "unreadable"
FEW_KEYS = 3
"""Up to so many are looked up one by one."""


class AuditDamaged(BackupError):
    """The audit trail's rows contradict each other: {detail}. Run `./backup audit --verify`, and restore the table."""

    code = "audit_damaged"


@dataclass(frozen=True, slots=True)
class HeadState:
    """The head row as read: `pending` are the last records, which may not have rows of their own yet.

    `day_before` is the day of the record before those. `etag` is None before the first record.
    """

    head: AuditHead = GENESIS
    at_ms: int = 0
    day_before: str = ""
    pending: tuple[AuditRecord, ...] = ()
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """Which records to read; None is any.

    Times are in Unix milliseconds, from `from_ms` to before `to_ms`; numbers are above `after`, up to `up_to`.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    actor: str | None = None
    action: str | None = None
    after: int = 0
    up_to: int | None = None

    def takes(self, record: AuditRecord) -> bool:
        """Whether a record is meant."""
        return (
            (self.from_ms is None or record.at_ms >= self.from_ms)
            and (self.to_ms is None or record.at_ms < self.to_ms)
            and self.actor in (None, record.actor)
            and self.action in (None, record.action)
            and self.after < record.sequence
            and (self.up_to is None or record.sequence <= self.up_to)
        )

    def has_day(self, day: str) -> bool:
        """Whether a day can hold such records."""
        return (self.from_ms is None or day >= day_of(self.from_ms)) and (
            self.to_ms is None or day <= day_of(self.to_ms)
        )

    def condition(self) -> str:
        """The OData filter: on text alone, since literals of 64-bit integers are written differently."""
        parts = [
            f"at ge '{_time(self.from_ms)}'" if self.from_ms is not None else "",
            f"at lt '{_time(self.to_ms)}'" if self.to_ms is not None else "",
            f"actor eq '{_hashed(self.actor)}'" if self.actor is not None else "",
            f"action eq '{_hashed(self.action)}'" if self.action is not None else "",
            f"RowKey gt '{row_key(self.after)}'" if self.after else "",
            f"RowKey le '{row_key(self.up_to)}'" if self.up_to is not None else "",
        ]
        return " and ".join(filter(None, parts))


EVERYTHING = Where()


@dataclass(frozen=True, slots=True)
class AuditRows:
    """Reads and writes the table; up to `carried` records of several appends stay in the head."""

    tables: Tables
    carried: int = MOST_CARRIED_RECORDS
    _table: str = field(default=AUDIT)

    def state(self) -> HeadState:
        """The head as it is now. Raises `AuditDamaged` where it is gone, or cannot be read."""
        row = self.tables.get(self._table, HEAD, CURRENT)
        if row is None:
            if next(iter(self.tables.query(self._table, DAYS)), None) is not None:
                raise AuditDamaged(detail="the head row is gone, and there are records")
            return HeadState()
        try:
            return _state(row)
        except (ValueError, TypeError, KeyError):
            raise AuditDamaged(detail="the head row cannot be read") from None

    def move(self, state: HeadState, records: list[AuditRecord]) -> HeadState | None:
        """Append records, and return what the head is then; None where another writer was first."""
        last, day_before = records[-1], state.day_before
        pending = (*state.pending, *records)
        bodies = [encoded(record) for record in pending]
        if not self._go_together(pending, bodies):
            self.settle(state)
            day_before, pending = day_of(state.at_ms) if state.pending else day_before, tuple(records)
            bodies = bodies[-len(pending) :]
        row: Row = {"sequence": last.sequence, "hash": last.hash, "at_ms": last.at_ms, "day_before": day_before}
        row |= {f"p{n:03}": body for n, body in enumerate(bodies)}
        row |= {f"h{n:03}": record.hash for n, record in enumerate(pending)}
        try:
            if state.etag is None:
                etag = self.tables.insert(self._table, HEAD, CURRENT, row)
            else:
                etag = self.tables.replace(self._table, HEAD, CURRENT, row, state.etag)
        except StateConflict:
            return None
        return HeadState(last.head, last.at_ms, day_before, pending, etag)

    def _go_together(self, records: tuple[AuditRecord, ...], bodies: list[str]) -> bool:
        """Whether the head may hold all of these, whose texts are `bodies`, for longer."""
        return (
            len(records) <= self.carried
            and day_of(records[0].at_ms) == day_of(records[-1].at_ms)
            and sum(map(units, bodies)) <= MOST_CARRIED_UNITS
        )

    def settle(self, state: HeadState) -> None:
        """Give the pending records rows of their own; the same rows however often it is done."""
        if not state.pending:
            return
        first = state.pending[0]
        day = day_of(first.at_ms)
        rows = {row_key(r.sequence): _row(r) for r in state.pending}
        self.tables.upsert_many(self._table, day, rows)
        for partition, keys in _key_rows(state.pending).items():
            self.tables.upsert_many(self._table, partition, keys)
        if day != state.day_before:
            self.tables.upsert(self._table, DAYS, day, {"first": first.sequence})

    def find(self, sequence: int, day: str, state: HeadState) -> AuditRecord | None:
        """A record by its number and day, or None."""
        for record in state.pending:
            if record.sequence == sequence:
                return record
        row = self.tables.get(self._table, day, row_key(sequence))
        return _record(row) if row else None

    def known(self, correlation: str, keys: set[str], state: HeadState) -> dict[str, AuditRecord]:
        """The records that were appended with these keys, by key. Right for as long as `state` is the head."""
        found = {r.key: r for r in state.pending if r.correlation == correlation and r.key in keys}
        missing = keys - found.keys()
        rows = self._rows_of_keys(correlation, missing)
        for key in missing:
            row = rows.get(_hashed(key))
            record = self.find(int(row.row["sequence"] or 0), str(row.row["day"]), state) if row else None
            if record is not None:
                found[key] = record
        return found

    def _rows_of_keys(self, correlation: str, keys: set[str]) -> dict[str, StoredRow]:
        """The rows of keys that are known, by hash: many in one query."""
        partition = key_partition(correlation)
        if len(keys) > FEW_KEYS:
            return {row.key: row for row in self.tables.query(self._table, partition)}
        found = (self.tables.get(self._table, partition, _hashed(key)) for key in keys)
        return {row.key: row for row in found if row}

    def removed(self) -> AuditHead:
        """Up to which record retention has removed the chain."""
        row = self.tables.get(self._table, HEAD, REMOVED)
        return AuditHead(int(row.row["sequence"] or 0), str(row.row["hash"])) if row else GENESIS

    def set_removed(self, upto: AuditHead) -> None:
        """Have the chain begin after a record."""
        self.tables.upsert(self._table, HEAD, REMOVED, {"sequence": upto.sequence, "hash": upto.hash})

    def days(self) -> dict[str, int]:
        """The number of the first record of each day that has rows, in order."""
        return {row.key: int(row.row["first"] or 0) for row in self.tables.query(self._table, DAYS)}

    def scan(self, state: HeadState, where: Where = EVERYTHING) -> Iterator[AuditRecord]:
        """The chain as it was at `state`, in order, without what retention removed.

        A row that was changed is given without its hash, or as `unreadable`; it never breaks the reading.
        """
        removed = self.removed().sequence
        pending = state.pending[0].sequence if state.pending else state.head.sequence + 1
        for day in self._days(where):
            for row in self.tables.query(self._table, day, where.condition()):
                if row_key(removed) < row.key < row_key(pending):
                    yield _record(row)
        yield from filter(where.takes, state.pending)

    def _days(self, where: Where) -> list[str]:
        """The days that can hold what is meant."""
        days = self.days()
        ends = [*days.values(), None][1:]
        return [
            day
            for (day, first), end in zip(days.items(), ends, strict=True)
            if where.has_day(day)
            and (end is None or end > where.after + 1)
            and (where.up_to is None or first <= where.up_to)
        ]

    def last(self, action: str, state: HeadState, takes: Callable[[AuditRecord], bool]) -> AuditRecord | None:
        """The last record of an action for which `takes` says yes, looked for from the end."""
        where = Where(action=action)
        for record in reversed(state.pending):
            if where.takes(record) and takes(record):
                return record
        for day in reversed(self.days()):
            found = [r for r in map(_record, self.tables.query(self._table, day, where.condition())) if takes(r)]
            if found:
                return found[-1]
        return None

    def rows_before(self, day: str, after: AuditHead) -> Iterator[StoredRow]:
        """The rows of the records of a day up to a number."""
        yield from (row for row in self.tables.query(self._table, day) if row.key <= row_key(after.sequence))

    def remove(self, day: str, row: StoredRow) -> None:
        """Remove a record's row, and before it the row of its key."""
        record = _record(row)
        if record.repeatable:
            self.tables.delete(self._table, key_partition(record.correlation), _hashed(record.key))
        self.tables.delete(self._table, day, row.key)

    def forget_day(self, day: str) -> None:
        """Take a day that has no rows any more off the list."""
        self.tables.delete(self._table, DAYS, day)


def row_key(sequence: int) -> str:
    """The key of a record's row: text that sorts as the number does."""
    return f"{sequence:012}"


def key_partition(correlation: str) -> str:
    """The partition of the keys of entries with one correlation id."""
    return f"key-{_hashed(correlation)}"


def _hashed(text: str) -> str:
    """Text of any kind as text that a key and a filter may hold."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _time(milliseconds: int) -> str:
    return f"{max(milliseconds, 0):015}"


def _columns(record: AuditRecord) -> Row:
    """What records are filtered by."""
    return {"at": _time(record.at_ms), "actor": _hashed(record.actor), "action": _hashed(record.action)}


def _row(record: AuditRecord) -> Row:
    return {"body": encoded(record), "hash": record.hash, **_columns(record)}


def _record(row: StoredRow) -> AuditRecord:
    """The record of a row. Columns that would hide it from a filter count as part of it."""
    body, claimed = str(row.row.get("body")), str(row.row.get("hash"))
    try:
        record = decoded(body, claimed)
    except ValueError:
        return _unreadable(row.key)
    columns = _columns(record)
    as_written = row.key == row_key(record.sequence) and columns == {name: row.row.get(name) for name in columns}
    return record if as_written else decoded(body, "")


def _unreadable(key: str) -> AuditRecord:
    sequence = int(key) if key.isdecimal() else 0
    return AuditRecord(sequence, 0, "", UNREADABLE, "", UNREADABLE, "", "", {}, "")


def _state(row: StoredRow) -> HeadState:
    names = sorted(name for name in row.row if name[0] == "p" and name[1:].isdecimal())
    pending = tuple(decoded(str(row.row[name]), str(row.row[f"h{name[1:]}"])) for name in names)
    head = AuditHead(int(row.row["sequence"] or 0), str(row.row["hash"]))
    return HeadState(head, int(row.row["at_ms"] or 0), str(row.row["day_before"]), pending, row.etag)


def _key_rows(records: Iterable[AuditRecord]) -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for record in records:
        if record.repeatable:
            row: Row = {"sequence": record.sequence, "day": day_of(record.at_ms)}
            found.setdefault(key_partition(record.correlation), {})[_hashed(record.key)] = row
    return found
