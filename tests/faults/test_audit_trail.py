"""The audit trail with many writers, with writers that die, and with tables that are forged or out of reach."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError

from local.faults.crash_points import Crash
from local.memory.clock import ManualClock
from local.memory.storage import MemoryTables
from shared.adapters.storage import StorageClients
from shared.domain.audit import AuditAction, AuditEntry, AuditHead, AuditRecord
from shared.domain.audit_check import AuditFault, Forgery
from shared.errors import StateConflict
from shared.protocols import Tables
from shared.redaction import remember
from shared.services.audit_retention import AuditBroken, AuditRetention
from shared.services.audit_rows import AUDIT, CURRENT, HEAD, AuditDamaged, AuditRows, row_key
from shared.services.audit_trail import AuditTrail, AuditUnavailable

pytestmark = pytest.mark.xdist_group("azurite")

WRITERS, EACH = 8, 12
WRITES = ("insert", "replace", "upsert", "upsert_many", "delete")
DAY = "2026-01-01"
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


@pytest.fixture(params=["memory", "azurite"])
def tables(request: pytest.FixtureRequest) -> Tapped:
    if request.param == "memory":
        return Tapped(MemoryTables(), AUDIT)
    clients = StorageClients.from_connection_string(request.getfixturevalue("azurite"))
    return Tapped(clients.tables(), f"audit{uuid.uuid4().hex}")


@pytest.fixture
def memory() -> Tapped:
    return Tapped(MemoryTables(), AUDIT)


def _trail(
    tables: Tapped, clock: ManualClock | None = None, meet: Meet | None = None, *, carried: int = 0
) -> AuditTrail:
    """A process's trail; one that carries nothing gives every record its row at the next append."""
    return AuditTrail(tables.process(meet) if meet else tables.process(), clock or ManualClock(), carried=carried)


def _entry(name: str, key: str = "", correlation: str = "run") -> AuditEntry:
    return AuditEntry(AuditAction.EXPORTED, "system", name, correlation=correlation, key=key)


def _objects(trail: AuditTrail) -> list[str]:
    return [record.object for record in trail.records()]


def _check_unbroken(trail: AuditTrail, count: int) -> None:
    verdict = trail.verify()
    assert (verdict.fault, verdict.records, verdict.anchored) == (None, count, count)


def _dies(at: int, when: str) -> Meet:
    def meet(now: str, method: str, number: int) -> None:
        if (number, now) == (at, when):
            raise Crash

    return meet


def test_eight_writers_at_once_leave_an_unbroken_chain(tables: Tapped) -> None:
    def write(writer: int) -> list[AuditRecord]:
        trail = _trail(tables)
        return [trail.append(_entry(f"{writer}/{n}")) for n in range(EACH)]

    with ThreadPoolExecutor(WRITERS) as pool:
        told = [record for records in pool.map(write, range(WRITERS)) for record in records]
    trail = _trail(tables)
    _check_unbroken(trail, WRITERS * EACH)
    assert list(trail.records()) == sorted(told, key=lambda r: r.sequence)
    for writer in range(WRITERS):
        own = [name for name in _objects(trail) if name.startswith(f"{writer}/")]
        assert own == [f"{writer}/{n}" for n in range(EACH)]


