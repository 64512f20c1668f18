"""A first full sync and a daily run at full size, through the whole chain, with what they took.

`python -m bench.full_size --notebooks 100000 --folders 6300 --latency-ms 30`
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.peaks import Peak, git_megabytes
from local.lab import Lab, git
from local.system import LocalSystem, SystemOptions


def main(
    notebooks: int = 100_000,
    folders: int = 6_300,
    latency_ms: float = 30.0,
    ceiling: float = 0.0,
    changes: int = 1_000,
    verify: Annotated[bool, typer.Option(help="Clone, and compare every byte with the workspace.")] = True,
) -> None:
    """Print one line of JSON for the full run, one for the daily one, one for the comparison."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clones").mkdir()
        size = {"notebooks": notebooks, "folders": folders, "plain": True}
        options = SystemOptions(folder / "data", port=0, latency_ms=latency_ms, ceiling=ceiling, **size)  # type: ignore[arg-type]
        with LocalSystem(options) as system:
            lab = Lab(system, folder / "clones")
            _show("full", lab)
            if changes:
                lab.control("random_edits", {"count": changes, "seed": 5})
                _show("daily", lab)
            if verify:
                clone = lab.clone()
                same = lab.cloned(clone) == lab.source_truth()
                fsck = git(clone, "fsck", "--full", "--strict")
                size_mb = round(sum(f.stat().st_size for f in (clone / ".git").rglob("*") if f.is_file()) / 2**20, 1)
                print(json.dumps({"equal": same, "fsck": fsck or "clean", "clone_git_mb": size_mb}), flush=True)


def _show(name: str, lab: Lab) -> None:
    lab.control("reset_stats", {})
    with Peak(git_megabytes, 0.02) as peak:
        run = lab.back_up()
    stats: dict[str, Any] = lab.control("stats").json()
    kept = {
        k: run[k]
        for k in (
            "counts",
            "status",
            "notebooks",
            "planned",
            "failed",
            "seconds",
            "commit_seconds",
            "notebooks_per_second",
        )
    }
    figures = {"run": name, **kept, "calls": stats, "peaks_mb": lab.system.peaks(), "git_peak_mb": peak.megabytes}
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    typer.run(main)
