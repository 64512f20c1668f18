"""Cold start of the deployed package: from a new process to the loaded app, to its first answers, with Azurite.

`./package`, then `python -m bench.cold_start`. Each start is a process of its own that sees the package alone, as a
worker does. Rounds of both kinds alternate, so that a busy machine slows both; figures are medians.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import typer

from local.azurite import Azurite
from local.packaging.build import ROOT
from local.packaging.dependencies import SITE_PACKAGES

PROGRAM = """
import json, sys, time
began = time.perf_counter()
sys.path[:0] = [{package!r}, {site!r}]
import function_app
loaded = time.perf_counter()
import azure.functions as func
called = {{f.get_function_name(): f.get_user_function() for f in function_app.app.get_functions()}}
indexed = time.perf_counter()
request = func.HttpRequest("GET", "https://app/api", headers={{}}, params={{}}, route_params={{}}, body=b"")
marks = {{"import": loaded - began, "index": indexed - loaded}}
for name in {asked!r}:
    before = time.perf_counter()
    answer = called[name](request)
    assert answer.status_code == 200, answer.get_body()
    marks[name] = time.perf_counter() - before
print(json.dumps({{**marks, "cpu": time.process_time(), "modules": len(sys.modules)}}))
"""
KINDS = ("get_health", "get_status")


def main(package: Path = ROOT / "build" / "package", rounds: int = 7) -> None:
    """Print one line of JSON for each: with the package's bytecode, and without it."""
    with tempfile.TemporaryDirectory() as scratch, Azurite(Path(scratch) / "azurite") as azurite:
        plain = Path(scratch) / "plain"
        shutil.copytree(package, plain, ignore=shutil.ignore_patterns("__pycache__"))
        settings = {
            "AzureWebJobsStorage": azurite.connection_string,
            "DATABRICKS_HOST": "https://workspace.example.com",
            "DATABRICKS_TOKEN": "unused",
            "GIT_REMOTE_URL": "https://git.example.com/backup",
            "GIT_TOKEN": "unused",
            "BACKUP_SCRATCH": str(Path(scratch) / "work"),
        }
        kinds = {"bytecode": package, "no bytecode": plain}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
        for _ in range(rounds):
            for name, folder in kinds.items():
                found[name].append(_start(folder, settings))
    for name, starts in found.items():
        print(json.dumps({"package": name, **_medians(starts)}), flush=True)


def _start(package: Path, settings: Mapping[str, str]) -> dict[str, float]:
    """Seconds of each part of one start."""
    program = PROGRAM.format(package=str(package), site=str(package / SITE_PACKAGES), asked=KINDS)
    command = [sys.executable, "-I", "-S", "-B", "-W", "ignore", "-c", program]
    environment = {"PATH": os.environ["PATH"], **settings}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"a start failed:\n{result.stderr[-2000:]}")
    marks: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return {**marks, "to_first_answer": marks["import"] + marks["index"] + marks["get_health"]}


def _medians(starts: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(start[name] for start in starts), 3) for name in starts[0]}


if __name__ == "__main__":
    typer.run(main)
