"""The state machine in the everyday tests; `python -m bench.survival` runs it for hours, on real Git."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from local.memory.world import Remote
from tests.faults.machine import BackupMachine
from tests.remotes import GitRemote

EVERYDAY = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


class GitMachine(BackupMachine):
    """The same life on real Git."""

    def make_remote(self) -> Remote:
        return GitRemote(Path(self.folder) / "remote.git")


def test_whatever_happens_the_repository_comes_to_hold_the_workspace() -> None:
    run_state_machine_as_test(BackupMachine, settings=EVERYDAY)


def test_whatever_happens_on_real_git() -> None:
    few = settings(EVERYDAY, max_examples=12, stateful_step_count=20)
    run_state_machine_as_test(GitMachine, settings=few)
