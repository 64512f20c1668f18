"""The way out of an older backup at size: dated full copies become the history's beginning, and are compared.

`python -m bench.volume_import --notebooks 20000 --copies 10`, by the commands that an administrator uses. One line of
JSON for each part. Ends with 1 where a copy did not come in as it was, or where `parity` did not find every difference
that was planted, or found another.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import typer

from bench.editing import differing, notebooks_of
from bench.planting import plant
from local.lab import Lab, git
from local.system import REPOSITORY, ROOT, LocalSystem, SystemOptions

NOTEBOOKS_A_FOLDER = 16
CLIENTS = "/Clients"
DAYS_BETWEEN = 30
MOST_SHOWN = 10
type Figures = dict[str, Any]


def main(notebooks: int = 20_000, copies: int = 10, days: int = 30, changes: int = 200, each: int = 10) -> None:
    """So many copies, between two of them so many days with so many changes; `each` differences of every kind."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clones").mkdir()
        options = SystemOptions(folder / "data", 0, notebooks, notebooks // NOTEBOOKS_A_FOLDER, plain=True)
        with LocalSystem(options) as system:
            trial = Trial(Lab(system, folder / "clones"), folder / "volume")
            trial.write_copies(copies, days, changes)
            trial.bring_in(copies)
            trial.back_up(changes)
            trial.compare_all()
            trial.find_what_is_planted(each)
    _print({"part": "all", "problems": len(trial.problems)})
    sys.exit(1 if trial.problems else 0)


@dataclass
class Trial:
    """One system with a volume beside it, and what was found to be otherwise than it must be."""

    lab: Lab
    volume: Path
    problems: list[str] = field(default_factory=list)
    copied_bytes: int = 0

    def write_copies(self, copies: int, days: int, changes: int) -> None:
        """Copies as a job of an older backup writes them, the last one yesterday's."""
        began, today = time.monotonic(), datetime.now(UTC)
        for number in range(copies):
            for day in range(days if number else 0):
                self._a_day(number * 1000 + day, changes)
            when = today - timedelta(1 + DAYS_BETWEEN * (copies - 1 - number))
            self._write(f"{when:%Y-%m-%d}")
        self.copied_bytes = _bytes(self.volume)
        changed = f"{days} days of {changes} changes"
        self._show("copies", began, copies=copies, between_two=changed, megabytes=_mb(self.copied_bytes))

    def bring_in(self, copies: int) -> None:
        """The import as the root of the history: one commit a copy, each with the very files of its copy."""
        began = time.monotonic()
        code, output = self._command("import-volume", str(self.volume), "--as-root", "--json")
        seconds = time.monotonic() - began
        found = json.loads(output)
        self._check("all copies are imported", (code, [c["status"] for c in found]) == (0, ["imported"] * copies))
        repository = self.lab.system.options.data / "git" / REPOSITORY
        commits = git(repository, "log", "--reverse", "--format=%H", "main").split()
        self._check("one commit a copy", [c["commit"] for c in found] == commits)
        names = sorted(p.name for p in self.volume.iterdir())
        told = {
            name: _as_copied(self.volume / name) == _in_git(repository, commit)
            for name, commit in zip(names, commits, strict=True)
        }
        self._check(f"each commit holds what its copy held: {told}", all(told.values()))
        figures = {"commits": len(commits), "notebooks": sum(c["notebooks"] for c in found)}
        figures |= {"notebooks_per_second": round(figures["notebooks"] / seconds), "largest_mb": _largest_child()}
        self._show("import", began, import_seconds=round(seconds, 1), **figures, **self._sizes(repository))

    def back_up(self, changes: int) -> None:
        """The first backup goes on from the copies, after one more day of edits; again it has nothing to do."""
        self._a_day(999_999, changes)
        began = time.monotonic()
        run = self.lab.back_up()
        self._check(f"the backup succeeds: {run['failures'][:3]}", run["status"] == "succeeded")
        told = {path: (language, sha) for (path, language), sha in self.lab.cloned(self.lab.clone()).items()}
        lines = differing(notebooks_of(self.lab), told)
        self._check(f"the backup is the workspace: {lines[:3]}", not lines)
        again = self.lab.back_up()
        self._check("a second backup changes nothing", again["planned"] == 0)
        repository = self.lab.system.options.data / "git" / REPOSITORY
        figures = {"run_seconds": run["seconds"], "counts": run["counts"], "codes": [n["code"] for n in run["notices"]]}
        self._show("backup", began, **figures, **self._sizes(repository))

    def compare_all(self) -> None:
        """Every copy, today's too, agrees with the history of its day."""
        self._write(f"{datetime.now(UTC):%Y-%m-%d}")
        began = time.monotonic()
        code, output = self._command("parity", str(self.volume), "--all", "--json")
        found = json.loads(output)
        agreed = [(p["agreed"], len(p["findings"]), p["equal"] == p["notebooks"]) for p in found]
        self._check(f"every copy agrees: {agreed}", (code, set(agreed)) == (0, {(True, 0, True)}))
        self._show("parity of all", began, copies=len(found), notebooks=sum(p["notebooks"] for p in found))

    def find_what_is_planted(self, each: int) -> None:
        """Parity has to name every planted difference, as what it is, and nothing else."""
        *_, earlier, copy = sorted(self.volume.iterdir())
        planted = plant(copy, earlier, CLIENTS, each, random.Random(3))
        began = time.monotonic()
        code, output = self._command("parity", str(self.volume), "--json")
        (found,) = json.loads(output)
        told = {(f["difference"], f["path"], tuple(f["explanations"])) for f in found["findings"]}
        missed, more = sorted(planted.findings - told), sorted(told - planted.findings)
        self._check(f"planted and not found: {missed[:MOST_SHOWN]}", not missed)
        self._check(f"found and not planted: {more[:MOST_SHOWN]}", not more)
        self._check(
            "the command says that they differ",
            (code, found["agreed"], len(told)) == (1, False, len(found["findings"])),
        )
        kinds = {name: found[name] for name in ("missing", "extra", "different", "unread", "explained", "not_compared")}
        figures = {"planted": dict(planted.counts), "to_be_found": len(planted.findings), "found": kinds}
        self._show("parity", began, **figures, missed=len(missed), others=len(more))

    def _a_day(self, seed: int, changes: int) -> None:
        self.lab.control("random_edits", {"count": changes, "seed": seed})

    def _write(self, name: str) -> None:
        """A full copy: each top folder by one export, and a file that is no notebook."""
        system = self.lab.system
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {system.secrets['workspace']}"
            api = f"{system.workspace_url}/api/2.0/workspace"
            for folder in session.get(f"{api}/list", params={"path": CLIENTS}, timeout=60).json()["objects"]:
                asked = {"path": folder["path"], "format": "SOURCE", "direct_download": "true"}
                answer = session.get(f"{api}/export", params=asked, timeout=300)
                answer.raise_for_status()
                with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                    archive.extractall(self.volume / name)
        (self.volume / name / "client_0001" / "requirements.txt").write_text("requests\n")

    def _command(self, *arguments: str) -> tuple[int, str]:
        """What `./backup` ends with and prints."""
        system = self.lab.system
        secrets = {"GIT_REMOTE_URL": system.git_url, "GIT_TOKEN": system.secrets["git"], "BACKUP_KEY": system.key}
        scratch = {"BACKUP_SCRATCH": str(self.volume.parent / "scratch")}
        command = [sys.executable, "-m", "shared.cli", "--url", system.url, *arguments]
        done = subprocess.run(
            command, env=os.environ | secrets | scratch, cwd=ROOT, stdout=subprocess.PIPE, check=False
        )
        return done.returncode, done.stdout.decode()

    def _sizes(self, repository: Path) -> Figures:
        """What Git takes once the server has tidied up, beside the copies."""
        git(repository, "gc", "--quiet", "--prune=now")
        packed = _bytes(repository / "objects")
        return {
            "git_mb": _mb(packed),
            "copies_mb": _mb(self.copied_bytes),
            "git_share_of_copies": round(packed / self.copied_bytes, 4),
        }

    def _check(self, what: str, holds: bool) -> None:
        if not holds:
            self.problems.append(what)
            _print({"wrong": what})

    @staticmethod
    def _show(part: str, began: float, **figures: Any) -> None:
        _print({"part": part, "seconds": round(time.monotonic() - began, 1), **figures})


def _as_copied(copy: Path) -> dict[str, str]:
    """Git's id of each notebook file of a copy."""
    files = sorted(f.relative_to(copy).as_posix() for f in copy.rglob("*") if f.is_file() and f.suffix != ".txt")
    listed = "\n".join(str(copy / f) for f in files)
    done = subprocess.run(
        ["git", "hash-object", "--no-filters", "--stdin-paths"],
        input=listed,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(files, done.stdout.split(), strict=True))


def _in_git(repository: Path, commit: str) -> dict[str, str]:
    rows = (row.split("\t") for row in git(repository, "ls-tree", "-r", commit).splitlines())
    return {name: meta.split()[2] for meta, name in rows if not name.startswith(".git")}


def _bytes(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def _mb(size: int) -> float:
    return round(size / 2**20, 1)


def _largest_child() -> float:
    """Peak resident memory of the largest command so far, its git processes among them, MiB."""
    return round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1)


def _print(row: Figures) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    typer.run(main)
