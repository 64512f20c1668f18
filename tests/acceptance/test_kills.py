"""The real host is ended by SIGKILL at every named point; started again, it finishes, and nothing is missing."""

from __future__ import annotations

import itertools
import signal
import time

import pytest
import requests

from local.faults.crash_points import CRASH_POINTS
from local.lab import Lab, git
from shared.cli import follow

OPTIONS = {"notebooks": 120, "folders": 30, "invisible_seconds": 2}
MOST_SECONDS = 40
POLL_SECONDS = 0.1
SEEDS = {name: seed for seed, name in enumerate(CRASH_POINTS)}
pytestmark = pytest.mark.xdist_group("kills")


@pytest.fixture(scope="module", autouse=True)
def first(lab: Lab) -> None:
    assert lab.back_up()["status"] == "succeeded"


def _until(what: object, done: object) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        time.sleep(POLL_SECONDS)


def _finished(lab: Lab) -> bool:
    """Nothing is under way, once what the dead host held has run out."""
    status = lab.client.call("GET", "status")
    if status["active"] is None:
        return True
    lab.let_time_pass()
    return False


@pytest.mark.parametrize("name", CRASH_POINTS)
def test_the_host_is_killed_and_the_next_one_finishes(lab: Lab, name: str) -> None:
    lab.control("random_edits", {"count": 9, "seed": SEEDS[name]})
    lab.edit({"action": "create", "path": f"/Clients/at {SEEDS[name]}", "language": "SQL"})
    lab.system.kill_host()
    lab.system.start_host(crash_at=name)
    try:
        lab.system.fire_timer("daily_backup")
    except requests.ConnectionError:
        assert lab.system.host.exit_code is not None
    _until("the point was never reached", lambda: lab.system.host.exit_code is not None)
    assert lab.system.host.exit_code == -signal.SIGKILL
    assert lab.checkpoint() in git(lab.clone(), "log", "--format=%H").splitlines()
    lab.system.kill_host()
    lab.system.start_host()
    lab.let_time_pass()
    _until("the run never ended", lambda: _finished(lab))
    run = lab.back_up()
    assert (run["status"], run["failures"]) == ("succeeded", [])
    clone = lab.clone()
    assert lab.cloned(clone) == lab.source_truth()
    trees = git(clone, "log", "--format=%T").splitlines()
    assert all(new != before for new, before in itertools.pairwise(trees))


def test_after_all_kills_the_backup_proves_itself(lab: Lab) -> None:
    identity = lab.client.call("POST", "verifications")["id"]
    _until("no end", lambda: lab.client.call("GET", f"verifications/{identity}")["status"] != "queued")
    proof = lab.client.call("GET", f"verifications/{identity}")
    assert (proof["status"], proof["failures"]) == ("passed", [])
    assert git(lab.clone(), "fsck", "--full", "--strict", "--no-dangling") == ""
    assert follow(lab.client, lab.back_up()["run_id"], show=False)["planned"] == 0
