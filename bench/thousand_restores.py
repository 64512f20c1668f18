"""A thousand restores picked at random over a living history, hostile names included, while the workspace fails.

`python -m bench.thousand_restores`: each is verified, or refused with the live notebook as it was; what the app
says is compared with the simulated workspace's own bytes. Exits 1 where one is anything else.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
import typer

from local.lab import MOST_SOURCE_BYTES, Lab
from local.system import LocalSystem, SystemOptions

FAULTS = {"429": 151, "503": 17, "close": 29, "cut_body": 37, "error_200": 43, "500": 61}
MORE_NAMES = ("line\nbreak", "tab\there", "lone\ud800surrogate", "a\\b", 'a"b', "a?b*c", "right\u202eleft", "%41")
GOOD = ("verified", "unchanged")
type Truth = dict[str, tuple[str, str]]


class Trial:
    """Restores on one system, each compared with what the workspace holds."""

    def __init__(self, lab: Lab, days: list[tuple[str, Truth]]) -> None:
        self._lab, self._days = lab, days
        self.seen, self._lock = Counter[str](), threading.Lock()
        self._targets: dict[str, threading.Lock] = {}

    def once(self, number: int) -> None:
        """One restore of a notebook of a day, in place or beside."""
        draw = random.Random(number)
        commit, held = draw.choice(self._days)
        path = draw.choice(sorted(held))
        body: dict[str, Any] = {"paths": [path], "at": commit}
        if draw.random() < 0.2:
            body["suffix"] = f"_restored_{number}"
        target = path + body.get("suffix", "")
        with self._one_at_a_time(target):
            before = self._live().get(target)
            answer = self._ask(body)
            after = self._live().get(target)
        self._judge(answer, before=before, after=after, wanted=held[path])

    def _judge(self, answer: requests.Response, *, before: Any, after: Any, wanted: Any) -> None:
        item = answer.json()["items"][0] if answer.status_code == 200 else {}
        outcome = item.get("outcome")
        if outcome in GOOD:
            # Over the export limit it is kept as Jupyter, which has a hash of its own.
            known = wanted[1] if item["size"] <= MOST_SOURCE_BYTES else item["expected_sha256"]
            good = after == wanted and item["expected_sha256"] == item["found_sha256"] == known
            if not good:
                print(json.dumps({"wanted": wanted, "before": before, "after": after, **item}))
            self._count(outcome if good else f"WRONG: {outcome}, other bytes or language in place")
            return
        reason = f"{outcome}: {item.get('reason')}" if outcome else f"{answer.status_code} {answer.json()['detail']}"
        self._count(f"{reason}, untouched" if after == before else f"WRONG: {reason}, and changed")

    def _ask(self, body: dict[str, Any]) -> requests.Response:
        headers = {"x-functions-key": self._lab.system.key, "Content-Type": "application/json"}
        data = json.dumps(body).encode()
        return requests.post(f"{self._lab.system.url}/api/restores", data=data, headers=headers, timeout=300)

    def _live(self) -> Truth:
        return truth(self._lab)

    def _one_at_a_time(self, target: str) -> threading.Lock:
        with self._lock:
            return self._targets.setdefault(target, threading.Lock())

    def _count(self, what: str) -> None:
        with self._lock:
            self.seen[what] += 1


def truth(lab: Lab) -> Truth:
    """Language and SHA-256 by path."""
    rows = (json.loads(line) for line in lab.control("truth").text.splitlines())
    return {r["path"]: (r["language"], r["sha256"]) for r in rows}


def main(restores: int = 1_000, days: int = 12, notebooks: int = 400, people: int = 6) -> None:
    """Live some days, then restore while faults are on."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clones").mkdir()
        with LocalSystem(SystemOptions(folder / "data", 0, notebooks, 40)) as system:
            lab = Lab(system, folder / "clones")
            lab.edit({"action": "mkdir", "path": "/Clients/more"})
            made = [{"action": "create", "path": f"/Clients/more/{name}", "language": "SQL"} for name in MORE_NAMES]
            lab.edit(*made)
            trial = Trial(lab, [_day(lab, number) for number in range(days)])
            lab.control("behaviour", {"latency_ms": 3, "faults": [{"kind": k, "every": n} for k, n in FAULTS.items()]})
            lab.control("reset_stats", {})
            began = time.monotonic()
            with ThreadPoolExecutor(people) as pool:
                list(pool.map(trial.once, range(restores)))
            seconds = round(time.monotonic() - began, 1)
            met = lab.control("stats").json()["faults"]
            figures = {"restores": restores, "seconds": seconds, "faults": met, "outcomes": dict(trial.seen)}
            print(json.dumps(figures))
            sys.exit(1 if any(what.startswith("WRONG") for what in trial.seen) else 0)


def _day(lab: Lab, number: int) -> tuple[str, Truth]:
    """Edits, a backup, and what the workspace held then."""
    lab.control("random_edits", {"count": 40, "seed": number})
    hostile = [path for path in truth(lab) if path.startswith("/Clients/more/")]
    lab.edit(*({"action": "edit", "path": path} for path in hostile))
    run = lab.back_up()
    return run["commit"], truth(lab)


if __name__ == "__main__":
    typer.run(main)
