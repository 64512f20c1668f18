"""What a backup asks of Azure: storage transactions by kind, for a first run, a day, and a verification.

    python -m bench.costs --notebooks 2000

The app's own services run over storage in memory, and every call of an adapter is counted: one call is one
transaction, a query one for each 1,000 rows, many rows one for each 100. What the platform itself asks (polls of
queues, Durable Functions) is not in it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from local.faults.taps import Call, QuietTap
from local.memory.world import ROOT, World
from shared.services.state.maintenance import Kind

COUNTED = {"blobs", "tables", "queue"}
ROWS_A_PAGE, ROWS_A_TRANSACTION = 1_000, 100


class Meter(QuietTap):
    """Counts transactions by kind."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def after(self, call: Call, answer: Any) -> Any:
        """See `Tap.after`."""
        if call.port in COUNTED:
            self.seen[_kind(call)] += _transactions(call, answer)
        elif call.port == "workspace":
            self.seen["workspace"] += 1
        return answer


def _transactions(call: Call, answer: Any) -> int:
    if call.method == "query":
        return max(1, -(-len(answer) // ROWS_A_PAGE))
    if call.method == "upsert_many":
        return -(-len(call.arguments[2]) // ROWS_A_TRANSACTION)
    return 1


def _kind(call: Call) -> str:
    if call.port != "blobs":
        return call.port
    writes = ("put", "put_file", "create", "acquire_lease", "renew_lease", "release_lease")
    return "blob writes" if call.method in (*writes, "names") else "blob reads"


def measure(notebooks: int, folders: int, changed: int) -> dict[str, dict[str, int]]:
    """Transactions by kind, of a first run, of a day with `changed` edits, and of a verification."""
    world = World(Path(tempfile.mkdtemp()), commit_max_files=20_000, step_budget_seconds=300)
    for n in range(notebooks):
        folder = f"{ROOT}/client {n % folders:04}"
        world.model.apply("mkdir", "ada", path=folder)
        world.model.apply("create", "ada", path=f"{folder}/job {n}", content=f"# {n}\n")
    found = {"first run": _counted(world, world.back_up)}
    for n in range(changed):
        world.model.apply("edit", "ada", path=f"{ROOT}/client {n % folders:04}/job {n}", content=f"# {n} again\n")
    world.clock.sleep(86_400)
    found["day"] = _counted(world, world.back_up)
    found["verification"] = _counted(world, lambda: world.maintain(Kind.VERIFY))
    return found


def _counted(world: World, act: Any) -> dict[str, int]:
    meter = Meter()
    world.process(meter)
    act()
    return dict(sorted(meter.seen.items()))


def main(
    notebooks: Annotated[int, typer.Option()] = 2_000,
    folders: Annotated[int, typer.Option()] = 125,
    changed: Annotated[int, typer.Option()] = 20,
) -> None:
    """Print the counts as JSON."""
    sys.stdout.write(json.dumps(measure(notebooks, folders, changed), indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
