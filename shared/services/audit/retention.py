"""Retention of the audit trail: the oldest days are removed, and the chain itself says up to which record."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.audit import AuditAction, AuditEntry, AuditHead, AuditRecord
from shared.domain.audit_check import verify
from shared.domain.canonical import Scalar
from shared.errors import BackupError
from shared.services.audit.rows import AuditRows
from shared.services.audit.trail import AuditTrail

MOST_REMOVED = 10_000
"""Rows in one call, so that a step stays short."""


class AuditBroken(BackupError):
    """The audit trail is {kind} at record {sequence}: nothing of it is removed. Keep the table as evidence."""

    code = "audit_broken"


@dataclass(frozen=True, slots=True)
class Removed:
    """What a call removed: rows, the record up to which the chain is gone, and whether nothing is left to do."""

    rows: int
    up_to: AuditHead
    done: bool


class AuditRetention:
    """Removes whole days in this order: a record in the chain, the mark of its start, rows, the days' list.

    A call that died is finished by the next.
    """

    def __init__(self, rows: AuditRows, trail: AuditTrail) -> None:
        self._rows, self._trail = rows, trail

    def remove_before(self, day: str, actor: str, most: int = MOST_REMOVED) -> Removed:
        """Remove the records of all days before `day` (`2026-01-31`), save those of the last day that has any.

        The part to be removed is verified first. Raises `AuditBroken`, `AuditUnavailable`, `AuditDamaged`.
        """
        days = self._rows.days()
        kept = [d for d in days if d >= day] or list(days)[-1:]
        up_to = self._head_before(days[kept[0]], kept[0]) if kept else None
        removed = self._rows.removed()
        if up_to is None or up_to.sequence < removed.sequence:
            return Removed(0, removed, True)
        if up_to.sequence > removed.sequence:
            self._seal(up_to, removed, actor)
        count = self._remove([d for d in days if d < kept[0]], up_to, most)
        return Removed(count, up_to, count < most)

    def _seal(self, up_to: AuditHead, removed: AuditHead, actor: str) -> None:
        part = (r for r in self._rows.scan(self._rows.state()) if r.sequence <= up_to.sequence)
        verdict = verify(part, [up_to], removed, whole=False)
        if verdict.fault is not None:
            raise AuditBroken(kind=verdict.fault.kind.value, sequence=verdict.fault.sequence)
        detail: dict[str, Scalar] = {"up_to": up_to.sequence, "hash": up_to.hash, "records": verdict.records}
        entry = AuditEntry(AuditAction.AUDIT_PRUNED, actor, detail=detail, key=f"removed up to {up_to.sequence}")
        self._trail.append(entry)
        self._rows.set_removed(up_to)

    def _head_before(self, sequence: int, day: str) -> AuditHead | None:
        """The head that the first record of a day follows; None where that is the first of all, or is missing."""
        first: AuditRecord | None = self._rows.find(sequence, day, self._rows.state())
        return AuditHead(sequence - 1, first.previous) if first and sequence > 1 else None

    def _remove(self, days: list[str], up_to: AuditHead, most: int) -> int:
        count = 0
        for day in days:
            for row in self._rows.rows_before(day, up_to):
                if count == most:
                    return count
                self._rows.remove(day, row)
                count += 1
            self._rows.forget_day(day)
        return count
