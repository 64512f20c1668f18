"""Whether the trail is as it was written: proved in parts, so that a chain of any length fits into requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from shared.domain.audit import GENESIS, AuditAction, AuditHead, AuditRecord, anchors_in, digest
from shared.domain.audit_check import AuditFault, AuditVerdict, Forgery, seals, verify
from shared.errors import RepositoryError
from shared.protocols import Repository
from shared.services.audit.recorder import AnchorStore
from shared.services.audit.rows import AuditRows, HeadState, Where

MOST_RECORDS = 50_000
"""In one part: some seconds."""
TRAILER_START = "Backup-Audit: "


class AuditAnchors:
    """What proves the chain from outside its table: trailers of backup commits, and blobs that nobody can change.

    `lost` is the last head of an earlier trail, which went with its storage: its commit and those before it anchor
    that trail, and not the one that began after it.
    """

    def __init__(self, reader: Repository, kept: AnchorStore | None, lost: AuditHead | None = None) -> None:
        self._reader, self._kept, self.lost = reader, kept, lost

    def heads(self) -> list[AuditHead]:
        """Every head that is named anywhere, by its number. Raises `RepositoryError`, and what the storage raises."""
        try:
            messages = self._messages()
        except RepositoryError:
            if not self._reader.check():
                raise
            # The mirror is a cache that was damaged.
            self._reader.forget()
            messages = self._messages()
        found = {head for message in messages for head in anchors_in(message)}
        return sorted(found | set(self._kept.heads() if self._kept else ()), key=lambda head: head.sequence)

    def _messages(self) -> list[str]:
        branch = self._reader.fetch()
        found = self._reader.messages_with(branch, TRAILER_START) if branch else []
        if self.lost is None:
            return found
        return list(itertools.takewhile(lambda message: self.lost not in anchors_in(message), found))


@dataclass(frozen=True, slots=True)
class ProvedPart:
    """What the proof of a part found; `complete` where it went to the chain's end, which is at `end`.

    `anchors` counts those that the part was held to. The last record of a part that is not the last is proved with
    the next one: what comes after it is what shows that it was written so.
    """

    verdict: AuditVerdict
    end: AuditHead
    anchors: int
    complete: bool


class _Remembering(Iterator[AuditRecord]):
    """An iterator that knows the head before the last record that it gave."""

    def __init__(self, records: Iterator[AuditRecord]) -> None:
        self._records = records
        self.before_last = GENESIS

    def __next__(self) -> AuditRecord:
        record = next(self._records)
        self.before_last = AuditHead(record.sequence - 1, record.previous)
        return record


class AuditProof:
    """Proves the chain that is stored now."""

    def __init__(self, rows: AuditRows, anchors: AuditAnchors) -> None:
        self._rows, self._anchors = rows, anchors

    @property
    def lost(self) -> AuditHead | None:
        """The last head of an earlier trail that was lost, where the settings name one."""
        return self._anchors.lost

    def part(self, after: AuditHead | None = None, most: int = MOST_RECORDS) -> ProvedPart:
        """Prove up to `most` records (2 or more) after a head that was proved before, or from the chain's start.

        Raises `AuditDamaged`, and what reading the anchors raises.
        """
        # In this order: an anchor that is made meanwhile names no record that the head does not.
        anchors, state = self._anchors.heads(), self._rows.state()
        removed = self._rows.removed()
        start = removed if after is None or after.sequence < removed.sequence else after
        last = start.sequence + most
        complete = last >= state.head.sequence
        named = [*anchors, state.head] if state.head.sequence else anchors
        chosen = [
            a for a in named if (complete or a.sequence <= last) and (after is None or a.sequence >= start.sequence)
        ]
        seen = _Remembering(self._rows.scan(state, Where(after=start.sequence, up_to=None if complete else last)))
        verdict = verify(seen, chosen, start, whole=False)
        fault = verdict.fault or self._missing(verdict, state, None if complete else last)
        if fault is None and complete:
            fault = self._unsealed(removed, state)
        count = sum((after is None or a.sequence > start.sequence) and (complete or a.sequence < last) for a in chosen)
        if fault is None and not complete:
            verdict = replace(verdict, head=seen.before_last, records=verdict.records - 1)
        return ProvedPart(replace(verdict, fault=fault), state.head, count, complete or fault is not None)

    def whole(self, goes_on: Callable[[], bool] = lambda: True, most: int = MOST_RECORDS) -> ProvedPart:
        """Part after part, to the end or for as long as `goes_on`: what was found in all of them."""
        found = self.part(most=most)
        while not found.complete and goes_on():
            more = self.part(found.verdict.head, most)
            verdict = replace(
                more.verdict,
                records=found.verdict.records + more.verdict.records,
                anchored=max(found.verdict.anchored, more.verdict.anchored),
                out_of_reach=found.verdict.out_of_reach,
            )
            found = replace(more, verdict=verdict, anchors=found.anchors + more.anchors)
        return found

    @staticmethod
    def _missing(verdict: AuditVerdict, state: HeadState, last: int | None) -> AuditFault | None:
        """What is not there, though the head row or the caller says that it was."""
        wanted = state.head.sequence if last is None else last
        reached = verdict.head.sequence
        if reached > state.head.sequence:
            return AuditFault(Forgery.TRUNCATED, state.head.sequence + 1)
        return AuditFault(Forgery.TRUNCATED, reached + 1) if reached < wanted else None

    def _unsealed(self, removed: AuditHead, state: HeadState) -> AuditFault | None:
        """A chain without its beginning needs a record that says so; that record was proved with the others."""
        if removed == GENESIS:
            return None

        def tells(record: AuditRecord) -> bool:
            return seals(record, removed) and digest(record) == record.hash

        if self._rows.last(AuditAction.AUDIT_PRUNED, state, tells):
            return None
        return AuditFault(Forgery.UNSEALED, removed.sequence)
