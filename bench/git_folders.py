"""Every client's folder becomes a Git folder while people edit, some go back, and are converted again.

`python -m bench.git_folders --notebooks 100000 --clients 700` and, in a minute,
`python -m bench.git_folders --notebooks 2000 --clients 20 --limit 500 --back 5`. One line of JSON for each part. The
simulated workspace refuses what Databricks refuses. Every notebook, folder and permission is compared with what the
simulator held before, together with what people wrote since. Ends with 1 where one is not as it must be.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import typer

from bench.editing import People, differing, notebooks_of
from local.lab import Lab, git
from local.system import REPOSITORY, LocalSystem, SystemOptions

FOLDERS_A_CLIENT = 9
ROOT, USER = "/Clients", ["user_name", "backup@example.com", "CAN_MANAGE"]
POLL_SECONDS = 1.0
MOST_SHOWN = 10
MOST_ATTEMPTS = 4
type Objects = dict[str, dict[str, Any]]
"""Kind, id and grants of every object, by path."""


def main(
    notebooks: int = 100_000,
    clients: int = 700,
    back: int = 50,
    kills: int = 3,
    edit_seconds: float = 2.0,
    limit: int = 5_000,
    latency_ms: float = 0.0,
    ceiling: float = 0.0,
    move: bool = True,
) -> None:
    """A plan, everything converted, some rolled back and converted again; the host is killed now and then."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clones").mkdir()
        options = SystemOptions(
            folder / "data",
            0,
            notebooks,
            clients * FOLDERS_A_CLIENT,
            latency_ms=latency_ms,
            ceiling=ceiling,
            plain=True,
            settings={"BACKUP_GIT_FOLDER_NOTEBOOKS": str(limit)},
        )
        with LocalSystem(options) as system:
            trial = Trial(Lab(system, folder / "clones"), limit, edit_seconds)
            trial.begin(move=move)
            trial.convert(trial.folders, kills)
            trial.back_up()
            trial.roll_back(trial.chosen(back))
            trial.convert(trial.chosen(back), 0)
            trial.back_up()
            trial.look_for_failed_steps()
    _print({"part": "all", "seconds": round(time.monotonic() - trial.began), "problems": len(trial.problems)})
    sys.exit(1 if trial.problems else 0)


