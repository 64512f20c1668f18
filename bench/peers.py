"""Ours beside what people use instead, on the same simulated workspace: ratios within one run.

`python -m bench.peers` compares notebooks a second with databricks-cli's `export_dir` followed by
`git add/commit/push`, and with a 20-thread databricks-sdk exporter. Ours counts the whole run: listing,
export, commit and push. `--ceiling 30` shows how much of a workspace's ceiling is used, and refusals.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import typer

from local.lab import Lab
from local.system import LocalSystem, SystemOptions

_SDK_EXPORTER = Path(__file__).with_name("sdk_exporter.py")

IDLE_SECONDS = 5.0


def main(
    notebooks: int = 2_000, folders: int = 200, latency_ms: float = 30.0, ceiling: float = 0.0, cli: bool = True
) -> None:
    """Print one line of JSON for each way, and the ratios last."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clones").mkdir()
        options = SystemOptions(
            folder / "data", 0, notebooks, folders, latency_ms=latency_ms, ceiling=ceiling, plain=True
        )
        with LocalSystem(options) as system:
            lab = Lab(system, folder / "clones")
            # As in production, where a timer finds a host that has been up and idle for hours.
            time.sleep(IDLE_SECONDS)
            ways: dict[str, Callable[[], float]] = {"ours": lambda: float(lab.back_up()["seconds"])}
            ways["databricks-sdk, 20 threads"] = lambda: _sdk(system, folder / "sdk")
            if cli:
                ways["databricks-cli + git"] = lambda: _cli(system, folder / "cli")
            figures = {name: _measured(lab, name, way, notebooks) for name, way in ways.items()}
    ours = figures["ours"]["notebooks_per_second"]
    ratios = {name: round(ours / f["notebooks_per_second"], 1) for name, f in figures.items() if name != "ours"}
    print(json.dumps({"ours to": ratios}))


def _measured(lab: Lab, name: str, way: Callable[[], float], notebooks: int) -> dict[str, Any]:
    lab.control("reset_stats", {})
    seconds = way()
    stats = lab.control("stats").json()
    figures = {
        "way": name,
        "seconds": round(seconds, 2),
        "notebooks_per_second": round(notebooks / seconds, 1),
        "calls": stats["total"],
        "calls_per_second": round((stats["total"] - stats["refused"]) / seconds, 1),
        "refused": stats["refused"],
        "refused_share": round(stats["refused"] / max(stats["total"], 1), 4),
    }
    print(json.dumps(figures), flush=True)
    return figures


def _sdk(system: LocalSystem, target: Path) -> float:
    environment = {"DATABRICKS_HOST": system.workspace_url, "DATABRICKS_TOKEN": system.secrets["workspace"]}
    return _timed([sys.executable, str(_SDK_EXPORTER), str(target)], environment)


def _cli(system: LocalSystem, target: Path) -> float:
    """The CLI drops a port from its host: it is given a name, and the simulator as its proxy."""
    environment = {
        "DATABRICKS_HOST": "http://workspace.test",
        "DATABRICKS_TOKEN": system.secrets["workspace"],
        "http_proxy": f"http://{urlparse(system.workspace_url).netloc}",
    }
    command = [str(Path(sys.executable).with_name("databricks")), "workspace", "export_dir", "-o", "/Clients"]
    seconds = _timed([*command, str(target)], environment)
    return seconds + _commit_and_push(system, target)


def _commit_and_push(system: LocalSystem, target: Path) -> float:
    authorization = base64.b64encode(f":{system.secrets['git']}".encode()).decode()
    git = ["git", "-C", str(target), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    steps = (
        ["init", "--quiet", "-b", "cli"],
        ["add", "-A"],
        ["commit", "--quiet", "-m", "export"],
        ["-c", f"http.extraHeader=Authorization: Basic {authorization}", "push", "--quiet", system.git_url, "cli"],
    )
    return sum(_timed([*git, *step], {}) for step in steps)


def _timed(command: list[str], environment: dict[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


if __name__ == "__main__":
    typer.run(main)
