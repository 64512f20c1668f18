"""The forecast, the levels, the saving, and the archive plan."""

from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.archive_plan import LEAD_DAYS, archive_plan
from shared.domain.capacity import (
    ADVISED_BYTES,
    FARTHEST_DAYS,
    Growth,
    Level,
    Outlook,
    SizePoint,
    fastest,
    growth_a_day,
    largest,
    level_of,
    measured_outlook,
    saving,
    since_cut,
    yearly_outlook,
)
from shared.domain.sizes import size_text

TODAY = date(2026, 11, 24)
GIB = 2**30


def _points(*sizes: int, copy: int = 0) -> list[SizePoint]:
    """A point a day, the last today."""
    return [SizePoint(TODAY - timedelta(len(sizes) - 1 - n), size, copy) for n, size in enumerate(sizes)]


gaps = st.lists(st.integers(1, 9), min_size=8, max_size=60)


def _line(start: int, a_day: int, steps: list[int]) -> list[SizePoint]:
    day, found = 0, []
    for step in [0, *steps]:
        day += step
        found.append(SizePoint(TODAY + timedelta(day), start + a_day * day))
    return found


@given(st.integers(0, 10**10), st.integers(-(10**6), 10**8), gaps)
def test_a_straight_line_is_found_again(start: int, a_day: int, steps: list[int]) -> None:
    assert growth_a_day(_line(start, a_day, steps)) == pytest.approx(a_day)


@given(st.integers(10**9, 10**10), st.integers(1, 10**6), gaps, st.data())
def test_one_measurement_that_is_off_does_not_bend_the_line(
    start: int, a_day: int, steps: list[int], data: st.DataObject
) -> None:
    points = _line(start, a_day, steps)
    off = data.draw(st.integers(0, len(points) - 1))
    points[off] = SizePoint(points[off].day, data.draw(st.integers(0, 10**12)))
    assert growth_a_day(points) == pytest.approx(a_day)


@given(st.lists(st.integers(0, 10**11), min_size=8, max_size=40), st.integers(0, 10**10), st.integers(1, 9))
def test_growth_follows_the_unit_and_not_the_level(sizes: list[int], shift: int, factor: int) -> None:
    plain = growth_a_day(_points(*sizes))
    assert plain is not None
    assert growth_a_day(_points(*(s + shift for s in sizes))) == pytest.approx(plain)
    assert growth_a_day(_points(*(s * factor for s in sizes))) == pytest.approx(plain * factor)
    steps = [b - a for a, b in pairwise(sizes)]
    assert min(steps) - 1e-3 <= plain <= max(steps) + 1e-3


def test_a_repository_that_was_replaced_begins_anew() -> None:
    points = _points(100, 110, 120, 30, 40, 50)
    assert [p.size for p in since_cut(points)] == [30, 40, 50]
    assert since_cut(points[:3]) == points[:3]
    assert [p.size for p in since_cut(_points(100, 10, 90, 45, 44))] == [10, 90, 45, 44]
    assert since_cut([]) == []


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=40))
def test_what_is_left_after_a_cut_never_falls_by_more_than_half(sizes: list[int]) -> None:
    left = since_cut(_points(*sizes))
    assert left[-1].size == sizes[-1]
    assert all(after.size >= before.size / 2 for before, after in pairwise(left))


def test_growth_is_not_told_of_a_few_days_nor_of_what_is_long_ago() -> None:
    assert growth_a_day([]) is None
    assert growth_a_day(_points(*range(0, 70, 10))) is None
    assert growth_a_day(_points(*range(0, 80, 10))) == 10
    assert growth_a_day(_points(*([0] * 200), *range(0, 900, 10))) == 10


@given(st.integers(0, 2 * ADVISED_BYTES), st.floats(-1e9, 1e9, allow_nan=False))
def test_the_measured_outlook_reaches_the_advice_on_the_first_day_that_it_does(size: int, a_day: float) -> None:
    found = measured_outlook(size, a_day, TODAY)
    if size >= ADVISED_BYTES:
        assert (found.days, found.reached_on) == (0, TODAY)
    elif a_day <= 0 or (ADVISED_BYTES - size) / a_day > FARTHEST_DAYS:
        assert (found.days, found.reached_on) == (None, None)
    else:
        assert found.days is not None
        assert size + a_day * found.days >= ADVISED_BYTES * (1 - 1e-12)
        assert size + a_day * (found.days - 1) < ADVISED_BYTES * (1 + 1e-12)
        assert found.reached_on == TODAY + timedelta(found.days)