@dataclass
class Trial:
    """One system, what it must hold, and what was found to be otherwise."""

    lab: Lab
    limit: int
    edit_seconds: float
    problems: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    peak: float = 0.0
    move: bool = True
    began: float = field(default_factory=time.monotonic)

    def begin(self, *, move: bool) -> None:
        """Permissions of their own, a first backup, and the plan, which the small default branch has to precede."""
        self.lab.control("behaviour", {"rename": move})
        self.move = move
        self.lab.control("limits", {"notebooks": self.limit})
        self.folders = sorted(p for p in self._objects() if p.count("/") == 2)
        if not move:
            # A copy of a folder would lose them: such a folder is refused.
            others = [p for p, o in self._objects().items() if o["kind"] not in ("DIRECTORY", "NOTEBOOK")]
            self.lab.edit(*({"action": "delete", "path": path} for path in others))
        self.lab.edit(*self._grants())
        self.expected, self.before = notebooks_of(self.lab), self._objects()
        self.back_up()
        self._start_timing()
        plan = self._carry_out({"kind": "plan"})["plan"]
        self._check("the default branch is found too large", [b["code"] for b in plan["blocks"]] == [TOO_LARGE])
        self._check("the workspace refuses a large branch", self._refuses_main())
        repository = self.lab.system.options.data / "git" / REPOSITORY
        git(repository, "symbolic-ref", "HEAD", "refs/heads/folders/%home")
        self._check("each client becomes one Git folder", [f["path"] for f in plan["folders"]] == self.folders)
        self.show("plan", {"folders": len(plan["folders"]), "notebooks": plan["totals"]["notebooks"]})

    def convert(self, folders: list[str], kills: int) -> None:
        """Convert folders while people edit in them; what changed too often since its backup is asked for again."""
        self._start_timing()
        outcomes: Counter[str] = Counter()
        attempts, left, killed = 0, folders, Kills(kills, len(folders))
        with self._people() as people:
            while left and attempts < MOST_ATTEMPTS:
                attempts += 1
                asked: dict[str, Any] = {"all": True} if left == self.folders else {"folders": left}
                body = {"kind": "convert", "accept_losses": True, **asked}
                found = self._carry_out(body, people, killed)
                ended = {row["path"]: row["outcome"] for row in found["outcomes"]}
                outcomes.update(o for p, o in ended.items() if p in left)
                self._tell(f"attempt {attempts}", found)
                left = [p for p in left if ended.get(p) not in ("converted", "unchanged")]
        self._check(f"all are converted, not {left[:3]}", not left)
        figures = {"asked": len(folders), "attempts": attempts, "outcomes": dict(outcomes), "kills": killed.done}
        self.show("converted", {**figures, **_edits(people)})
        self.compare("converted", set(folders), back=set())

    def roll_back(self, folders: list[str]) -> None:
        """Roll folders back while people edit; each is as before, object ids and single permissions too."""
        self._start_timing()
        with self._people() as people:
            found = self._carry_out({"kind": "rollback", "folders": folders}, people)
        outcomes = Counter(row["outcome"] for row in found["outcomes"])
        self._tell("rolled back", found)
        self._check("all are rolled back", outcomes == {"rolled_back": len(folders)})
        self.show("rolled back", {"asked": len(folders), "outcomes": dict(outcomes), **_edits(people)})
        self.compare("rolled back", set(self.folders) - set(folders), back=set(folders))

    def chosen(self, count: int) -> list[str]:
        """Folders to go back: the first, which holds more than notebooks, and others."""
        others = random.Random(4).sample(self.folders[1:], count - 1)
        return [self.folders[0], *sorted(others)]

    def compare(self, what: str, converted: set[str], back: set[str]) -> None:
        """Notebooks, folders and permissions as they must be."""
        found = self._objects()
        self._differ(f"{what}: notebooks", self.expected, notebooks_of(self.lab))
        if back:
            self._differ(
                f"{what}: objects", _within(back, self.before, self.expected), _within(back, found, self.before)
            )
        wanted = {path: self.before[path]["grants"] for path in converted}
        told = {path: [g for g in found[path]["grants"] if g != USER] for path in converted}
        self._differ(f"{what}: permissions", wanted, told)
        strange = [p for p in converted if found[p]["kind"] != "REPO"]
        kept = {p for p, o in self.before.items() if o["kind"] == "DIRECTORY" and _client(p) in converted}
        self._check(f"{what}: Git folders, {strange[:3]}", not strange)
        self._check(f"{what}: empty folders too", kept - converted <= found.keys())

    def back_up(self) -> None:
        """A backup, and a clone compared with the workspace; each branch shows its folder's very tree."""
        self._start_timing()
        run = self.lab.back_up()
        self._check(f"a backup succeeds: {run['failures'][:3]}", (run["status"], run["failures"]) == ("succeeded", []))
        self.show("backup", {name: run[name] for name in ("counts", "notices", "planned") if name in run})
        clone = self.lab.clone()
        git(clone, "checkout", "--quiet", "main")
        told = {path: (language, digest) for (path, language), digest in self.lab.cloned(clone).items()}
        self._differ("backup", self.expected, told)
        self._check_branches(clone)

    def look_for_failed_steps(self) -> None:
        """A step that fails is run again and may hide what is wrong.

        Losing a lease to the next host is no failure, nor is a notebook that people removed after it was listed.
        """
        log = (self.lab.system.options.data / "logs" / "functions-host.log").read_text().splitlines()
        records = [json.loads(line) for line in log if line.startswith('{"time"')]
        failed = [r.get("error", r["message"]).splitlines()[-1] for r in records if r["level"] == "ERROR"]
        other = [t for t in failed if "LeaseLost" not in t and not re.search(r"has failures: \d+ not_found$", t)]
        self._check(f"no step fails: {other[:3]}", not other)

    def show(self, part: str, figures: dict[str, Any]) -> None:
        """One line of JSON."""
        stats = self.lab.control("stats").json()
        self._measure()
        calls = {"calls": stats["total"], "refused": stats["refused"], "by_endpoint": _grouped(stats["calls"])}
        _print(
            {
                "part": part,
                "seconds": round(time.monotonic() - self._since, 1),
                **figures,
                **calls,
                "host_mb": self.peak,
            }
        )

    def _carry_out(self, body: dict[str, Any], people: People | None = None, kills: Kills | None = None) -> Any:
        """An operation to its end."""
        answer = self.lab.client.call("POST", "git-folders/operations", json=body)
        while answer["status"] == "running":
            time.sleep(POLL_SECONDS)
            answer = self.lab.client.call("GET", f"git-folders/operations/{answer['id']}")
            done = {row["path"] for row in answer["outcomes"]}
            if people:
                people.near = [p for p in body.get("folders") or self.folders if p not in done][:2]
            if kills and not answer["waiting_for"] and kills.are_due(len(done)):
                self._kill(answer["id"])
        return answer

    def _kill(self, operation: str) -> None:
        """SIGKILL, and a new host; the leases of the dead one run out."""
        self._measure()
        self.lab.system.kill_host()
        self.lab.system.start_host()
        for lease in (f"leases/gitfolders-{operation}", "leases/commit"):
            self.lab.let_time_pass_without_host(lease)

    def _people(self) -> People:
        return People(self.lab, self.expected, self.edit_seconds, random.Random(len(self.problems) + 7))

    def _grants(self) -> Iterable[dict[str, Any]]:
        """Each client's own group; here and there a person's right on one notebook or folder, and an empty folder."""
        for number, path in enumerate(self.folders):
            group = [["group_name", path.rpartition("/")[2], "CAN_EDIT"], ["user_name", "ada@example.com", "CAN_RUN"]]
            yield {"action": "grant", "path": path, "grants": group[: 1 + number % 2]}
            if number % 10 == 0:
                yield {"action": "mkdir", "path": f"{path}/empty"}
                yield {"action": "grant", "path": f"{path}/load_0000", "grants": [["user_name", "g@x.com", "CAN_RUN"]]}

    def _refuses_main(self) -> bool:
        """A Git folder on the whole backup is more than Databricks lets be."""
        system = self.lab.system
        body = {"url": system.git_url, "provider": "azureDevOpsServices", "path": f"{ROOT}/all of it"}
        headers = {"Authorization": f"Bearer {system.secrets['workspace']}"}
        answer = requests.post(f"{system.workspace_url}/api/2.0/repos", json=body, headers=headers, timeout=300)
        return answer.status_code == 400 and answer.json()["error_code"] == "RESOURCE_LIMIT_EXCEEDED"

    def _check_branches(self, clone: Path) -> None:
        rows = self.lab.client.call("GET", "git-folders")["folders"]
        followed = [f for f in rows if f["state"] == "converted"]
        asked = [f"origin/{f['branch']}^{{tree}} origin/main:{f['path'].removeprefix(ROOT + '/')}" for f in followed]
        wrong = [a for a in asked if len(set(git(clone, "rev-parse", *a.split(" ")).split())) != 1]
        self._check(f"branches show their folders, {wrong[:3]}", not wrong)

    def _objects(self) -> Objects:
        found = self.lab.control("objects").json()["objects"]
        # A copy is another object; what was moved is the same.
        names = ("kind", "grants", "object_id") if self.move else ("kind", "grants")
        return {o["path"]: {n: o[n] for n in names} for o in found}

    def _differ(self, what: str, wanted: dict[str, Any], found: dict[str, Any]) -> None:
        lines = differing(wanted, found)
        self.problems += lines
        _print({"compared": what, "objects": len(wanted), "differ": len(lines), "of": lines[:MOST_SHOWN]})

    def _check(self, what: str, holds: bool) -> None:
        if not holds:
            self.problems.append(what)
            _print({"wrong": what})

    def _tell(self, what: str, found: dict[str, Any]) -> None:
        """What came to another end than was asked for."""
        other = [row for row in found["outcomes"] if row["outcome"] not in ("converted", "unchanged", "rolled_back")]
        other += [row for row in found["outcomes"] if found["kind"] == "convert" and row["outcome"] == "rolled_back"]
        _print({"told": what, "error": found["error"], "other": len(other), "some": other[:MOST_SHOWN]})

    def _start_timing(self) -> None:
        self.lab.control("reset_stats", {})
        self._since = time.monotonic()

    def _measure(self) -> None:
        self.peak = max(self.peak, self.lab.system.peaks()["functions-host"])


