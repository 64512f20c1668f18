"""The audit trail: entries appended to one chain by any number of processes, read in order, and verified."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from shared.clock import Clock
from shared.domain.audit import (
    MOST_NAME_CHARACTERS,
    OWN_KEY,
    AuditEntry,
    AuditHead,
    AuditRecord,
    cut,
    day_of,
    encoded,
    link,
    units,
)
from shared.domain.audit_check import AuditVerdict, verify
from shared.errors import BackupError
from shared.protocols import Tables
from shared.redaction import redact
from shared.services.audit.rows import (
    MOST_CARRIED_RECORDS,
    MOST_PENDING_RECORDS,
    MOST_PENDING_UNITS,
    AuditRows,
    HeadState,
    Where,
)

_log = logging.getLogger("backup.audit")
MOST_ATTEMPTS = 500
"""Times that other writers may be first in a row."""
LONGEST_PAUSE_MS = 64
type _Placed = tuple[AuditRecord, bool]
"""A record, and whether it is new."""


class AuditUnavailable(BackupError):
    """The audit trail could not be written: {detail}. The act is not recorded: repeat it when the storage answers."""

    code = "audit_unavailable"
    retriable = True


@dataclass(eq=False)
class _Waiting:
    """Entries of one caller, and what becomes of them."""

    entries: list[AuditEntry]
    future: Future[list[AuditRecord]] = field(default_factory=Future)


HEAD_KNOWN_SECONDS = 30
"""For so long a writer tries to extend the head that it wrote last, before it reads the head again."""


class AuditTrail:
    """See `shared.services.audit.rows` for how records are stored. One object serves all threads of a process."""

    def __init__(
        self,
        tables: Tables,
        clock: Clock,
        entropy: Callable[[], str] = lambda: secrets.token_hex(8),
        jitter: Callable[[int], int] = secrets.randbelow,
        carried: int = MOST_CARRIED_RECORDS,
    ) -> None:
        self._rows, self._clock, self._entropy, self._jitter = AuditRows(tables, carried), clock, entropy, jitter
        self._lock, self._turn = threading.Lock(), threading.Lock()
        self._queue: list[_Waiting] = []
        self._known_head: tuple[float, HeadState] | None = None

    def append(self, entry: AuditEntry) -> AuditRecord:
        """Append one entry: see `append_many`."""
        return self.append_many([entry])[0]

    def append_many(self, entries: Sequence[AuditEntry]) -> list[AuditRecord]:
        """Append entries in order and return their records; one that was appended before gives its first record.

        Up to 100 short entries are appended together or not at all; of more, the first may stay appended when an
        error is raised: give them keys, and repeat all. Credentials are blotted out. The time of a record is the
        clock's, or that of the record before it where that is later.

        Raises `AuditUnavailable` where it is not known that all are stored, `AuditDamaged` where the trail cannot
        go on, and `ValueError` for a key that begins with `~`.
        """
        item = _Waiting([self._clean(entry) for entry in entries])
        with self._lock:
            self._queue.append(item)
        # Whoever has its turn appends for all who wait by then: many who ask at once cost one change of the head.
        with self._turn:
            if not item.future.done():
                self._append_waiting()
        return item.future.result()

    def head(self) -> AuditHead:
        """The last record's number and hash, for the trailer of a commit. Raises `AuditDamaged`."""
        return self._rows.state().head

    def anchor(self) -> str:
        """The trailer for a commit; none where the trail cannot be read, which keeps no backup from being made."""
        try:
            return self.head().trailer()
        except Exception as error:  # noqa: BLE001 - the verification of the trail names what is wrong with it
            _log.warning("no audit head for a commit: %s", type(error).__name__, extra={"action": "audit.anchor"})
            return ""

    def records(
        self,
        from_ms: int | None = None,
        to_ms: int | None = None,
        actor: str | None = None,
        action: str | None = None,
    ) -> Iterator[AuditRecord]:
        """Records in order, streamed, from `from_ms` to before `to_ms` (Unix milliseconds); None is any.

        What is appended while this is read is left out. A row that cannot be read is given as `unreadable`.
        """
        return self._rows.scan(self._rows.state(), Where(from_ms, to_ms, actor, action))

    def verify(self, anchors: Iterable[AuditHead] = ()) -> AuditVerdict:
        """Read the whole chain, hold it to the anchors (from commit trailers) and to the stored head."""
        state = self._rows.state()
        return verify(self._rows.scan(state), [*anchors, state.head], self._rows.removed())

    def _clean(self, entry: AuditEntry) -> AuditEntry:
        if entry.key.startswith(OWN_KEY):
            raise ValueError(f"a key of an audit entry cannot begin with {OWN_KEY}")
        return replace(
            entry,
            actor=redact(entry.actor),
            object=redact(entry.object),
            correlation=redact(entry.correlation),
            key=entry.key or OWN_KEY + self._entropy(),
            detail={redact(k): redact(v) if isinstance(v, str) else v for k, v in entry.detail.items()},
        )

    def _append_waiting(self) -> None:
        with self._lock:
            items, self._queue = self._queue, []
        try:
            for some in _together(items):
                self._append_all(some)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            told = error if isinstance(error, BackupError) else _unavailable(error)
            for item in items:
                if not item.future.done():
                    item.future.set_exception(told)

    def _append_all(self, items: list[_Waiting]) -> None:
        entries = [entry for item in items for entry in item.entries]
        done: list[AuditRecord] = []
        end = 0
        for item in items:
            end += len(item.entries)
            while len(done) < end:
                done += self._append_some(entries[len(done) :])
            item.future.set_result(done[end - len(item.entries) : end])

    def _append_some(self, entries: Sequence[AuditEntry]) -> list[AuditRecord]:
        """The records of the first entries, as many as go together."""
        for attempt in range(MOST_ATTEMPTS):
            state = self._head_to_extend()
            placed = self._place(state, entries[:MOST_PENDING_RECORDS])
            new = [record for record, is_new in placed if is_new]
            if not new or self._move(state, new):
                return [record for record, _ in placed]
            self._clock.sleep(self._jitter(min(2 ** min(attempt, 10), LONGEST_PAUSE_MS)) / 1000)
        raise AuditUnavailable(detail=f"other writers were first {MOST_ATTEMPTS} times")

    def _head_to_extend(self) -> HeadState:
        """The head as this object left it, while that is recent; its ETag tells whether it still is."""
        known, self._known_head = self._known_head, None
        if known and self._clock.monotonic() - known[0] < HEAD_KNOWN_SECONDS:
            return known[1]
        return self._rows.state()

    def _move(self, state: HeadState, new: list[AuditRecord]) -> bool:
        moved = self._rows.move(state, new)
        if moved:
            self._known_head = self._clock.monotonic(), moved
            return True
        # The client repeats a request whose answer was lost: what then refuses it is its own effect.
        first = new[0]
        found = self._rows.find(first.sequence, day_of(first.at_ms), self._rows.state())
        return found is not None and found.hash == first.hash

    def _place(self, state: HeadState, entries: Sequence[AuditEntry]) -> list[_Placed]:
        """The records that entries get after `state`, or have already; fewer than all where one append is full."""
        known, head, size = self._known(state, entries), state.head, 0
        at_ms = max(int(self._clock.now().timestamp() * 1000), state.at_ms)
        placed: list[_Placed] = []
        for entry in entries:
            name = _name(entry)
            found = known.get(name)
            if found is None:
                found = link(entry, head, at_ms)
                size += units(encoded(found))
                if size > MOST_PENDING_UNITS:
                    break
                known[name], head = found, found.head
                placed.append((found, True))
            else:
                placed.append((found, False))
        return placed

    def _known(self, state: HeadState, entries: Sequence[AuditEntry]) -> dict[tuple[str, str], AuditRecord]:
        keys: dict[str, set[str]] = {}
        for correlation, key in map(_name, entries):
            if not key.startswith(OWN_KEY):
                keys.setdefault(correlation, set()).add(key)
        return {
            (correlation, key): record
            for correlation, some in keys.items()
            for key, record in self._rows.known(correlation, some, state).items()
        }


def _together(items: list[_Waiting]) -> Iterator[list[_Waiting]]:
    """Callers whose entries go into one append; one whose key another gave too waits for the next."""
    some: list[_Waiting] = []
    size, names = 0, set[tuple[str, str]]()
    for item in items:
        own = {_name(entry) for entry in item.entries}
        if some and (size + len(item.entries) > MOST_PENDING_RECORDS or own & names):
            yield some
            some, size, names = [], 0, set()
        some.append(item)
        size += len(item.entries)
        names |= own
    if some:
        yield some


def _unavailable(error: Exception) -> AuditUnavailable:
    found = AuditUnavailable(detail=f"{type(error).__name__}: {error}")
    found.__cause__ = error
    return found


def _name(entry: AuditEntry) -> tuple[str, str]:
    """What tells an entry from others, as its record has it."""
    return cut(entry.correlation, MOST_NAME_CHARACTERS), cut(entry.key, MOST_NAME_CHARACTERS)
