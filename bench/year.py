"""`python -m bench.year`: a year of a living workspace with faults and crashes, in simulated time.

Prints one line a month (state kept, calls of an undisturbed daily run) and a JSON line at the end.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import typer

from local.memory.world import World
from tests.faults.calendar import Day, days
from tests.faults.living import fill

MONTH = 30
KINDS = ("staging", "batches", "plans", "failures", "notices", "manifests", "runs", "maintenance")


def main(count: int = 365, notebooks: int = 60, seed: int = 365) -> None:
    """Live the days; ends with 1 if one of them left the repository unlike the workspace."""
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    world = World(Path(tempfile.mkdtemp(prefix="year-")), seed=seed)
    fill(world, notebooks)
    lived: list[Day] = []
    for day in days(world, count):
        lived.append(day)
        if len(lived) % MONTH == 0:
            calm = [d.calls for d in lived[-MONTH:] if not d.disturbed]
            kept = {kind: day.kept[kind] for kind in KINDS}
            print(f"day {len(lived):3}: {int(median(calm))} calls a calm day, kept {kept}", flush=True)
    calm = [d.calls for d in lived if not d.disturbed]
    figures = {
        "days": len(lived),
        "disturbed": sum(d.disturbed for d in lived),
        "restarts": world.seen["restart"],
        "runs": sum(d.runs for d in lived),
        "days unequal": sum(not d.equal for d in lived),
        "days with findings": sum(bool(d.proof["failures"]) for d in lived),
        "early checkpoints": len(world.early_checkpoints),
        "calls a calm day, first and last month": [int(median(calm[:12])), int(median(calm[-12:]))],
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(figures))
    sys.exit(1 if figures["days unequal"] or figures["days with findings"] or figures["early checkpoints"] else 0)


if __name__ == "__main__":
    typer.run(main)
