"""Subscriptions to digests, and the periods that they are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.change_report import Selection
from shared.domain.digests import Digests, Schedule, Subscription
from shared.domain.report_period import Period

LEAD = '{"to": "lead@example.com", "team": "Sales", "schedule": "daily"}'
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def _subscription(schedule: Schedule) -> Subscription:
    return Subscription("lead@example.com", Selection(team="Sales"), schedule)


def test_subscriptions_are_read_from_the_setting() -> None:
    found = Digests.parse(f'[{LEAD}, {{"to": "x@y.z", "folder": "/Clients/acme", "schedule": "weekly"}}]')
    assert found.subscriptions == (
        _subscription(Schedule.DAILY),
        Subscription("x@y.z", Selection(folder="/Clients/acme"), Schedule.WEEKLY),
    )
    assert Digests.parse("").subscriptions == ()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        LEAD,
        "[1]",
        '[{"to": "lead@example.com", "schedule": "daily"}]',
        '[{"to": "lead@example.com", "team": "a", "folder": "/b", "schedule": "daily"}]',
        '[{"to": "lead@example.com", "team": " ", "schedule": "daily"}]',
        '[{"to": "lead@example.com", "team": "a", "schedule": "hourly"}]',
        '[{"to": "lead@example.com", "folder": "acme", "schedule": "daily"}]',
        '[{"to": "lead@example.com\\nBcc: all@example.com", "team": "a", "schedule": "daily"}]',
        '[{"to": "lead", "team": "a", "schedule": "daily"}]',
        '[{"to": "lead@example.com", "team": 1, "schedule": "daily"}]',
        '[{"to": "lead@example.com", "team": "a", "schedule": "daily", "cc": "b"}]',
    ],
)
def test_a_wrong_setting_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must be|entry 1)") as refused:
        Digests.parse(text)
    assert "lead" not in str(refused.value)


def test_a_day_ends_at_its_hour_and_a_week_on_monday() -> None:
    before, after = MONDAY.replace(hour=5, minute=59), MONDAY.replace(hour=6)
    daily, weekly = _subscription(Schedule.DAILY), _subscription(Schedule.WEEKLY)
    end = MONDAY.replace(hour=6)
    assert daily.period(after, 6) == Period(end - timedelta(days=1), end)
    assert daily.period(before, 6) == Period(end - timedelta(days=2), end - timedelta(days=1))
    assert weekly.period(after, 6) == Period(end - timedelta(weeks=1), end)
    assert weekly.period(before, 6) == Period(end - timedelta(weeks=2), end - timedelta(weeks=1))


@given(
    st.lists(st.integers(0, 60 * 24 * 40), min_size=1, max_size=20),
    st.integers(0, 23),
    st.sampled_from(tuple(Schedule)),
)
def test_periods_leave_no_gap_and_do_not_overlap(minutes: list[int], hour: int, schedule: Schedule) -> None:
    subscription = _subscription(schedule)
    asked = [MONDAY + timedelta(minutes=m) for m in sorted(minutes)]
    length = timedelta(days=1) if schedule is Schedule.DAILY else timedelta(weeks=1)
    for before, after in pairwise(asked):
        one, other = subscription.period(before, hour), subscription.period(after, hour)
        assert (other.start - one.start) % length == timedelta()
        assert (one == other) == (subscription.key(one) == subscription.key(other))
    for now in asked:
        period = subscription.period(now, hour)
        assert period.end <= now < period.end + length
        assert period.end - period.start == length


def test_keys_tell_subscriptions_apart_and_hold_no_address() -> None:
    period = _subscription(Schedule.DAILY).period(MONDAY, 6)
    several = [
        _subscription(Schedule.DAILY),
        _subscription(Schedule.WEEKLY),
        Subscription("lead@example.com", Selection(author="Sales"), Schedule.DAILY),
        Subscription("other@example.com", Selection(team="Sales"), Schedule.DAILY),
    ]
    keys = [s.key(period) for s in several]
    assert len(set(keys)) == len(several)
    assert not any("@" in key or "lead" in key for key in keys)
