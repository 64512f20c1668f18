"""Capacity and the dashboard over a world in memory: days that pass, rows that are missing, adapters that fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.faults.taps import Call, QuietTap
from local.memory.world import World
from shared.errors import RepositoryError
from shared.services.recovery.content import ContentMissing
from shared.services.reporting.capacity import CAPACITY, NOTEBOOKS_BLOB
from shared.services.state.maintenance import Kind
from tests.dashboard_rows import DAYS, FAILURES, MIB, seed, under_way

DAY_SECONDS = 86_400
EVERYTHING = {"runs", "the run under way", "the failures of the last run", "verifications", "restores", "capacity"} | {
    "credentials"
}


class FailingTap(QuietTap):
    """Every call of one adapter, or of one of its tables, fails."""

    def __init__(self, port: str, table: str = "", error: Exception | None = None) -> None:
        self._port, self._table, self._error = port, table, error or ConnectionError("the service is away")

    def meet(self, when: str, call: Call) -> None:
        if when == "before" and call.port == self._port and self._table in ("", call.arguments[0]):
            raise self._error


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def _write(world: World, name: str, content: str) -> None:
    path = f"/Clients/{name}"
    op = "edit" if world.model.find(path) else "create"
    world.model.apply(op, "ada", path=path, language="PYTHON", content=content)


def _pass_day(world: World, name: str, content: str) -> dict[str, Any]:
    """A day with an edit, a backup and a measurement; what is answered then."""
    world.clock.sleep(DAY_SECONDS)
    _write(world, name, content)
    world.back_up()
    world.app.capacity.measure()
    return world.app.capacity.overview()


def test_before_the_first_backup_nothing_is_measured(world: World) -> None:
    world.app.capacity.measure()
    found = world.app.capacity.overview()
    assert (found["measured"], found["largest"], found["growers_since"]) == (None, [], None)
    assert not list(world.tables.query(CAPACITY, "day"))


def test_days_are_measured_once_each_and_carried_on(world: World) -> None:
    a_day = 1_000
    for day in range(10):
        _pass_day(world, f"n{day}", "x" * a_day)
    world.app.capacity.measure()
    found = world.app.capacity.overview()
    assert len(found["days"]) == 10
    sizes = [day["bytes"] for day in found["days"]]
    assert sizes == sorted(set(sizes)), "each day is larger than the one before"
    assert found["measured"]["notebooks"] == 10
    assert found["measured"]["full_copy_bytes"] == sum(map(len, world.notebooks().values()))
    assert found["growth"]["bytes_a_day"] == sizes[-1] - sizes[-2]
    assert found["growth"]["days_measured"] == 9
    copies = sum(day["full_copy_bytes"] for day in found["days"])
    assert found["full_copies"]["bytes"] == copies
    assert found["full_copies"]["saving"] == round(1 - sizes[-1] / copies, 4) > 0.5
    assert found["level"] == "ok"


def test_the_largest_and_the_fastest_growers_are_named(world: World) -> None:
    _pass_day(world, "steady", "x" * 900)
    _pass_day(world, "grows", "x" * 10)
    found = _pass_day(world, "grows", "x" * 700)
    assert [n["path"] for n in found["largest"]] == ["/Clients/steady", "/Clients/grows"]
    (grower,) = found["growers"]
    assert (grower["path"], grower["before"]) == ("/Clients/grows", None)
    since = found["growers_since"]
    for _ in range(40):
        world.clock.sleep(DAY_SECONDS)
    found = _pass_day(world, "grows", "x" * 1_700)
    (grower,) = found["growers"]
    assert (grower["grown"], grower["size"] - grower["before"]) == (1_000, 1_000)
    assert found["growers_since"] > since


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"size": 0},
        {"size": "many"},
        {"size": 5, "source": "nobody knows"},
        {"size": 5},
    ],
)
def test_a_row_that_is_not_whole_takes_no_other_day_with_it(world: World, row: dict[str, Any]) -> None:
    before = _pass_day(world, "a", "1")
    world.tables.upsert(CAPACITY, "day", "20250101", row)
    world.tables.upsert(CAPACITY, "day", "no day", {"size": 7})
    found = world.app.capacity.overview()
    assert found["measured"] == before["measured"]
    world.tables.delete(CAPACITY, "day", f"{world.clock.now():%Y%m%d}")
    assert world.app.capacity.overview()["advised_bytes"] == before["advised_bytes"]
    world.app.capacity.measure()
    assert world.app.capacity.overview()["measured"] == before["measured"]


def test_a_lost_or_damaged_list_of_notebooks_leaves_the_figures(world: World) -> None:
    before = _pass_day(world, "a", "1")
    world.blobs.delete(NOTEBOOKS_BLOB)
    found = world.app.capacity.overview()
    assert (found["largest"], found["measured"]) == ([], before["measured"])


def test_a_server_that_does_not_answer_leaves_the_day_without_a_row(world: World) -> None:
    _write(world, "a", "1")
    world.back_up()
    app = world.process(FailingTap("meter", error=RepositoryError(action="measure", detail="HTTP 503")))
    with pytest.raises(RepositoryError):
        app.capacity.measure()
    assert world.app.capacity.overview()["measured"] is None


def test_the_cut_of_the_archive_plan_goes_as_it_says(world: World) -> None:
    _pass_day(world, "a", "1")
    first = world.app.history.moment("latest").commit
    _pass_day(world, "a", "2")
    _pass_day(world, "b", "3")
    archive = world.remote.contents()
    world.remote.empty()
    run = world.back_up()
    assert "history_lost" in {notice["code"] for notice in run["notices"]}
    assert world.remote.contents() == archive
    assert len(world.remote.messages()) == 1
    assert len(world.app.history.versions("/Clients/a")) >= 2, "versions from before the cut are still listed"
    with pytest.raises(ContentMissing):
        world.app.content.at("/Clients/a", first)
    world.app.capacity.measure()
    assert world.app.capacity.overview()["measured"]["commit"] == world.remote.head


def test_thirty_days_of_rows_are_read_into_one_view(world: World) -> None:
    seed(world.tables, world.blobs, world.clock.now())
    run_id = under_way(world.tables, world.clock.now())
    found = world.app.dashboard.read()
    assert found.unread == []
    assert found.active is not None
    assert (found.active["run_id"], found.active["progress"]["percent"]) == (run_id, 37.5)
    assert len(found.runs) == DAYS + 2
    assert found.last is not None
    assert [f["path"] for f in found.last["failures"]] == sorted(f.path for f in FAILURES)
    assert found.verified is not None
    assert found.verified.last["status"] == "passed"
    assert [r["status"] for r in found.restores] == ["succeeded", "partial"]
    assert found.capacity is not None
    assert found.capacity["growth"]["bytes_a_day"] == 12 * MIB
    assert [c.name for c in found.credentials] == ["Workspace identity", "Repository identity"]


def test_an_empty_app_is_read_without_a_row(world: World) -> None:
    found = world.app.dashboard.read()
    assert (found.active, found.runs, found.last, found.verified, found.restores) == (None, [], None, None, [])
    assert found.unread == []


@pytest.mark.parametrize("partition", ["run"])
@pytest.mark.parametrize("row", [{"phase": "exporting"}, {"status": "odd", "phase": "done", "started_at": "2026"}])
def test_a_run_whose_row_is_not_whole_is_left_out(world: World, partition: str, row: dict[str, Any]) -> None:
    seed(world.tables, world.blobs, world.clock.now())
    world.tables.upsert("runs", partition, "20251231T000000Z-dead", row)
    found = world.app.dashboard.read()
    assert len(found.runs) == DAYS + 1
    assert "20251231T000000Z-dead" not in {run.run_id for run in found.runs}


def test_a_lease_whose_run_ended_is_no_run_under_way(world: World) -> None:
    seed(world.tables, world.blobs, world.clock.now())
    run_id = under_way(world.tables, world.clock.now())
    world.tables.upsert("runs", "run", run_id, {"status": "succeeded", "phase": "done", "seconds": 5.0})
    assert world.app.dashboard.read().active is None


@pytest.mark.parametrize(
    ("table", "unread"),
    [
        ("runs", {"runs"}),
        ("maintenance", {"verifications"}),
        ("restores", {"restores"}),
        ("capacity", {"capacity"}),
        ("credentials", {"credentials"}),
        ("batches", {"the failures of the last run"}),
    ],
)
def test_a_table_that_does_not_answer_leaves_the_rest(world: World, table: str, unread: set[str]) -> None:
    seed(world.tables, world.blobs, world.clock.now())
    found = world.process(FailingTap("tables", table)).dashboard.read()
    assert set(found.unread) == unread
    assert unread < EVERYTHING
    assert (found.capacity is None) == (table == "capacity")
    assert (found.restores == []) == (table == "restores")


def test_storage_that_is_away_altogether_is_told_section_by_section(world: World) -> None:
    seed(world.tables, world.blobs, world.clock.now())
    found = world.process(FailingTap("tables")).dashboard.read()
    assert set(found.unread) == EVERYTHING - {"the failures of the last run"}


def test_a_real_verification_is_shown_with_when_it_passed(world: World) -> None:
    _write(world, "a", "1")
    world.back_up()
    world.maintain(Kind.VERIFY)
    found = world.app.dashboard.read()
    assert found.verified is not None
    assert found.verified.passed_at is not None
    assert found.verified.passed_at <= world.clock.now()
