"""Success rates, and changes by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.reliability import CHANGES, RunFact, changes_a_day, reliability
from shared.domain.runs import RunStatus

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def fact(hours: float, status: str = "succeeded", planned: int = 100, failed: int = 0, **changes: int) -> RunFact:
    """A run that began `hours` ago."""
    started = NOW - timedelta(hours=hours)
    counts = dict.fromkeys(CHANGES, 0) | changes
    seconds = None if status == "running" else 60.0
    return RunFact(f"r{hours}", started, RunStatus(status), seconds, 1_000, planned, failed, counts)


def test_runs_are_counted_by_how_they_ended() -> None:
    runs = [fact(1, "running"), fact(2), fact(26, "partial", failed=5), fact(50, "failed"), fact(31 * 24, "failed")]
    found = reliability(runs, NOW)
    assert (found.runs, found.succeeded, found.partial, found.failed) == (3, 1, 1, 1)
    assert found.rate == pytest.approx(1 / 3)
    assert (found.notebooks, found.notebooks_failed) == (200, 5)
    assert found.notebook_rate == pytest.approx(0.975)
    assert (found.days, found.days_backed_up, found.on_target) == (3, 2, False)


def test_without_runs_there_is_no_rate() -> None:
    found = reliability([], NOW)
    assert (found.rate, found.notebook_rate, found.on_target, found.days) == (None, None, False, 0)


@given(st.lists(st.sampled_from(["succeeded", "partial", "failed", "running"]), max_size=40))
def test_only_runs_without_a_blemish_are_on_target(statuses: list[str]) -> None:
    found = reliability([fact(n, status) for n, status in enumerate(statuses)], NOW)
    ended = [s for s in statuses if s != "running"]
    assert found.on_target == (bool(ended) and set(ended) == {"succeeded"})
    assert found.succeeded + found.partial + found.failed == found.runs == len(ended)


@given(st.lists(st.tuples(st.integers(0, 60 * 24), st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_changes_are_each_in_their_day(runs: list[tuple[int, int, int]]) -> None:
    facts = [fact(hours, created=created, deleted=deleted) for hours, created, deleted in runs]
    found = changes_a_day(facts, NOW.date())
    assert [d.day for d in found] == [NOW.date() - timedelta(29 - n) for n in range(30)]
    within = [f for f in facts if f.started.date() >= found[0].day]
    assert sum(d.total for d in found) == sum(sum(f.changes.values()) for f in within)
