"""`python -m bench.machine_for MINUTES`: the tests' state machine on real Git, with new draws each round."""

from __future__ import annotations

import logging
import time

import typer
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.test_machine import GitMachine

EXAMPLES_A_ROUND = 40
STEPS = 40


def main(minutes: float) -> None:
    """Run rounds until the time is over; the last line says how many examples there were."""
    logging.disable(logging.CRITICAL)
    began, rounds = time.monotonic(), 0
    options = settings(
        max_examples=EXAMPLES_A_ROUND,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    while time.monotonic() - began < minutes * 60:
        run_state_machine_as_test(GitMachine, settings=options)
        rounds += 1
    print(f"{rounds * EXAMPLES_A_ROUND} examples of {STEPS} steps in {time.monotonic() - began:.0f} s, none failed")


if __name__ == "__main__":
    typer.run(main)