TOO_LARGE = "default_branch_too_large"


class Kills:
    """When the host is to be killed: so many times, evenly among the folders."""

    def __init__(self, kills: int, folders: int) -> None:
        self._at = [folders * (n + 1) // (kills + 1) for n in range(kills)]
        self.done = 0

    def are_due(self, folders_done: int) -> bool:
        """Whether one is due by now, which is then counted as done."""
        if self.done < len(self._at) and folders_done >= self._at[self.done]:
            self.done += 1
            return True
        return False


def _within(folders: set[str], objects: Objects, known: Iterable[str]) -> Objects:
    """Objects in the folders; of notebooks those alone that are in `known`, since people make and remove some."""
    names = set(known)
    return {p: o for p, o in objects.items() if _client(p) in folders and (o["kind"] != "NOTEBOOK" or p in names)}


def _client(path: str) -> str:
    return "/".join(path.split("/")[:3])


def _edits(people: People) -> dict[str, Any]:
    return {"edits": dict(people.done), "edits_met_a_folder_away": people.away}


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)


def _grouped(calls: dict[str, int]) -> dict[str, int]:
    """Calls by endpoint, without the numbers of objects."""
    found: Counter[str] = Counter()
    for endpoint, count in calls.items():
        found["/".join(part for part in endpoint.split("/") if not part.isdecimal())] += count
    return dict(found)


if __name__ == "__main__":
    typer.run(main)
