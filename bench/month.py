"""`python -m bench.month`: thirty days of twelve people on a real system, its clock put forward day by day.

Prints a line of JSON for each day and one at the end. Ends with 1 where a report was not the truth, a change was told
of somebody who did not make it, or `git shortlog` counts other commits than people made.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import typer

from local.system import LocalSystem, SystemOptions
from tests.month import Month, SignedInLab
from tests.signed_in import IN_AZURE


def main(days: int = 30, acts: int = 24, notebooks: int = 200, seed: int = 30) -> None:
    """Live so many days, with so many acts a day."""
    began = time.monotonic()
    os.environ.update(IN_AZURE)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "clones").mkdir()
        options = SystemOptions(Path(folder) / "data", port=0, notebooks=notebooks, shifted=True)
        with LocalSystem(options) as system:
            month = Month(SignedInLab(system, Path(folder) / "clones"), random.Random(seed))
            month.begin()
            for _ in range(days):
                print(json.dumps(asdict(month.live(acts))), flush=True)
            same = month.shortlog() == month.commits
    figures = _figures(month)
    told = {**figures, "shortlog is the truth": same, "seconds": round(time.monotonic() - began)}
    print(json.dumps(told), flush=True)
    whole = figures["reports in the morning that were the truth"] == days and not figures["changes told of others"]
    whole = whole and figures["reports at night that were the truth"] == figures["nights without late rows"]
    sys.exit(0 if whole and same else 1)


def _figures(month: Month) -> dict[str, float]:
    days = month.days
    late = [d for d in days if d.at_night is None]
    return {
        "days": len(days),
        "changes": sum(d.changes for d in days),
        "restores": sum(d.restores for d in days),
        "commits": month.commits.total(),
        "people": len(month.commits) - 1,
        "reports in the morning that were the truth": sum(d.in_the_morning for d in days),
        "nights without late rows": len(days) - len(late),
        "reports at night that were the truth": sum(bool(d.at_night) for d in days),
        "changes told of others": sum(len(d.wrong) for d in days),
        "known at night, %": _share(sum(d.known_at_night for d in days), sum(d.changes for d in days)),
        "known at night of late rows' days, %": _share(
            sum(d.known_at_night for d in late), sum(d.changes for d in late)
        ),
    }


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 100.0


if __name__ == "__main__":
    typer.run(main)