def test_eight_repeats_of_one_step_at_once_append_it_once(tables: Tapped) -> None:
    def write(_: int) -> AuditRecord:
        return _trail(tables).append(_entry("a", "step 1"))

    with ThreadPoolExecutor(WRITERS) as pool:
        told = list(pool.map(write, range(WRITERS)))
    assert len(set(map(repr, told))) == 1
    _check_unbroken(_trail(tables), 1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_a_death_at_any_write_loses_nothing_and_doubles_nothing(tables: Tapped, write: int, when: str) -> None:
    """The append writes the records before it, their keys, their day, and the head."""
    _trail(tables).append_many([_entry("a", "a"), _entry("b", "b")])
    dying = _trail(tables, meet=_dies(write, when))
    with pytest.raises(Crash):
        dying.append_many([_entry("c", "c"), _entry("d", "d")])
    appended = (write, when) == (4, "after")
    assert _objects(_trail(tables)) == ["a", "b", "c", "d"][: 4 if appended else 2]
    _trail(tables).append(_entry("other"))
    again = _trail(tables).append_many([_entry("c", "c"), _entry("d", "d")])
    expected = ["a", "b", "c", "d", "other"] if appended else ["a", "b", "other", "c", "d"]
    assert _objects(_trail(tables)) == expected
    assert [record.object for record in again] == ["c", "d"]
    _check_unbroken(_trail(tables), 5)


@pytest.mark.parametrize("carried", [1, 3, 16])
@pytest.mark.parametrize("when", ["before", "after"])
def test_no_death_loses_a_record_that_stays_in_the_head(tables: Tapped, carried: int, when: str) -> None:
    """Every step is begun by a process that dies at one of its writes, and repeated by another."""
    clock = ManualClock()
    for n in range(24):
        entry = _entry(str(n), f"step {n}")
        with contextlib.suppress(Crash):
            _trail(tables, clock, _dies(n % 4 + 1, when), carried=carried).append(entry)
        _trail(tables, clock, carried=carried).append(entry)
        assert _objects(_trail(tables)) == [str(m) for m in range(n + 1)]
        clock.sleep(5_000)
    _check_unbroken(_trail(tables), 24)


def test_a_writer_whose_head_was_moved_by_another_extends_the_new_one(tables: Tapped) -> None:
    first, second = _trail(tables, carried=16), _trail(tables, carried=2)
    for n in range(12):
        (first if n % 3 else second).append(_entry(str(n)))
    assert _objects(_trail(tables)) == [str(n) for n in range(12)]
    _check_unbroken(_trail(tables), 12)


def test_a_long_record_is_not_kept_in_the_head_beside_others(memory: Tapped) -> None:
    trail = _trail(memory, carried=16)
    for _ in range(5):
        trail.append(AuditEntry(AuditAction.EXPORTED, "system", "x", detail={"text": "y" * 9_000}))
    state = AuditRows(memory.process()).state()
    assert 0 < len(state.pending) < 5
    _check_unbroken(trail, 5)


def test_an_append_makes_no_write_that_no_death_was_tried_at(memory: Tapped) -> None:
    _trail(memory).append_many([_entry("a", "a"), _entry("b", "b")])
    seen: list[int] = []
    _trail(memory, meet=lambda when, method, number: seen.append(number)).append(_entry("c", "c"))
    assert max(seen) == 4


def test_a_repeated_key_gives_the_first_record_however_late(tables: Tapped) -> None:
    trail = _trail(tables)
    first = trail.append(_entry("a", "k"))
    assert trail.append(_entry("changed", "k")) == first
    trail.append_many([_entry(str(n)) for n in range(250)])
    assert trail.append_many([_entry("new"), _entry("changed", "k"), _entry("twice", "t"), _entry("twice", "t")])[
        1:
    ] == [first, *[next(r for r in trail.records() if r.key == "t")] * 2]
    other = trail.append(_entry("of another run", "k", correlation="run 2"))
    assert other.sequence == 254
    _check_unbroken(trail, 254)


def test_entries_without_a_key_are_never_taken_for_one_another(tables: Tapped) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        told = list(pool.map(lambda _: _trail(tables).append(_entry("same")), range(WRITERS)))
    assert sorted(record.sequence for record in told) == list(range(1, WRITERS + 1))


def test_a_lost_answer_that_the_client_repeated_is_not_a_second_record(memory: Tapped) -> None:
    _trail(memory).append(_entry("a"))

    def meet(when: str, method: str, number: int) -> None:
        if (when, method) == ("after", "replace"):
            raise StateConflict(name="audit/head/current")

    assert _trail(memory, meet=meet).append(_entry("b")).sequence == 2
    _check_unbroken(_trail(memory), 2)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_storage_that_fails_is_a_clear_error(memory: Tapped, when: str) -> None:
    def meet(now: str, method: str, number: int) -> None:
        if now == when:
            raise HttpResponseError("the service refused")

    with pytest.raises(AuditUnavailable, match="the service refused"):
        _trail(memory, meet=meet).append(_entry("a", "a"))
    _trail(memory).append(_entry("a", "a"))
    assert _objects(_trail(memory)) == ["a"]


def test_a_writer_that_is_never_first_gives_up(memory: Tapped) -> None:
    _trail(memory).append(_entry("a"))

    def meet(when: str, method: str, number: int) -> None:
        if (when, method) == ("before", "replace"):
            raise StateConflict(name="audit/head/current")

    with pytest.raises(AuditUnavailable, match="other writers"):
        _trail(memory, meet=meet).append(_entry("b"))


def test_time_does_not_go_back_where_a_writers_clock_is_behind(memory: Tapped) -> None:
    late = ManualClock(datetime.fromisoformat("2026-01-02T00:00:01+00:00"))
    early = ManualClock(datetime.fromisoformat("2026-01-01T23:59:59+00:00"))
    first, second = _trail(memory, late).append(_entry("a")), _trail(memory, early).append(_entry("b"))
    assert first.at_ms == second.at_ms
    _check_unbroken(_trail(memory), 2)


def test_records_are_read_by_time_actor_and_action(tables: Tapped) -> None:
    clock = ManualClock()
    trail = _trail(tables, clock)
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
        _trail(memory, clock).append(_entry("a"))
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
    record = _trail(memory).append(AuditEntry(AuditAction.LISTED, secret, f"x{secret}", detail={"d": f"<{secret}>"}))
    assert (record.actor, record.object, record.detail["d"]) == ("[redacted]", "x[redacted]", "<[redacted]>")
    with pytest.raises(ValueError, match="cannot begin"):
        _trail(memory).append(_entry("a", "~k"))


def _forge(tables: Tapped, sequence: int, **columns: str) -> None:
    tables.process().upsert(AUDIT, DAY, row_key(sequence), dict(columns))


@pytest.mark.parametrize(
    "columns", [{"hash": "0" * 64}, {"body": "{}"}, {"at": "0"}, {"actor": "x"}, {"action": "x"}], ids=str
)
def test_a_row_that_was_changed_is_found_and_does_not_break_the_reading(tables: Tapped, columns: Any) -> None:
    trail = _trail(tables)
    for n in range(5):
        trail.append(_entry(str(n)))
    _forge(tables, 3, **columns)
    assert trail.verify().fault == AuditFault(Forgery.EDITED, 3)
    assert len(list(trail.records())) == 5


def test_a_row_that_was_removed_is_found(tables: Tapped) -> None:
    trail = _trail(tables)
    for n in range(5):
        trail.append(_entry(str(n)))
    tables.process().delete(AUDIT, DAY, row_key(2))
    assert trail.verify().fault == AuditFault(Forgery.DELETED, 2)


def test_a_trail_that_was_set_back_contradicts_its_anchors(memory: Tapped) -> None:
    trail = _trail(memory)
    for n in range(3):
        trail.append(_entry(str(n)))
    before = dict(memory._inner.stored)  # type: ignore[attr-defined]
    anchor = trail.append(_entry("unwanted")).head
    memory._inner.stored = before  # type: ignore[attr-defined]
    assert trail.verify([anchor]).fault == AuditFault(Forgery.TRUNCATED, 4)
    trail.append(_entry("instead"))
    assert trail.verify([anchor]).fault == AuditFault(Forgery.FORKED, 4)
    assert trail.verify().intact, "without an anchor nothing can show it"


def test_a_trail_whose_head_is_gone_is_not_begun_anew(memory: Tapped) -> None:
    trail = _trail(memory)
    trail.append(_entry("a"))
    trail.append(_entry("b"))
    memory.process().delete(AUDIT, HEAD, CURRENT)
    with pytest.raises(AuditDamaged, match="head row is gone"):
        trail.append(_entry("c"))


def _years(tables: Tapped) -> ManualClock:
    """Three records a day for five days; the last of them pending."""
    clock = ManualClock()
    for day in range(5):
        for n in range(3):
            _trail(tables, clock).append(_entry(f"{day}/{n}", f"{day}/{n}"))
        clock.sleep(86_400)
    return clock


def _retention(tables: Tapped, clock: ManualClock, meet: Meet | None = None) -> AuditRetention:
    process = tables.process(meet) if meet else tables.process()
    return AuditRetention(AuditRows(process), AuditTrail(process, clock))


def test_retention_removes_whole_days_and_the_chain_still_holds(tables: Tapped) -> None:
    clock = _years(tables)
    trail = _trail(tables, clock)
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
            _retention(tables, clock, _dies(write, when)).remove_before("2026-01-03", "system")
            died = False
        except Crash:
            assert _trail(tables, clock).verify().intact, write
        _retention(tables, clock).remove_before("2026-01-03", "system")
        verdict = _trail(tables, clock).verify()
        assert (verdict.fault, verdict.records) == (None, 10), write
        left = {keys[1] for keys in tables._inner.stored}  # type: ignore[attr-defined]
        assert not left & {"2026-01-01", "2026-01-02"}
    assert write > 15


def test_retention_keeps_a_chain_that_is_broken(memory: Tapped) -> None:
    clock = _years(memory)
    _forge(memory, 2, hash="0" * 64)
    with pytest.raises(AuditBroken, match="edited at record 2"):
        _retention(memory, clock).remove_before("2026-01-03", "system")
    assert len(_objects(_trail(memory, clock))) == 15


def test_a_beginning_that_was_removed_by_hand_is_found(memory: Tapped) -> None:
    clock = _years(memory)
    records = list(_trail(memory, clock).records())
    AuditRows(memory.process()).set_removed(records[5].head)
    assert _trail(memory, clock).verify().fault == AuditFault(Forgery.UNSEALED, 6)


def test_those_who_wait_share_one_append(memory: Tapped) -> None:
    first, go_on = threading.Event(), threading.Event()

    def meet(when: str, method: str, number: int) -> None:
        if (when, method, number) == ("before", "insert", 1):
            first.set()
            assert go_on.wait(30)

    tables = Tapped(memory._inner, AUDIT, meet)
    trail = AuditTrail(cast(Tables, tables), ManualClock())
    with ThreadPoolExecutor(WRITERS) as pool:
        began = pool.submit(trail.append, _entry("first"))
        assert first.wait(30)
        others = [pool.submit(trail.append, _entry(f"other {n}")) for n in range(WRITERS - 1)]
        while len(trail._queue) < len(others):
            threading.Event().wait(0.001)
        go_on.set()
        records = [began.result(), *(other.result() for other in others)]
    assert sorted(r.sequence for r in records) == list(range(1, WRITERS + 1))
    assert tables.heads == 2, "one for the first, one for all who came meanwhile"
    assert trail.verify().intact


def test_one_of_those_who_wait_may_fail_without_the_next(memory: Tapped) -> None:
    trail = _trail(memory)
    with pytest.raises(ValueError, match="key"):
        trail.append(_entry("x", key="~own"))
    assert trail.append(_entry("y")).sequence == 1
