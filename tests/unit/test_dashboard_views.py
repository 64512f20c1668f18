"""What the dashboard makes of what was read: headline, needs, figures, charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions import charts
from functions.charts import HEIGHT, WIDTH, duration_text
from functions.dashboard_views import ago, groups, view
from functions.remedies import OTHERWISE, remedy
from shared.domain.capacity import ADVISED_BYTES, SizePoint
from shared.domain.reliability import CHANGES, DayChanges, RunFact
from shared.domain.runs import RunStatus
from shared.services.reporting.dashboard import Credential, Dashboard, Verified

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RUN_ID = "20261124T100000Z-aaaa"


def _run(hours: float = 2, status: str = "succeeded", seconds: float | None = 60.0, failed: int = 0) -> RunFact:
    started = NOW - timedelta(hours=hours)
    changes = dict.fromkeys(CHANGES, 0) | {"changed": 3}
    return RunFact(f"r{hours}", started, RunStatus(status), seconds, 1_000, 100, failed, changes)


def _last(status: str = "succeeded", failures: Sequence[dict[str, str]] = (), **more: Any) -> dict[str, Any]:
    counts = {"held": more.pop("held", 0)}
    plain = {"run_id": RUN_ID, "status": status, "error": None, "failed": len(failures)}
    return {**plain, "counts": counts, "failures": list(failures), **more}


GOOD = Dashboard(NOW, None, [_run()], _last(), None, [], None, [], [])


def _needs(found: Dashboard) -> list[tuple[str, str]]:
    return [(need.level, need.title) for need in view(found)["needs"]]


def test_all_is_well_is_said_of_a_run_that_succeeded() -> None:
    shown = view(GOOD)
    assert (shown["headline"], shown["needs"], shown["empty"]) == (("good", "Everything is backed up"), [], False)
    assert shown["refresh"] == 60
    assert view(GOOD, refreshing=False)["refresh"] is None


def test_before_the_first_run_it_says_so() -> None:
    shown = view(Dashboard(NOW, None, [], None, None, [], None, [], []))
    assert (shown["empty"], shown["headline"]) == (True, ("", "No backup yet"))
    assert shown["charts"] == shown["tiles"] == shown["strip"] == []


def test_a_first_run_under_way_is_no_success_yet() -> None:
    active = {"run_id": RUN_ID, "phase": "planning", "planned": 0, "failures": []}
    active["progress"] = {"percent": 0.0, "notebooks_per_second": 0.0, "remaining_seconds": None}
    shown = view(replace(GOOD, active=active, runs=[_run(0.1, "running", None)], last=None))
    assert (shown["headline"][1], shown["refresh"], shown["empty"]) == ("The first backup is under way", 10, False)
    assert (shown["active"]["rate"], shown["active"]["left"]) == (None, None)


@pytest.mark.parametrize(
    ("changed", "level", "words"),
    [
        ({"last": _last("failed", error="Git said no")}, "bad", "Git said no"),
        ({"last": _last("failed")}, "bad", "names no reason"),
        ({"last": _last("partial", [{"path": "/a", "code": "x", "reason": "y"}])}, "warn", "1 notebook or folder"),
        ({"last": _last("partial", held=7)}, "warn", "held 7 deletions"),
        ({"runs": [_run(1, "failed"), _run(27)]}, "bad", "No backup for 27 h"),
        ({"verified": Verified({"status": "failed", "failures": [{"code": "a"}] * 2}, NOW)}, "bad", "2 things"),
        ({"verified": Verified({"status": "stopped", "failures": [], "error": "gone"}, NOW)}, "warn", "gone"),
        ({"verified": Verified({"status": "queued", "failures": []}, NOW - timedelta(hours=60))}, "warn", "2 days"),
        ({"credentials": [Credential("token", False, date(2026, 12, 20))]}, "warn", "expires in 26 days"),
        ({"credentials": [Credential("token", False, date(2026, 11, 25))]}, "bad", "expires in 1 day"),
        ({"credentials": [Credential("token", False, date(2026, 11, 20))]}, "bad", "has expired"),
        ({"unread": ["restores"]}, "warn", "Could not be read: restores"),
    ],
)
def test_what_needs_somebody_is_named_with_what_to_do(changed: dict[str, Any], level: str, words: str) -> None:
    found = replace(GOOD, **changed)
    if "verified" in changed:
        for failure in changed["verified"].last["failures"]:
            failure |= {"path": "/a", "reason": "b"}
    (need,) = view(found)["needs"]
    assert (need.level, words in need.title) == (level, True), need.title
    assert len(need.todo) > 20
    assert view(found)["headline"][0] == level


def test_what_is_far_away_or_renews_itself_needs_nobody() -> None:
    credentials = [Credential("a", True), Credential("b", False), Credential("c", False, date(2027, 6, 1))]
    found = replace(GOOD, credentials=credentials, verified=Verified({"status": "passed", "failures": []}, NOW))
    assert _needs(found) == []
    states = [c["state"] for c in view(found)["credentials"]]
    assert states == ["renews itself", "expiry is not known", "1 Jun 2027, in 189 days"]


def test_a_run_under_way_is_no_late_backup() -> None:
    active = {"run_id": RUN_ID, "phase": "exporting", "planned": 9, "failures": []}
    active["progress"] = {"percent": 43.1, "notebooks_per_second": 12.0, "remaining_seconds": 65.0, "exported": 4}
    shown = view(replace(GOOD, active=active, runs=[_run(0.1, "running", None), _run(30)]))
    assert shown["needs"] == []
    assert (shown["active"]["rate"], shown["active"]["left"]) == ("12 notebooks/s", "about 1 min 5 s left")


def test_the_worst_comes_first() -> None:
    found = replace(GOOD, unread=["restores"], last=_last("failed", error="x"))
    assert [level for level, _ in _needs(found)] == ["bad", "warn"]


def test_failures_are_grouped_with_their_remedy_and_the_run_to_take_again() -> None:
    rows = [{"path": f"/a{n}", "code": "batch_poisoned", "reason": "r"} for n in range(7)]
    rows.append({"path": "/b", "code": "of another version", "reason": "s"})
    first, second = groups(rows, RUN_ID)
    assert (first.code, first.count, len(first.shown)) == ("batch_poisoned", 7, 5)
    assert f"--retry {RUN_ID}" in first.todo
    assert (second.todo, second.shown) == (OTHERWISE, (("/b", "s"),))
    assert "CAN READ" in remedy("folder_unknown", RUN_ID)


@pytest.mark.parametrize(("failed", "value"), [(0, "100 %"), (1, "66.67 %"), (3, "0 %")])
def test_the_success_rate_is_told_against_its_target(failed: int, value: str) -> None:
    runs = [_run(n + 1, "failed" if n < failed else "succeeded") for n in range(3)]
    tiles = {tile.name: tile for tile in view(replace(GOOD, runs=runs))["tiles"]}
    tile = tiles["Runs that succeeded"]
    assert (tile.value, tile.level) == (value, "warn" if failed else "good")
    assert "99.9 %" in tile.note


def test_a_single_lost_notebook_of_many_is_not_rounded_away() -> None:
    runs = [replace(_run(n + 1), planned=100_000, failed=int(n == 0)) for n in range(9)]
    tiles = {tile.name: tile for tile in view(replace(GOOD, runs=runs))["tiles"]}
    assert tiles["Notebooks brought in"].value == "99.99 %"


def test_runs_that_did_not_succeed_are_named_with_why() -> None:
    bad = [
        replace(_run(3, "failed"), error="Git said no"),
        replace(_run(4, "partial", failed=1), held=2),
        _run(5, "failed"),
    ]
    shown = view(replace(GOOD, runs=[_run(2), *bad]))["bad_runs"]
    assert [(r["status"], r["why"]) for r in shown] == [
        ("failed", "Git said no"),
        ("partial", "1 notebook or folder not brought in; 2 deletions held back"),
        ("failed", "its row names no reason"),
    ]


def test_a_first_day_is_not_told_as_a_trend() -> None:
    shown = view(GOOD)
    tiles = {tile.name: tile.note for tile in shown["tiles"]}
    assert tiles["The last run took"] == "the only one so far"
    assert tiles["Notebooks"] == "backed up on 1 of 1 day"
    (bar,) = shown["charts"][0].bars
    assert (bar.x + bar.width < WIDTH, bar.x > WIDTH / 2, shown["charts"][0].first) == (True, True, "")


def test_a_capacity_level_needs_somebody() -> None:
    outlook = {"days_until_advised": 20, "advised_on": "2026-12-14", "bytes_in_a_year": 1}
    measured = {"bytes": 9 * 2**30, "at_least": True, "full_copy_bytes": 1, "notebooks": 1}
    capacity = {
        "advised_bytes": ADVISED_BYTES,
        "measured": measured,
        "level": "critical",
        "share": 0.9,
        "growth": {"bytes_a_day": 2**25, "days_measured": 9, **outlook},
        "assumed": {"growth_a_year": 0.2, **outlook},
        "full_copies": {"bytes": 2**40, "days": 90, "saving": 0.99, "since": "2026-08-01", "git_bytes": 1},
        "archive_plan": {"why": "It is near.", "due": "2026-11-24", "needed": True, "steps": []},
        "days": [{"day": "2026-11-24", "bytes": 9 * 2**30, "notebooks": 1, "full_copy_bytes": 1}],
    }
    shown = view(replace(GOOD, capacity=capacity))
    assert [(n.level, n.title) for n in shown["needs"]] == [("bad", "It is near.")]
    tiles = {tile.name: (tile.value, tile.level) for tile in shown["tiles"]}
    assert tiles["Repository"] == ("at least 9.0 GB", "bad")
    assert tiles["10.0 GB reached"] == ("14 Dec 2026", "bad")
    assert tiles["Saved by Git"] == ("99 %", "good")


finite = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(st.tuples(st.sampled_from(["succeeded", "partial", "failed", "running"]), finite), max_size=60))
def test_bars_stay_within_the_picture(runs: list[tuple[str, float]]) -> None:
    facts = [_run(n, status, None if status == "running" else s) for n, (status, s) in enumerate(runs)]
    chart = charts.durations(facts)
    ended = [r for r in facts if r.status.final]
    assert (chart is None) == (not ended)
    if chart:
        assert len(chart.bars) == len(chart.rows) == min(len(ended), 30)
        for bar in chart.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.1
            assert -0.1 <= bar.y <= bar.y + bar.height <= HEIGHT + 0.1


@given(st.lists(st.tuples(*[st.integers(0, 10**5)] * 4), min_size=1, max_size=30))
def test_stacks_reach_the_top_on_the_day_with_the_most(days: list[tuple[int, ...]]) -> None:
    rows = [
        DayChanges(NOW.date() - timedelta(len(days) - n), dict(zip(CHANGES, counts, strict=True)))
        for n, counts in enumerate(days)
    ]
    chart = charts.changes(rows)
    assert (chart is None) == (not any(map(sum, days)))
    if chart:
        assert min(bar.y for bar in chart.bars) == pytest.approx(0, abs=0.1)
        assert len(chart.bars) == sum(count > 0 for counts in days for count in counts)


@given(
    st.lists(st.integers(1, 2 * ADVISED_BYTES), min_size=1, max_size=40),
    st.one_of(st.none(), st.floats(-1e9, 1e9, allow_nan=False)),
)
def test_the_forecast_stays_within_the_picture(sizes: list[int], a_day: float | None) -> None:
    points = [SizePoint(NOW.date() - timedelta(len(sizes) - n), size) for n, size in enumerate(sizes)]
    chart = charts.sizes(points, a_day, 0.2, ADVISED_BYTES)
    assert chart
    for line in chart.lines:
        for x, y in (map(float, point.split(",")) for point in line.points.split()):
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    assert ("forecast" in {line.kind for line in chart.lines}) == (a_day is not None)
    assert charts.sizes([], a_day, 0.2, ADVISED_BYTES) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.25, "0.2 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (7_380, "2 h 3 min")]
)
def test_durations_are_told_in_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "just now"), (80, "just now"), (600, "10 min ago"), (7_200, "2 h ago"), (3e5, "3 days ago")],
)
def test_how_long_ago_is_told_in_the_largest_unit(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text
