"""Git folders and the backup side by side for days: edits, pull requests, conflicts, folders on other branches.

`python -m bench.together --notebooks 20000 --clients 140 --days 30` and, in two minutes,
`python -m bench.together --notebooks 2000 --clients 20 --days 5`. The whole real system with the workspace simulated,
Databricks' limits on. After each day the repository, the workspace and the branches are compared whole. One line of
JSON for each day; ends with 1 where one is not as it must be.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import typer

from bench.editing import notebooks_of
from bench.git_folders import FOLDERS_A_CLIENT, ROOT, Trial
from local.app import follow
from local.lab import Lab, git
from local.system import REPOSITORY, LocalSystem, SystemOptions
from local.workspace.content import EXTENSION, first_line

PEOPLE = ("grace", "hopper", "linus")
POLL_SECONDS = 0.2
MOST_POLLS = 3_000


def main(
    notebooks: int = 20_000,
    clients: int = 140,
    days: int = 30,
    edits: int = 200,
    requests_a_day: int = 10,
    conflicts: int = 3,
    switched: int = 3,
    latency_ms: float = 30.0,
) -> None:
    """Everything converted, then days of people at work."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clones").mkdir()
        limit = max(notebooks // 4, 20)
        options = SystemOptions(
            folder / "data",
            0,
            notebooks,
            clients * FOLDERS_A_CLIENT,
            latency_ms=latency_ms,
            plain=True,
            settings={"BACKUP_GIT_FOLDER_NOTEBOOKS": str(limit)},
        )
        with LocalSystem(options) as system:
            trial = Trial(Lab(system, folder / "clones"), limit, 1.0)
            trial.begin(move=True)
            trial.convert(trial.folders, 0)
            month = Month(trial, edits, requests_a_day, conflicts, switched)
            seconds = [month.day(number) for number in range(1, days + 1)]
    told = {"part": "all", "days": days, "problems": len(trial.problems), "seconds_a_day": _spread(seconds)}
    print(json.dumps({**told, **month.did, "host_mb": trial.peak}), flush=True)
    sys.exit(1 if trial.problems else 0)


class Month:
    """People at work, day after day; Git's own figures tell what came of it."""

    def __init__(self, trial: Trial, edits: int, merges: int, conflicts: int, switched: int) -> None:
        self.trial, self.lab, self.draw = trial, trial.lab, random.Random(5)
        self.edits, self.merges, self.conflicts, self.switched = edits, merges, conflicts, switched
        self.did: Counter[str] = Counter()
        self.away: dict[str, str] = {}

    def day(self, number: int) -> float:
        """What people do, the backup with the one that follows on it, and everything compared; the backups' seconds."""
        self.lab.control("reset_stats", {})
        held = notebooks_of(self.lab)
        branches = {f["path"]: f["branch"] for f in self._rows()}
        on_branch = [p for p in branches if p not in self.away]
        chosen = self.draw.sample(sorted(held), self.edits)
        self.lab.edit(*(_edit(path, held[path][0], f"day {number}") for path in chosen))
        asked = self._pull_requests(number, held, branches, on_branch)
        self._switch(branches)
        began = time.monotonic()
        run = self._back_up()
        seconds = time.monotonic() - began
        codes = Counter(notice["code"] for notice in run["notices"])
        calls = self.lab.control("stats").json()["total"]
        refused = [notice["reason"] for notice in run["notices"] if notice["code"] == "folder_refused"]
        self.trial._check(f"day {number}: {run['failures'][:3]}", run["status"] == "succeeded")
        self._compare(number, asked, branches)
        print(
            json.dumps({"day": number, "seconds": round(seconds, 1), "calls": calls, **codes, "why": refused}),
            flush=True,
        )
        self.did.update(codes)
        return seconds

    def _pull_requests(
        self, number: int, held: dict[str, tuple[str, str]], branches: dict[str, str], on_branch: list[str]
    ) -> dict[str, str]:
        """Commits on folders' branches; by path what the workspace must hold afterwards, where that is theirs."""
        wanted: dict[str, str] = {}
        folders = self.draw.sample(on_branch, min(self.merges, len(on_branch)))
        for place, folder in enumerate(folders):
            some = sorted(p for p in held if p.startswith(f"{folder}/"))
            path = self.draw.choice(some)
            language = held[path][0]
            file = path.removeprefix(f"{folder}/") + EXTENSION[language]
            text = f"{first_line(language)}\n# by a pull request of day {number}\n"
            new = f"{first_line('PYTHON')}\n# made on day {number}\n"
            files: dict[str, str | None] = {file: text, f"made/pr_{number}.py": new, f"docs/{number}.md": "words\n"}
            if place < self.conflicts:
                self.lab.edit(_edit(path, language, f"a conflict of day {number}"))
            author = self.draw.choice(PEOPLE)
            self.lab.git_control("commit", {"branch": branches[folder], "files": files, "author": author})
            wanted[f"{folder}/made/pr_{number}"] = new
            self.did["pull requests"] += 1
        return wanted

    def _switch(self, branches: dict[str, str]) -> None:
        """Folders that were away come back, others go to a branch of their own."""
        back, self.away = self.away, {}
        for folder in back:
            self._check_out(folder, branches[folder])
        for folder in self.draw.sample(sorted(branches.keys() - back.keys()), self.switched):
            name = f"feature/{self.did['switched']}"
            git(
                self.lab.system.options.data / "git" / REPOSITORY,
                "update-ref",
                f"refs/heads/{name}",
                f"refs/heads/{branches[folder]}",
            )
            if self._check_out(folder, name):
                self.away[folder] = name
                self.did["switched"] += 1

    def _check_out(self, folder: str, branch: str) -> bool:
        url = f"{self.lab.system.workspace_url}/api/2.0/repos"
        headers = {"Authorization": f"Bearer {self.lab.system.secrets['workspace']}"}
        found = requests.get(url, params={"path_prefix": folder}, headers=headers, timeout=60).json()
        (number,) = [repo["id"] for repo in found["repos"] if repo["path"] == folder]
        answer = requests.patch(f"{url}/{number}", json={"branch": branch}, headers=headers, timeout=300)
        return answer.status_code == 200

    def _back_up(self) -> dict[str, Any]:
        run = self.lab.back_up()
        if any(notice["code"] == "folder_edits_merged" for notice in run["notices"]):
            for _ in range(MOST_POLLS):
                newest = self.lab.client.call("GET", "runs")["runs"][0]["run_id"]
                if newest != run["run_id"]:
                    follow(self.lab.client, newest, show=False)
                    break
                time.sleep(POLL_SECONDS)
        self.trial._measure()
        return run

    def _compare(self, number: int, asked: dict[str, str], branches: dict[str, str]) -> None:
        """The clone beside the workspace, each branch beside its folder, each Git folder beside its branch."""
        held, clone = notebooks_of(self.lab), self.lab.clone()
        git(clone, "checkout", "--quiet", "main")
        told = {path: (language, digest) for (path, language), digest in self.lab.cloned(clone).items()}
        self.trial._differ(f"day {number}", held, told)
        lost = [path for path in asked if path not in held and path.rpartition("/made/")[0] not in self.away]
        self.trial._check(f"day {number}: pull requests that did not come: {lost[:3]}", not lost)
        at_home = {path: branch for path, branch in branches.items() if path not in self.away}
        asked_of = [f"origin/{b}^{{tree}} origin/main:{p.removeprefix(ROOT + '/')}" for p, b in at_home.items()]
        wrong = [a for a in asked_of if len(set(git(clone, "rev-parse", *a.split(" ")).split())) != 1]
        self.trial._check(f"day {number}: branches show their folders, {wrong[:3]}", not wrong)
        rows = {row["path"]: row for row in self._rows()}
        standing = [(p, rows[p]["standing"]) for p in at_home if rows[p]["standing"] != "in_step"]
        self.trial._check(f"day {number}: Git folders stand in step: {standing[:3]}", not standing)
        # A clone for each day would fill the disk; its place keeps its number.
        shutil.rmtree(clone)
        clone.mkdir()

    def _rows(self) -> list[dict[str, Any]]:
        rows = self.lab.client.call("GET", "git-folders")["folders"]
        return [row for row in rows if row["state"] == "converted"]


def _edit(path: str, language: str, text: str) -> dict[str, Any]:
    return {"action": "edit", "path": path, "content": f"{first_line(language)}\n# {text}\n"}


def _spread(seconds: list[float]) -> dict[str, float]:
    found = sorted(seconds)
    return {"least": round(found[0], 1), "median": round(found[len(found) // 2], 1), "most": round(found[-1], 1)}


if __name__ == "__main__":
    typer.run(main)
