"""Timer schedules: NCRONTAB's six fields in UTC, and a missed occurrence runs as past due."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.functions.timer import TimerRequest

from local.functions_host.timers import TimerListener, next_occurrence

NIGHT = "0 30 2 * * *"


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (NIGHT, "2026-11-24T02:29:59+00:00", "2026-11-24T02:30:00+00:00"),
        (NIGHT, "2026-11-24T02:30:00+00:00", "2026-11-25T02:30:00+00:00"),
        ("0 */5 * * * *", "2026-12-31T23:55:01+00:00", "2027-01-01T00:00:00+00:00"),
        ("*/10 * * * * *", "2026-11-24T00:00:09+00:00", "2026-11-24T00:00:10+00:00"),
        ("0 0 9 * * 0", "2026-11-24T00:00:00+00:00", "2026-11-29T09:00:00+00:00"),
        ("0 0 9 * * 1-5", "2026-11-27T10:00:00+00:00", "2026-11-30T09:00:00+00:00"),
    ],
)
def test_the_next_occurrence(schedule: str, after: str, expected: str) -> None:
    assert next_occurrence(schedule, datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


def test_an_occurrence_missed_while_the_host_was_down_runs_once_as_past_due(tmp_path: Path) -> None:
    now = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    first = TimerListener("nightly", NIGHT, tmp_path, lambda _: None, now=lambda: now)
    assert first.due() == now + timedelta(minutes=30)
    late, ran, seen = now + timedelta(days=3), threading.Event(), []

    def run(request: TimerRequest) -> None:
        seen.append(request.past_due)
        ran.set()

    again = TimerListener("nightly", NIGHT, tmp_path, run, now=lambda: late)
    again.start()
    assert ran.wait(20)
    again.stop()
    assert seen == [True]
    assert again.due() == late + timedelta(minutes=30)


def test_a_timer_that_raises_keeps_its_schedule(tmp_path: Path) -> None:
    now = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)

    def run(_: TimerRequest) -> None:
        raise ValueError

    timer = TimerListener("nightly", NIGHT, tmp_path, run, now=lambda: now)
    timer.fire()
    assert timer.due() == now + timedelta(days=1)
