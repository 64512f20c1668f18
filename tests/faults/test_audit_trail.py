"""The audit trail with many writers, with writers that die, and with tables that are forged or out of reach."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError

from local.faults.crash_points import Crash
from local.memory.clock import ManualClock
from local.memory.storage import MemoryTables
from shared.domain.audit import AuditAction, AuditEntry, AuditRecord
from shared.domain.audit_check import AuditFault, Forgery
from shared.errors import StateConflict
from shared.protocols import Tables
from shared.redaction import remember
from shared.services.audit.rows import AUDIT, CURRENT, HEAD, AuditDamaged, AuditRows, row_key
from shared.services.audit.trail import AuditTrail, AuditUnavailable
from tests.faults.audit_trails import DAY, Tapped, check_unbroken, dies, entry, forge, objects, trail_of

pytestmark = pytest.mark.xdist_group("azurite")
WRITERS, EACH = 8, 12


def test_eight_writers_at_once_leave_an_unbroken_chain(tables: Tapped) -> None:
    def write(writer: int) -> list[AuditRecord]:
        trail = trail_of(tables)
        return [trail.append(entry(f"{writer}/{n}")) for n in range(EACH)]

    with ThreadPoolExecutor(WRITERS) as pool:
        told = [record for records in pool.map(write, range(WRITERS)) for record in records]
    trail = trail_of(tables)
    check_unbroken(trail, WRITERS * EACH)
    assert list(trail.records()) == sorted(told, key=lambda r: r.sequence)
    for writer in range(WRITERS):
        own = [name for name in objects(trail) if name.startswith(f"{writer}/")]
        assert own == [f"{writer}/{n}" for n in range(EACH)]


def test_eight_repeats_of_one_step_at_once_append_it_once(tables: Tapped) -> None:
    def write(_: int) -> AuditRecord:
        return trail_of(tables).append(entry("a", "step 1"))

    with ThreadPoolExecutor(WRITERS) as pool:
        told = list(pool.map(write, range(WRITERS)))
    assert len(set(map(repr, told))) == 1
    check_unbroken(trail_of(tables), 1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_a_death_at_any_write_loses_nothing_and_doubles_nothing(tables: Tapped, write: int, when: str) -> None:
    """The append writes the records before it, their keys, their day, and the head."""
    trail_of(tables).append_many([entry("a", "a"), entry("b", "b")])
    dying = trail_of(tables, meet=dies(write, when))
    with pytest.raises(Crash):
        dying.append_many([entry("c", "c"), entry("d", "d")])
    appended = (write, when) == (4, "after")
    assert objects(trail_of(tables)) == ["a", "b", "c", "d"][: 4 if appended else 2]
    trail_of(tables).append(entry("other"))
    again = trail_of(tables).append_many([entry("c", "c"), entry("d", "d")])
    expected = ["a", "b", "c", "d", "other"] if appended else ["a", "b", "other", "c", "d"]
    assert objects(trail_of(tables)) == expected
    assert [record.object for record in again] == ["c", "d"]
    check_unbroken(trail_of(tables), 5)


@pytest.mark.parametrize("carried", [1, 3, 16])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_death_loses_a_record_that_stays_in_the_head(tables: Tapped, carried: int, when: str) -> None:
    """Every step is begun by a process that dies at one of its writes, and repeated by another."""
    clock = ManualClock()
    for n in range(24):
        step = entry(str(n), f"step {n}")
        with contextlib.suppress(Crash):
            trail_of(tables, clock, dies(n % 4 + 1, when), carried=carried).append(step)
        trail_of(tables, clock, carried=carried).append(step)
        assert objects(trail_of(tables)) == [str(m) for m in range(n + 1)]
        clock.sleep(5_000)
    check_unbroken(trail_of(tables), 24)


def test_a_writer_whose_head_was_moved_by_another_extends_the_new_one(tables: Tapped) -> None:
    first, second = trail_of(tables, carried=16), trail_of(tables, carried=2)
    for n in range(12):
        (first if n % 3 else second).append(entry(str(n)))
    assert objects(trail_of(tables)) == [str(n) for n in range(12)]
    check_unbroken(trail_of(tables), 12)


def test_a_long_record_is_not_kept_in_the_head_beside_others(memory: Tapped) -> None:
    trail = trail_of(memory, carried=16)
    for _ in range(5):
        trail.append(AuditEntry(AuditAction.EXPORTED, "system", "x", detail={"text": "y" * 9_000}))
    state = AuditRows(memory.process()).state()
    assert 0 < len(state.pending) < 5
    check_unbroken(trail, 5)


def test_an_append_makes_no_write_that_no_death_was_tried_at(memory: Tapped) -> None:
    trail_of(memory).append_many([entry("a", "a"), entry("b", "b")])
    seen: list[int] = []
    trail_of(memory, meet=lambda when, method, number: seen.append(number)).append(entry("c", "c"))
    assert max(seen) == 4


def test_a_repeated_key_gives_the_first_record_however_late(tables: Tapped) -> None:
    trail = trail_of(tables)
    first = trail.append(entry("a", "k"))
    assert trail.append(entry("changed", "k")) == first
    trail.append_many([entry(str(n)) for n in range(250)])
    assert trail.append_many([entry("new"), entry("changed", "k"), entry("twice", "t"), entry("twice", "t")])[1:] == [
        first,
        *[next(r for r in trail.records() if r.key == "t")] * 2,
    ]
    other = trail.append(entry("of another run", "k", correlation="run 2"))
    assert other.sequence == 254
    check_unbroken(trail, 254)


def test_entries_without_a_key_are_never_taken_for_one_another(tables: Tapped) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        told = list(pool.map(lambda _: trail_of(tables).append(entry("same")), range(WRITERS)))
    assert sorted(record.sequence for record in told) == list(range(1, WRITERS + 1))


def test_a_lost_answer_that_the_client_repeated_is_not_a_second_record(memory: Tapped) -> None:
    trail_of(memory).append(entry("a"))

    def meet(when: str, method: str, number: int) -> None:
        if (when, method) == ("after", "replace"):
            raise StateConflict(name="audit/head/current")

    assert trail_of(memory, meet=meet).append(entry("b")).sequence == 2
    check_unbroken(trail_of(memory), 2)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_storage_that_fails_is_a_clear_error(memory: Tapped, when: str) -> None:
    def meet(now: str, method: str, number: int) -> None:
        if now == when:
            raise HttpResponseError("the service refused")

    with pytest.raises(AuditUnavailable, match="the service refused"):
        trail_of(memory, meet=meet).append(entry("a", "a"))
    trail_of(memory).append(entry("a", "a"))
    assert objects(trail_of(memory)) == ["a"]


def test_a_writer_that_is_never_first_gives_up(memory: Tapped) -> None:
    trail_of(memory).append(entry("a"))

    def meet(when: str, method: str, number: int) -> None:
        if (when, method) == ("before", "replace"):
            raise StateConflict(name="audit/head/current")

    with pytest.raises(AuditUnavailable, match="other writers"):
        trail_of(memory, meet=meet).append(entry("b"))


def test_time_does_not_go_back_where_a_writers_clock_is_behind(memory: Tapped) -> None:
    late = ManualClock(datetime.fromisoformat("2026-01-02T00:00:01+00:00"))
    early = ManualClock(datetime.fromisoformat("2026-01-01T23:59:59+00:00"))
    first, second = trail_of(memory, late).append(entry("a")), trail_of(memory, early).append(entry("b"))
    assert first.at_ms == second.at_ms
    check_unbroken(trail_of(memory), 2)


def test_records_are_read_by_time_actor_and_action(tables: Tapped) -> None:
    clock = ManualClock()
    trail = trail_of(tables, clock)
    for day in range(4):
        for actor in ("ada", "o'hara \ud800 and 'x'"):
            trail.append(AuditEntry(AuditAction.LISTED, actor, f"{day} {actor[0]}"))
            trail.append(AuditEntry(AuditAction.CONTENT_READ, actor, f"{day} {actor[0]} read"))
            clock.sleep(3_600)
        clock.sleep(86_400 - 7_200)
    start = int(ManualClock().now().timestamp() * 1000)
    hour, day = 3_600_000, 86_400_000
    found = [r.object for r in trail.records(start + hour, start + day + hour)]
    assert found == ["0 o", "0 o read", "1 a", "1 a read"]
    hostile = [r.object for r in trail.records(actor="o'hara \ud800 and 'x'", action=AuditAction.LISTED)]
    assert hostile == ["0 o", "1 o", "2 o", "3 o"]
    assert [r.sequence for r in trail.records()] == list(range(1, 17))


def test_only_the_days_that_are_asked_for_are_read(memory: Tapped) -> None:
    clock = ManualClock()
    for _ in range(5):
        trail_of(memory, clock).append(entry("a"))
        clock.sleep(86_400)
    asked: list[str] = []

    class Watched(MemoryTables):
        def query(self, table: str, partition: str, *arguments: Any, **options: Any) -> Any:
            asked.append(partition)
            return super().query(table, partition, *arguments, **options)

    inner = Watched(stored=memory._inner.stored)  # type: ignore[attr-defined]
    start = int(ManualClock().now().timestamp() * 1000)
    list(AuditTrail(inner, clock).records(start + 86_400_000, start + 2 * 86_400_000))
    assert asked == ["days", "2026-01-02", "2026-01-03"]


def test_no_credential_and_no_own_key_comes_in(memory: Tapped) -> None:
    secret = remember("a-credential-of-the-audit-test")
    record = trail_of(memory).append(AuditEntry(AuditAction.LISTED, secret, f"x{secret}", detail={"d": f"<{secret}>"}))
    assert (record.actor, record.object, record.detail["d"]) == ("[redacted]", "x[redacted]", "<[redacted]>")
    with pytest.raises(ValueError, match="cannot begin"):
        trail_of(memory).append(entry("a", "~k"))


@pytest.mark.parametrize(
    "columns", [{"hash": "0" * 64}, {"body": "{}"}, {"at": "0"}, {"actor": "x"}, {"action": "x"}], ids=str
)
def test_a_row_that_was_changed_is_found_and_does_not_break_the_reading(tables: Tapped, columns: Any) -> None:
    trail = trail_of(tables)
    for n in range(5):
        trail.append(entry(str(n)))
    forge(tables, 3, **columns)
    assert trail.verify().fault == AuditFault(Forgery.EDITED, 3)
    assert len(list(trail.records())) == 5


def test_a_row_that_was_removed_is_found(tables: Tapped) -> None:
    trail = trail_of(tables)
    for n in range(5):
        trail.append(entry(str(n)))
    tables.process().delete(AUDIT, DAY, row_key(2))
    assert trail.verify().fault == AuditFault(Forgery.DELETED, 2)


def test_a_trail_that_was_set_back_contradicts_its_anchors(memory: Tapped) -> None:
    trail = trail_of(memory)
    for n in range(3):
        trail.append(entry(str(n)))
    before = dict(memory._inner.stored)  # type: ignore[attr-defined]
    anchor = trail.append(entry("unwanted")).head
    memory._inner.stored = before  # type: ignore[attr-defined]
    assert trail.verify([anchor]).fault == AuditFault(Forgery.TRUNCATED, 4)
    trail.append(entry("instead"))
    assert trail.verify([anchor]).fault == AuditFault(Forgery.FORKED, 4)
    assert trail.verify().intact, "without an anchor nothing can show it"


def test_a_trail_whose_head_is_gone_is_not_begun_anew(memory: Tapped) -> None:
    trail = trail_of(memory)
    trail.append(entry("a"))
    trail.append(entry("b"))
    memory.process().delete(AUDIT, HEAD, CURRENT)
    with pytest.raises(AuditDamaged, match="head row is gone"):
        trail.append(entry("c"))


def test_those_who_wait_share_one_append(memory: Tapped) -> None:
    first, go_on = threading.Event(), threading.Event()

    def meet(when: str, method: str, number: int) -> None:
        if (when, method, number) == ("before", "insert", 1):
            first.set()
            assert go_on.wait(30)

    tables = Tapped(memory._inner, AUDIT, meet)
    trail = AuditTrail(cast(Tables, tables), ManualClock())
    with ThreadPoolExecutor(WRITERS) as pool:
        began = pool.submit(trail.append, entry("first"))
        assert first.wait(30)
        others = [pool.submit(trail.append, entry(f"other {n}")) for n in range(WRITERS - 1)]
        while len(trail._queue) < len(others):
            threading.Event().wait(0.001)
        go_on.set()
        records = [began.result(), *(other.result() for other in others)]
    assert sorted(r.sequence for r in records) == list(range(1, WRITERS + 1))
    assert tables.heads == 2, "one for the first, one for all who came meanwhile"
    assert trail.verify().intact


def test_one_of_those_who_wait_may_fail_without_the_next(memory: Tapped) -> None:
    trail = trail_of(memory)
    with pytest.raises(ValueError, match="key"):
        trail.append(entry("x", key="~own"))
    assert trail.append(entry("y")).sequence == 1
