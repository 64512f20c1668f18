"""Capacity of a real system: measured after a verification, told by HTTP and by the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.lab import Lab

OPTIONS = {"notebooks": 80, "plain": True}
MOST_POLLS = 2_000
ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.xdist_group("capacity")


def _backup(lab: Lab, *arguments: str) -> str:
    command = [sys.executable, "-m", "shared.cli", "--url", lab.system.url, "--key", lab.system.key, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def _measured(lab: Lab) -> dict[str, Any]:
    """What is answered once there is a measurement: it follows on the verification's end."""
    for _ in range(MOST_POLLS):
        found = lab.client.call("GET", "capacity")
        if found["measured"]:
            return found
    raise AssertionError("nothing was measured after the verification")


def test_the_repository_is_measured_after_a_verification(lab: Lab) -> None:
    before = lab.client.call("GET", "capacity")
    assert before["measured"] is None
    run = lab.back_up()
    _backup(lab, "verify")
    found = _measured(lab)
    packs = list((lab.clone() / ".git").glob("objects/pack/*.pack"))
    measured = found["measured"]
    # Two packs of the same objects: which deltas a server finds depends on what it reuses, and on its threads.
    assert measured["bytes"] == pytest.approx(sum(pack.stat().st_size for pack in packs), rel=0.15)
    assert (measured["source"], measured["commit"], measured["at_least"]) == ("clone", run["commit"], False)
    assert (measured["notebooks"], found["level"]) == (80, "ok")
    assert found["growth"]["bytes_a_day"] is None
    assert len(found["largest"]) == 20
    told = " ".join(_backup(lab, "capacity").split())
    assert "the pack that the server sends for a full clone of the branch" in told
    assert "Archive plan. The repository is far from the advised size" in told
