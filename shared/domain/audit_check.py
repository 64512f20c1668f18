"""Whether an audit chain is as it was written: one pass, in memory that does not grow with the chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.domain.audit import GENESIS, AuditAction, AuditHead, AuditRecord, digest

MOST_SHIFT = 100
"""How many records put in or taken out at one place are told from an edit after the rest was numbered anew."""


class Forgery(StrEnum):
    """What was done to a chain. Truncation and fork show only against anchors kept elsewhere."""

    EDITED = "edited"
    DELETED = "deleted"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    FORKED = "forked"
    UNSEALED = "unsealed"
    """The beginning is gone, and no record says that it was removed."""


@dataclass(frozen=True, slots=True)
class AuditFault:
    """The first bad record, by the sequence number that it has or that is missing.

    A fork shows at an anchor: its first record is after `AuditVerdict.anchored` and not after `sequence`.
    """

    kind: Forgery
    sequence: int


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What a verification found: records that held, the last of them, the last anchor that held (0: none).

    `out_of_reach` counts anchors from before the chain's start: what they name was removed by retention.
    `against` are the anchors that contradict the chain, where a fault was found by them.
    """

    records: int
    head: AuditHead
    anchored: int
    out_of_reach: int
    fault: AuditFault | None
    against: tuple[AuditHead, ...] = ()

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return self.fault is None


def verify(
    records: Iterable[AuditRecord],
    anchors: Iterable[AuditHead] = (),
    start: AuditHead = GENESIS,
    *,
    whole: bool = True,
) -> AuditVerdict:
    """Follow a chain from after `start` to its end and hold it to the anchors.

    A start other than the genesis needs a record of its removal, unless the chain is a part (`whole` is False).
    """
    chain, walk = _Peeking(records), _Walk(start, anchors)
    fault = walk.fault_at(start, None)
    while fault is None and (record := next(chain, None)) is not None:
        fault = walk.step(record, chain)
    return walk.verdict(fault or walk.fault_at_the_end(whole=whole))


class _Peeking(Iterator[AuditRecord]):
    """An iterator that shows the record after the current one."""

    def __init__(self, records: Iterable[AuditRecord]) -> None:
        self._records = iter(records)
        self.coming = next(self._records, None)

    def __next__(self) -> AuditRecord:
        current, self.coming = self.coming, next(self._records, None)
        if current is None:
            raise StopIteration
        return current


class _Walk:
    """How far the chain has held."""

    def __init__(self, start: AuditHead, anchors: Iterable[AuditHead]) -> None:
        self._start = self._last = start
        self._records = self._anchored = self._out_of_reach = 0
        self._sealed = start == GENESIS
        self._against: tuple[AuditHead, ...] = ()
        self._anchors: dict[int, set[str]] = {}
        for anchor in anchors:
            if anchor.sequence < start.sequence:
                self._out_of_reach += 1
            else:
                self._anchors.setdefault(anchor.sequence, set()).add(anchor.hash)

    def step(self, record: AuditRecord, chain: _Peeking) -> AuditFault | None:
        """Take the next record; what is wrong at it, if anything."""
        expected = self._last.sequence + 1
        if digest(record) != record.hash:
            return self._changed(record, expected)
        if record.sequence < expected:
            return AuditFault(Forgery.INSERTED, record.sequence)
        if record.sequence > expected:
            return _out_of_order(record, expected, chain)
        if record.previous != self._last.hash:
            return self._unlinked(expected, chain.coming)
        fault = self.fault_at(record.head, chain.coming)
        if fault is None:
            self._last = record.head
            self._records += 1
            self._sealed = self._sealed or seals(record, self._start)
        return fault

    def fault_at(self, head: AuditHead, coming: AuditRecord | None) -> AuditFault | None:
        """Hold a head to the anchors with its number."""
        named = self._anchors.pop(head.sequence, set())
        others = named - {head.hash}
        if others:
            self._against = tuple(AuditHead(head.sequence, name) for name in sorted(others))
            edited = coming is not None and coming.previous in others
            return AuditFault(Forgery.EDITED if edited else Forgery.FORKED, head.sequence)
        if named:
            self._anchored = head.sequence
        return None

    def fault_at_the_end(self, *, whole: bool) -> AuditFault | None:
        """What is missing once all records were seen."""
        if self._anchors:
            left = sorted(self._anchors.items())
            self._against = tuple(AuditHead(number, name) for number, names in left for name in sorted(names))
            return AuditFault(Forgery.TRUNCATED, self._last.sequence + 1)
        if whole and not self._sealed:
            return AuditFault(Forgery.UNSEALED, self._start.sequence)
        return None

    def verdict(self, fault: AuditFault | None) -> AuditVerdict:
        """What was found."""
        return AuditVerdict(self._records, self._last, self._anchored, self._out_of_reach, fault, self._against)

    def _changed(self, record: AuditRecord, expected: int) -> AuditFault:
        """A record whose hash is not its own: edited, or numbered anew after others were put in or taken out."""
        if record.sequence == expected:
            for shift in range(1, MOST_SHIFT + 1):
                if digest(replace(record, sequence=expected - shift)) == record.hash:
                    return AuditFault(Forgery.INSERTED, expected - shift)
                if digest(replace(record, sequence=expected + shift)) == record.hash:
                    return AuditFault(Forgery.DELETED, expected)
        return AuditFault(Forgery.EDITED, expected)

    def _unlinked(self, expected: int, coming: AuditRecord | None) -> AuditFault:
        """A record that is whole, and names another one before it than there is."""
        if coming and coming.sequence == expected and coming.previous == self._last.hash:
            return AuditFault(Forgery.INSERTED, expected)
        proved = self._last == self._start or self._anchored == self._last.sequence
        # It tells of the record before it as that was: that one was edited and got a new hash.
        return AuditFault(Forgery.EDITED, expected if proved else self._last.sequence)


def seals(record: AuditRecord, start: AuditHead) -> bool:
    """Whether a record says that everything up to `start` was removed."""
    said = (record.action, record.detail.get("up_to"), record.detail.get("hash"))
    return said == (AuditAction.AUDIT_PRUNED.value, start.sequence, start.hash)


def _out_of_order(record: AuditRecord, expected: int, rest: Iterable[AuditRecord]) -> AuditFault:
    """A number that is too high: what is left of the chain tells why."""
    found = again = False
    highest = 0
    for other in rest:
        found = found or other.sequence == expected
        again = again or other.sequence == record.sequence
        highest = max(highest, other.sequence)
    if not found:
        return AuditFault(Forgery.DELETED, expected)
    foreign = again or highest < record.sequence - 1
    return AuditFault(Forgery.INSERTED if foreign else Forgery.REORDERED, expected)
