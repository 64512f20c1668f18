"""A deferred adapter is made once, at its first use, whoever asks first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.wiring.deferred import deferred

THREADS = 8


class Counter:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self) -> int:
        self.calls += 1
        return self.calls


def test_it_is_not_made_before_it_is_used() -> None:
    made: list[Counter] = []

    def make() -> Counter:
        made.append(Counter())
        return made[-1]

    found = deferred(make)
    assert made == []
    assert [found.call(), found.call(), found.calls] == [1, 2, 2]
    assert len(made) == 1


def test_threads_that_use_it_first_at_once_share_one() -> None:
    made: list[Counter] = []
    together = threading.Barrier(THREADS)

    def make() -> Counter:
        made.append(Counter())
        return made[-1]

    def use(_: int) -> None:
        together.wait()
        found.call()

    found = deferred(make)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(use, range(THREADS)))
    assert len(made) == 1


def test_a_failure_is_the_users_and_the_next_use_tries_again() -> None:
    outcomes = iter([ValueError("the setting is wrong"), Counter()])

    def make() -> Counter:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    found = deferred(make)
    with pytest.raises(ValueError, match="the setting is wrong"):
        found.call()
    assert found.call() == 1
