"""An audit trail whose processes are told of each write and may die there: what its tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from local.faults.crash_points import Crash
from local.memory.clock import ManualClock
from shared.domain.audit import AuditAction, AuditEntry
from shared.protocols import Tables
from shared.services.audit.rows import AUDIT, HEAD, row_key
from shared.services.audit.trail import AuditTrail

DAY = "2026-01-01"
WRITES = ("insert", "replace", "upsert", "upsert_many", "delete")
type Meet = Callable[[str, str, int], None]


class Tapped:
    """Tables under a table name of their own; `meet` is told of each write before and after it, with its number."""

    def __init__(self, inner: Tables, name: str, meet: Meet = lambda when, method, number: None) -> None:
        self._inner, self._name, self._meet, self.writes = inner, name, meet, 0
        self.heads = 0

    def __getattr__(self, method: str) -> Any:
        def call(_table: str, *arguments: Any, **options: Any) -> Any:
            if method not in WRITES:
                return getattr(self._inner, method)(self._name, *arguments, **options)
            self.writes += 1
            self.heads += arguments[:1] == (HEAD,)
            number = self.writes
            self._meet("before", method, number)
            answer = getattr(self._inner, method)(self._name, *arguments, **options)
            self._meet("after", method, number)
            return answer

        return call

    def process(self, meet: Meet = lambda when, method, number: None) -> Tables:
        """The same rows as another process has them."""
        return cast(Tables, Tapped(self._inner, self._name, meet))


def trail_of(
    tables: Tapped, clock: ManualClock | None = None, meet: Meet | None = None, *, carried: int = 0
) -> AuditTrail:
    """A process's trail; one that carries nothing gives every record its row at the next append."""
    return AuditTrail(tables.process(meet) if meet else tables.process(), clock or ManualClock(), carried=carried)


def entry(name: str, key: str = "", correlation: str = "run") -> AuditEntry:
    """An entry; one with a key is a step that may be repeated."""
    return AuditEntry(AuditAction.EXPORTED, "system", name, correlation=correlation, key=key)


def objects(trail: AuditTrail) -> list[str]:
    """What the records are of, in order."""
    return [record.object for record in trail.records()]


def check_unbroken(trail: AuditTrail, count: int) -> None:
    """Prove the whole chain, which has so many records."""
    verdict = trail.verify()
    assert (verdict.fault, verdict.records, verdict.anchored) == (None, count, count)


def dies(at: int, when: str) -> Meet:
    """Death at a write, by its number."""

    def meet(now: str, method: str, number: int) -> None:
        if (number, now) == (at, when):
            raise Crash

    return meet


def forge(tables: Tapped, sequence: int, **columns: str) -> None:
    """Change columns of a record of the first day behind the trail's back."""
    tables.process().upsert(AUDIT, DAY, row_key(sequence), dict(columns))
