"""Fifty people who look and restore at once, on a workspace with two years of daily history; then large restores.

`python -m bench.recovery --notebooks 100000 --folders 6300 --days 730 --changes 1000 --minutes 5`

The history is written into the served repository as the backup would have written it, with one commit a day;
manifest, checkpoint and index are then made from it by a rebuild, as after a loss of the storage account.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import typer

from local.git_server import tidy
from local.lab import Lab
from local.system import REPOSITORY, LocalSystem, SystemOptions
from local.workspace.content import source
from shared.adapters.git_stream import quoted
from shared.domain.names import notebook_component
from shared.domain.notebooks import ExportFormat, Language

DAY_SECONDS, FIRST_DAY = 86_400, 1_700_000_000
THINK_SECONDS = 1.0
LATENCY_MS = 30.0
MIX = ("versions", "versions", "content", "content", "diff", "restore")
type Row = dict[str, Any]


def main(
    notebooks: int = 100_000,
    folders: int = 6_300,
    days: int = 730,
    changes: int = 1_000,
    users: int = 50,
    minutes: float = 5.0,
    folder_restores: bool = True,
) -> None:
    """Print one line of JSON for each part."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clones").mkdir()
        options = SystemOptions(folder / "data", 0, notebooks, folders, plain=True)
        with LocalSystem(options) as system:
            lab = Lab(system, folder / "clones")
            rows = [json.loads(line) for line in lab.control("truth").text.splitlines()]
            began = time.monotonic()
            _write_history(folder / "data" / "git" / REPOSITORY, rows, days, changes)
            _show("history written", began, repository_mb=_megabytes(folder / "data" / "git"))
            _rebuild(lab)
            _first_question(lab, rows)
            lab.control("behaviour", {"latency_ms": LATENCY_MS})
            _alone(lab, rows, days)
            before = system.cpu_seconds()
            _people(lab, rows, users, minutes * 60, days)
            spent = {name: round(value - before[name], 1) for name, value in system.cpu_seconds().items()}
            print(json.dumps({"cpu_seconds": spent}), flush=True)
            if folder_restores:
                _large(lab, *_folder_near(rows, 500))
                _large(lab, "/Clients", len(rows))
            print(json.dumps({"peaks_mb": system.peaks(), "scratch_mb": _megabytes(folder / "data" / "scratch")}))


