"""Retention of the audit trail: whole days go, and the chain still holds."""

from __future__ import annotations

import pytest

from local.faults.crash_points import Crash
from local.memory.clock import ManualClock
from local.memory.storage import MemoryTables
from shared.domain.audit import AuditHead
from shared.domain.audit_check import AuditFault, Forgery
from shared.services.audit.retention import AuditBroken, AuditRetention
from shared.services.audit.rows import AUDIT, AuditRows
from shared.services.audit.trail import AuditTrail
from tests.faults.audit_trails import Meet, Tapped, dies, entry, forge, objects, trail_of

pytestmark = pytest.mark.xdist_group("azurite")


def _years(tables: Tapped) -> ManualClock:
    """Three records a day for five days; the last of them pending."""
    clock = ManualClock()
    for day in range(5):
        for n in range(3):
            trail_of(tables, clock).append(entry(f"{day}/{n}", f"{day}/{n}"))
        clock.sleep(86_400)
    return clock


def _retention(tables: Tapped, clock: ManualClock, meet: Meet | None = None) -> AuditRetention:
    process = tables.process(meet) if meet else tables.process()
    return AuditRetention(AuditRows(process), AuditTrail(process, clock))


def test_retention_removes_whole_days_and_the_chain_still_holds(tables: Tapped) -> None:
    clock = _years(tables)
    trail = trail_of(tables, clock)
    old = next(iter(trail.records())).head
    removed = _retention(tables, clock).remove_before("2026-01-03", "system")
    assert (removed.rows, removed.up_to.sequence, removed.done) == (6, 6, True)
    verdict = trail.verify([old])
    assert (verdict.fault, verdict.records, verdict.out_of_reach) == (None, 10, 1)
    assert trail.verify([removed.up_to]).intact
    assert trail.verify([AuditHead(6, "f" * 64)]).fault == AuditFault(Forgery.FORKED, 6)
    again = _retention(tables, clock).remove_before("2026-01-03", "system")
    assert (again.rows, trail.head().sequence) == (0, 16)
    _retention(tables, clock).remove_before("2026-01-04", "system", most=2)
    while not _retention(tables, clock).remove_before("2026-01-04", "system", most=2).done:
        pass
    assert [r.sequence for r in trail.records()] == list(range(10, 18))
    assert trail.verify().intact


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_write_of_retention_leaves_a_chain_that_holds(memory: Tapped, when: str) -> None:
    write = 0
    died = True
    while died:
        write += 1
        tables = Tapped(MemoryTables(), AUDIT)
        clock = _years(tables)
        try:
            _retention(tables, clock, dies(write, when)).remove_before("2026-01-03", "system")
            died = False
        except Crash:
            assert trail_of(tables, clock).verify().intact, write
        _retention(tables, clock).remove_before("2026-01-03", "system")
        verdict = trail_of(tables, clock).verify()
        assert (verdict.fault, verdict.records) == (None, 10), write
        left = {keys[1] for keys in tables._inner.stored}  # type: ignore[attr-defined]
        assert not left & {"2026-01-01", "2026-01-02"}
    assert write > 15


def test_retention_keeps_a_chain_that_is_broken(memory: Tapped) -> None:
    clock = _years(memory)
    forge(memory, 2, hash="0" * 64)
    with pytest.raises(AuditBroken, match="edited at record 2"):
        _retention(memory, clock).remove_before("2026-01-03", "system")
    assert len(objects(trail_of(memory, clock))) == 15


def test_a_beginning_that_was_removed_by_hand_is_found(memory: Tapped) -> None:
    clock = _years(memory)
    records = list(trail_of(memory, clock).records())
    AuditRows(memory.process()).set_removed(records[5].head)
    assert trail_of(memory, clock).verify().fault == AuditFault(Forgery.UNSEALED, 6)
