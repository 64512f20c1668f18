"""The adaptive rate settles just under a workspace's ceiling, whatever the ceiling is."""

from __future__ import annotations

import heapq

import pytest

from local.memory.clock import ManualClock
from shared.adapters.limiter import START_PER_SECOND, AdaptiveLimiter, AdaptiveRate
from shared.clock import SystemClock


def _serve(ceiling: float, calls: int, latency: float, burst: float) -> tuple[float, float]:
    """Calls through a leaking bucket; returns (share of the ceiling used, share of calls refused)."""
    rate = AdaptiveRate(START_PER_SECOND, 2000.0, 0.0)
    answers: list[tuple[float, bool]] = []
    now = free_at = 0.0
    done = sent = refused = 0
    while done < calls:
        now += 1 / rate.grow(now)
        while answers and answers[0][0] <= now:
            at, admitted = heapq.heappop(answers)
            done += admitted
            refused += not admitted
            if admitted:
                rate.accepted(at)
            else:
                rate.refused(at)
        admitted = free_at - now <= max(burst, 1 / ceiling)
        free_at = max(free_at, now) + 1 / ceiling if admitted else free_at
        heapq.heappush(answers, (now + latency, admitted))
        sent += 1
    return done / now / ceiling, refused / sent


@pytest.mark.parametrize("ceiling", [30.0, 60.0, 200.0])
def test_nearly_all_of_the_ceiling_is_used_and_few_calls_are_refused(ceiling: float) -> None:
    used, refused = _serve(ceiling, calls=int(ceiling * 50), latency=0.03, burst=0.1)
    assert used > 0.95
    assert refused < 0.02


@pytest.mark.parametrize("ceiling", [30.0, 60.0, 200.0])
def test_slow_answers_cost_some_refusals_at_the_start_and_little_of_the_ceiling(ceiling: float) -> None:
    used, refused = _serve(ceiling, calls=int(ceiling * 50), latency=0.27, burst=0.1)
    assert used > 0.93
    assert refused < 0.07


def test_without_refusals_the_rate_reaches_its_upper_bound_within_two_seconds() -> None:
    rate, now = AdaptiveRate(START_PER_SECOND, 2000.0, 0.0), 0.0
    while rate.grow(now) < 2000.0:
        now += 1 / rate.value
    assert 0.5 < now < 2.0


def test_time_without_calls_does_not_raise_the_rate() -> None:
    rate = AdaptiveRate(START_PER_SECOND, 2000.0, 0.0)
    assert rate.grow(3600.0) < 1.2 * START_PER_SECOND


def test_a_rate_that_settled_too_low_rises_again() -> None:
    rate = AdaptiveRate(START_PER_SECOND, 2000.0, 0.0)
    rate.refused(1.0)
    for tick in range(1, 100):
        rate.grow(1.0 + tick / 50)
        if tick % 10 == 0:
            rate.accepted(1.0 + tick / 50)
    rate.refused(3.0)
    settled, now = rate.grow(3.0), 3.0
    while now < 60.0:
        now += 1 / rate.grow(now)
    assert settled < 10.0
    assert rate.grow(now) > 5 * settled


def test_few_calls_between_two_refusals_do_not_pass_for_a_ceiling() -> None:
    """A person who asks once a second is refused now and then, because others use the workspace too."""
    rate = AdaptiveRate(START_PER_SECOND, 2000.0, 0.0)
    for second in range(1, 40):
        rate.grow(float(second))
        if second % 10 == 0:
            rate.refused(float(second))
        else:
            rate.accepted(float(second))
    assert rate.grow(40.0) > START_PER_SECOND / 4


def test_the_rate_follows_a_ceiling_that_falls() -> None:
    rate = AdaptiveRate(START_PER_SECOND, 100.0, 0.0)
    rate.grow(5.0)
    for tick in range(50):
        rate.refused(5.0 + tick)
    assert rate.grow(56.0) < 50.0


def test_no_more_calls_than_slots_are_under_way() -> None:
    limiter = AdaptiveLimiter(SystemClock(), start_per_second=1000.0, max_in_flight=2)
    limiter.acquire()
    limiter.acquire()
    assert not limiter._slots.acquire(blocking=False)
    limiter.release()
    limiter.acquire()


def test_a_wait_that_the_clock_cannot_tell_comes_to_its_end() -> None:
    limiter = AdaptiveLimiter(ManualClock(), start_per_second=3.0)
    for _ in range(50):
        limiter.acquire()
        limiter.release()
