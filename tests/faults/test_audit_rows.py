"""What the trail's rows are asked: parts by number, many keys, the last of a kind; in memory and on Azurite."""

from __future__ import annotations

import pytest

from local.memory.clock import ManualClock
from shared.domain.audit import AuditAction, AuditEntry
from shared.services.audit.rows import AuditRows, Where
from tests.faults.audit_trails import Tapped, entry, trail_of

pytestmark = pytest.mark.xdist_group("azurite")


def test_records_are_read_between_two_numbers(tables: Tapped) -> None:
    clock = ManualClock()
    for _ in range(8):
        trail_of(tables, clock).append(entry("a"))
        clock.sleep(10 * 3_600)
    rows = AuditRows(tables.process())
    for after, up_to in ((0, None), (2, None), (3, 5), (4, 4), (7, 8), (7, None), (8, None), (0, 1)):
        found = [r.sequence for r in rows.scan(rows.state(), Where(after=after, up_to=up_to))]
        assert found == list(range(after + 1, (up_to or 8) + 1))


def test_many_keys_are_looked_up_at_once_and_each_is_found(tables: Tapped) -> None:
    trail = trail_of(tables)
    entries = [entry(str(n), str(n)) for n in range(12)]
    first = trail.append_many(entries)
    trail.append(entry("other", "0", correlation="run 2"))
    assert trail.append_many([*entries, entry("12", "12")])[:12] == first
    assert trail.verify().records == 14


def test_the_last_record_of_an_act_is_found_from_the_end(tables: Tapped) -> None:
    clock = ManualClock()
    for n in range(6):
        trail_of(tables, clock).append(
            AuditEntry(AuditAction.VERIFIED if n % 2 else AuditAction.LISTED, "system", str(n))
        )
        clock.sleep(86_400)
    rows = AuditRows(tables.process())
    found = [
        rows.last(AuditAction.VERIFIED, rows.state(), lambda r, most=most: int(r.object) <= most) for most in (9, 4)
    ]
    assert [r.object for r in found if r] == ["5", "3"]
    assert rows.last(AuditAction.RESTORED, rows.state(), lambda r: True) is None