@given(st.integers(1, 2 * ADVISED_BYTES))
def test_the_yearly_outlook_compounds(size: int) -> None:
    found = yearly_outlook(size, TODAY)
    assert found.in_a_year == pytest.approx(size * 1.2, abs=1)
    if found.days:
        grown = [size * 1.2 ** (days / 365) for days in (found.days - 1, found.days)]
        assert grown[0] < ADVISED_BYTES * (1 + 1e-9)
        assert grown[1] >= ADVISED_BYTES * (1 - 1e-9)
    elif found.days is None:
        assert size * 1.2 ** (FARTHEST_DAYS / 365) < ADVISED_BYTES * (1 + 1e-9)


def test_half_of_the_advised_size_lasts_for_almost_four_years_at_20_percent() -> None:
    assert yearly_outlook(5 * GIB, TODAY).days == math.ceil(365 * 3.8017840169239308)
    assert yearly_outlook(0, TODAY).days is None


@given(st.integers(0, 2 * ADVISED_BYTES), st.one_of(st.none(), st.integers(0, 9_999)), st.integers(0, ADVISED_BYTES))
def test_a_level_never_falls_as_the_size_grows_or_the_days_run_out(size: int, days: int | None, more: int) -> None:
    order = list(Level)
    level = order.index(level_of(size, days))
    assert order.index(level_of(size + more, days)) >= level
    assert order.index(level_of(size, 0)) >= level
    assert order.index(level_of(size, None)) <= level


@pytest.mark.parametrize(
    ("share", "days", "level"),
    [
        (0.5, None, Level.OK),
        (0.5, 366, Level.OK),
        (0.5, 365, Level.WATCH),
        (0.7, None, Level.WATCH),
        (0.1, 180, Level.WARNING),
        (0.85, 999, Level.WARNING),
        (0.1, 30, Level.CRITICAL),
        (1.0, 0, Level.CRITICAL),
    ],
)
def test_levels_are_by_share_or_by_days(share: float, days: int | None, level: Level) -> None:
    assert level_of(math.ceil(share * ADVISED_BYTES), days) is level


def test_full_copies_are_counted_a_day_each_and_days_without_a_measurement_as_the_one_before() -> None:
    points = [
        SizePoint(TODAY - timedelta(9), 40, full_copy=100),
        SizePoint(TODAY - timedelta(4), 45, full_copy=110),
        SizePoint(TODAY - timedelta(1), 50, full_copy=120),
    ]
    found = saving(points, TODAY)
    assert found is not None
    assert (found.days, found.full_copies, found.repository) == (10, 5 * 100 + 3 * 110 + 2 * 120, 50)
    assert found.share == pytest.approx(1 - 50 / 1070)
    assert saving([], TODAY) is None
    assert saving(_points(5), TODAY).share == 0.0  # type: ignore[union-attr]


def test_largest_and_fastest_are_ranked_and_new_notebooks_count() -> None:
    before, now = {"/a": 10, "/b": 50, "/gone": 99}, {"/a": 40, "/b": 20, "/new": 30, "/same": 30}
    assert [g.path for g in largest(now, 3)] == ["/a", "/new", "/same"]
    assert fastest({**before, "/same": 30}, now, 9) == [Growth("/a", 40, 10), Growth("/new", 30, None)]
    assert [g.grown for g in fastest(before, now, 1)] == [30]


def test_a_cut_is_due_before_the_earliest_outlook_and_never_in_the_past() -> None:
    far, near = Outlook(900, TODAY + timedelta(900), 0), Outlook(100, TODAY + timedelta(100), 0)
    plan = archive_plan(Level.WARNING, (far, near), 3 * GIB, TODAY)
    assert (plan.needed, plan.due) == (True, TODAY + timedelta(100 - LEAD_DAYS))
    assert "3.0 GB" in " ".join(step.detail for step in plan.steps)
    soon = Outlook(10, TODAY + timedelta(10), 0)
    assert archive_plan(Level.CRITICAL, (soon,), 0, TODAY).due == TODAY
    quiet = archive_plan(Level.OK, (far,), 0, TODAY)
    assert (quiet.needed, quiet.due) == (False, None)
    assert len(quiet.steps) >= 5


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (-3 * 2**20, "−3.0 MB"), (10 * GIB, "10.0 GB")]
)
def test_sizes_are_told_in_units(size: int, text: str) -> None:
    assert size_text(size) == text
