"""`python -m bench.survival --minutes 30 --kills 300`: kill the real host at random, and see that nothing is lost.

Beside it, the state machine of the tests lives on real Git for as long. Prints one JSON line at the end.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import typer

from local.faults.crash_points import CRASH_POINTS
from local.lab import Lab, git
from local.system import LocalSystem, SystemOptions

AT_A_POINT = 0.6
LONGEST_LIFE_SECONDS = 2.5
LONGEST_FOR_A_POINT_SECONDS = 6.0
MOST_SECONDS = 120.0
COMPARE_EVERY = 10
POLL_SECONDS = 0.1


class Survival:
    """Kills, restarts and comparisons on one system."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.draw, self.seen = lab, random.Random(seed), Counter[str]()

    def kill_once(self, number: int) -> None:
        """Edit, start a run, kill the host at a random point or moment, start it again."""
        self.lab.control("random_edits", {"count": self.draw.randrange(1, 12), "seed": number})
        if number % 7 == 0:
            self.lab.git_control("commit", {"files": {f"docs/{number % 5}.md": str(number)}, "author": "grace"})
        at = self.draw.choice(sorted(CRASH_POINTS)) if self.draw.random() < AT_A_POINT else None
        self.lab.system.kill_host()
        self.lab.system.start_host(crash_at=at)
        self._fire()
        if at is None:
            time.sleep(self.draw.random() * LONGEST_LIFE_SECONDS)
        else:
            self._wait_for_the_point()
        died = self.lab.system.host.exit_code == -signal.SIGKILL
        self.seen["at a named point" if died else "at a random moment"] += 1
        self.lab.system.kill_host()
        self.lab.system.start_host()
        self.lab.let_time_pass()

    def compare(self) -> None:
        """Let all work end, back up once more, and compare everything."""
        self._wait(self._settled, "the runs to end")
        run = self.lab.back_up()
        self.seen[f"run {run['status']}"] += 1
        clone = self.lab.clone()
        expected, found = self.lab.source_truth(), self.lab.cloned(clone)
        self.seen["lost"] += len(expected.items() - found.items())
        self.seen["too many"] += len(found.keys() - expected.keys())
        trees = git(clone, "log", "--format=%T").splitlines()
        self.seen["twice"] += sum(new == before for new, before in itertools.pairwise(trees))
        self.seen["fsck complaints"] += len(git(clone, "fsck", "--full", "--strict", "--no-dangling"))
        identity = self.lab.client.call("POST", "verifications")["id"]
        self._wait(lambda: self._proof(identity)["status"] != "queued", "the verification")
        self.seen["proof failures"] += len(self._proof(identity)["failures"])
        self.seen["comparisons"] += 1
        subprocess.run(["rm", "-rf", str(clone)], check=True)

    def _proof(self, identity: str) -> dict[str, Any]:
        return self.lab.client.call("GET", f"verifications/{identity}")

    def _fire(self) -> None:
        try:
            if not self._idle():
                self.lab.let_time_pass()
            self.lab.system.fire_timer("daily_backup")
        except requests.RequestException:
            self.seen["died while starting"] += 1

    def _idle(self) -> bool:
        try:
            return self.lab.client.call("GET", "status")["active"] is None
        except (typer.Exit, requests.RequestException):
            return False

    def _settled(self) -> bool:
        if self._idle():
            return True
        self.lab.let_time_pass()
        return False

    def _wait_for_the_point(self) -> None:
        """A point may not come: where the run before waits for the watchdog, or is past it."""
        began, moved = time.monotonic(), False
        while self.lab.system.host.exit_code is None and time.monotonic() - began < LONGEST_FOR_A_POINT_SECONDS:
            idle = self._idle()
            if moved and idle:
                return
            moved |= not idle
            time.sleep(POLL_SECONDS)

    def _wait(self, done: Any, what: str) -> None:
        deadline = time.monotonic() + MOST_SECONDS
        while not done():
            if time.monotonic() > deadline:
                status = self.lab.client.call("GET", "status")["active"]
                raise TimeoutError(f"{what} did not come in {MOST_SECONDS} s: {status}")
            time.sleep(POLL_SECONDS)


def main(minutes: float = 30, kills: int = 300, seed: int = 1, notebooks: int = 200, machine: bool = True) -> None:
    """Kill the host `kills` times, over at least `minutes`."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="survival-"))
    (folder / "clones").mkdir()
    beside = _machine(minutes) if machine else None
    options = SystemOptions(folder / "data", port=0, notebooks=notebooks, folders=40, invisible_seconds=2)
    with LocalSystem(options) as system:
        survival = Survival(Lab(system, folder / "clones"), seed)
        survival.lab.back_up()
        number = 0
        while number < kills or time.monotonic() - began < minutes * 60:
            number += 1
            survival.kill_once(number)
            if number % COMPARE_EVERY == 0:
                survival.compare()
                print(f"{number} kills, {time.monotonic() - began:.0f} s: {dict(survival.seen)}", flush=True)
        survival.compare()
    figures = {"kills": number, "seconds": round(time.monotonic() - began), **survival.seen}
    if beside:
        figures["state machine"] = beside.communicate()[0].strip().splitlines()[-1]
    print(json.dumps(figures))
    lost = sum(survival.seen[name] for name in ("lost", "too many", "twice", "fsck complaints", "proof failures"))
    sys.exit(1 if lost or (beside and beside.returncode) else 0)


def _machine(minutes: float) -> subprocess.Popen[str]:
    """The state machine on real Git, again and again with new draws, for so long."""
    command = [sys.executable, "-m", "bench.machine_for", str(minutes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})


if __name__ == "__main__":
    typer.run(main)