def _write_history(repository: Path, rows: list[Row], days: int, changes: int) -> None:
    command = ["git", "-C", str(repository), "fast-import", "--done", "--quiet", "--date-format=raw", "--depth=5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin  # noqa: S101 - asked for above
        for part in _stream(rows, days, changes):
            process.stdin.write(part)
        process.stdin.close()
    if process.returncode:
        raise SystemExit(f"git fast-import ended with {process.returncode}")
    # Pushes would have left it with the reverse index that this stream does not write.
    tidy(repository)


def _stream(rows: list[Row], days: int, changes: int) -> Iterator[bytes]:
    draw, revisions = random.Random(1), Counter[str]()
    for day in range(days):
        changed = rows if day == 0 else draw.sample(rows, min(changes, len(rows)))
        when = FIRST_DAY + day * DAY_SECONDS
        text = f"Back up {len(changed)} notebooks\n\nBackup-Run: {day:04}\n".encode()
        yield b"commit refs/heads/main\nauthor Backup <b@x> %d +0000\ncommitter Backup <b@x> %d +0000\n" % (when, when)
        yield b"data %d\n%s\n" % (len(text), text)
        for row in changed:
            data = source(row["object_id"], revisions[row["path"]], row["language"])
            revisions[row["path"]] += 1
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (quoted(_file(row)), len(data), data)
    yield b"done\n"


def _file(row: Row) -> str:
    parent, _, name = row["path"].removeprefix("/Clients/").rpartition("/")
    leaf = notebook_component(name, Language(row["language"]), ExportFormat.SOURCE)
    return f"{parent}/{leaf}" if parent else leaf


def _rebuild(lab: Lab) -> None:
    began = time.monotonic()
    identity = lab.client.call("POST", "rebuilds")["id"]
    while (answer := lab.client.call("GET", f"rebuilds/{identity}"))["status"] in ("queued", "running"):
        time.sleep(0.5)
    _show("rebuilt", began, status=answer["status"], notebooks=answer.get("notebooks"), error=answer.get("error"))


def _first_question(lab: Lab, rows: list[Row]) -> None:
    began = time.monotonic()
    headers = {"x-functions-key": lab.system.key}
    url = f"{lab.system.url}/api/versions"
    answer = requests.get(url, params={"path": rows[0]["path"]}, headers=headers, timeout=1_800)
    answer.raise_for_status()
    _show("first question, the index made from Git", began, versions=len(answer.json()["versions"]))


def _people(lab: Lab, rows: list[Row], users: int, seconds: float, days: int) -> None:
    """Each person asks, thinks for about a second, and asks again."""
    took: dict[str, list[float]] = {name: [] for name in MIX}
    problems: Counter[str] = Counter()
    until = time.monotonic() + seconds

    def person(number: int) -> None:
        draw, session = random.Random(number), requests.Session()
        session.headers["x-functions-key"] = lab.system.key
        while time.monotonic() < until:
            time.sleep(draw.expovariate(1 / THINK_SECONDS))
            kind = draw.choice(MIX)
            began = time.monotonic()
            problem = _ask(session, lab.system.url, kind, draw.choice(rows)["path"], draw, days)
            took[kind].append(time.monotonic() - began)
            problems[problem] += problem != ""

    threads = [threading.Thread(target=person, args=(n,)) for n in range(users)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for kind, values in took.items():
        _show(f"{users} people: {kind}", began, requests=len(values), **_quantiles(values))
    everything = [v for values in took.values() for v in values]
    _show(f"{users} people: all", began, requests=len(everything), problems=dict(+problems), **_quantiles(everything))


def _ask(session: requests.Session, url: str, kind: str, path: str, draw: random.Random, days: int) -> str:
    """One request; what was wrong with its answer, or nothing."""
    day = time.strftime("%Y-%m-%d", time.gmtime(FIRST_DAY + draw.randrange(days) * DAY_SECONDS))
    if kind == "restore":
        answer = session.post(f"{url}/api/restores", json={"paths": [path], "at": day}, timeout=60)
        outcome = answer.json().get("items", [{}])[0].get("outcome") if answer.status_code == 200 else None
        return "" if outcome in ("verified", "unchanged") else f"{answer.status_code} {outcome}"
    query = {"path": path, "at": day} if kind == "content" else {"path": path, "from": day, "to": "latest"}
    answer = session.get(f"{url}/api/{kind}", params=query if kind != "versions" else {"path": path}, timeout=60)
    return "" if answer.status_code == 200 else str(answer.status_code)


def _alone(lab: Lab, rows: list[Row], days: int) -> None:
    """From the click to `verified`, when nobody else asks."""
    draw, session, took = random.Random(9), requests.Session(), []
    session.headers["x-functions-key"] = lab.system.key
    began = time.monotonic()
    for _ in range(100):
        path, asked = draw.choice(rows)["path"], time.monotonic()
        if problem := _ask(session, lab.system.url, "restore", path, draw, days):
            raise SystemExit(f"a restore alone gave {problem}")
        took.append(time.monotonic() - asked)
    _show("one person: restore", began, requests=len(took), **_quantiles(took))


def _folder_near(rows: list[Row], notebooks: int) -> tuple[str, int]:
    """The folder that holds about so many notebooks, at any depth."""
    counts: Counter[str] = Counter()
    for row in rows:
        parts = row["path"].split("/")
        counts.update("/".join(parts[:depth]) for depth in range(3, len(parts)))
    return min(counts.items(), key=lambda found: abs(found[1] - notebooks))


def _large(lab: Lab, folder: str, notebooks: int) -> None:
    """All of a folder as of the first day, in place: what differs is written, and compared with what Git holds."""
    lab.control("reset_stats", {})
    began = time.monotonic()
    day = time.strftime("%Y-%m-%d", time.gmtime(FIRST_DAY))
    found = lab.client.call("POST", "restores", json={"folder": folder, "at": day})
    while found["status"] == "running":
        time.sleep(0.2)
        found = lab.client.call("GET", f"restores/{found['id']}", params={"limit": 1})
    rate = round(notebooks / (time.monotonic() - began), 1)
    calls = lab.control("stats").json()["total"]
    figures = {"notebooks": notebooks, "counts": found["counts"], "calls": calls, "notebooks_per_second": rate}
    _show(f"{folder} as of the first day", began, status=found["status"], **figures)


def _quantiles(values: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(values, n=100)
    return {f"p{n}_ms": round(cut[n - 1] * 1000, 1) for n in (50, 95, 99)}


def _megabytes(folder: Path) -> float:
    return round(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20, 1)


def _show(name: str, began: float, **figures: Any) -> None:
    print(json.dumps({"part": name, "seconds": round(time.monotonic() - began, 2), **figures}), flush=True)


if __name__ == "__main__":
    typer.run(main)
