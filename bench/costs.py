"""What a backup asks of Azure, through the whole chain: a first run, a day, a verification, and the timers.

    python -m bench.costs --notebooks 70000 --notebooks 100000
    python -m bench.costs --lines bench/measured-costs.jsonl --prices my-prices.json

Azurite, a Git server over HTTP, a workspace that answers so many calls a second, a vault and the Functions host are
real processes. Storage transactions are counted from Azurite's own log, executions and their times by the host, logs
and metrics at an endpoint of Application Insights. JSON lines come first, a line for each part, then tables in
Markdown: what was counted, and a month at the prices of `bench/prices.json` or of `--prices`.

Not counted: what Durable Functions itself asks of storage in Azure (this host keeps its history in a file), what the
platform writes to logs, and its polling of queues that are empty (this host's own is shown as `receive`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cost_phase import QUIET_SECONDS, Meters, Phase
from bench.cost_table import Measured, Size, counted_table, month_table, read_measured, read_prices
from bench.stored import stored_in
from local.ingestion import EnvelopeCount, Ingestion
from local.lab import Lab
from local.system import LocalSystem, SystemOptions

FIVE_MINUTES = ("watchdog", "look_around", "continue_rotations", "restore_watchdog", "git_folder_watchdog")
HOURLY = ("watch_credentials", "send_digests")
DAILY = ("daily_backup", "daily_verification")
"""The app's timer functions, by how often they run."""
PRICES = Path(__file__).with_name("prices.json")
MEASURED = Path(__file__).with_name("measured-costs.jsonl")
"""The lines of the measurement that docs/costs.md shows."""
LATENCY_MS = 30.0
METRICS_SECONDS = 65.0
"""Metrics leave once a minute: after a part this long, they have left."""
SETTINGS = {
    "DATABRICKS_TOKEN_SECRET": "databricks-token",
    "GIT_TOKEN_SECRET": "git-token",
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
}
"""Tokens in the vault: with identities in their place, the vault is asked for nothing."""


class NotWhole(Exception):
    """A run did not succeed, or brought in another number of notebooks: its figures are none."""


def measure(size: Size, ceiling: float, data: Path) -> Measured:
    """The parts of one size. Raises `NotWhole`, `NotSettled`, `UnknownRequest`."""
    telemetry = EnvelopeCount()
    with Ingestion(telemetry.take) as insights:
        settings = {**SETTINGS, "APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string}
        size_options: dict[str, Any] = {"notebooks": size.notebooks, "folders": size.folders, "plain": True}
        options = SystemOptions(
            data, 0, latency_ms=LATENCY_MS, ceiling=ceiling, metered=True, settings=settings, **size_options
        )
        with LocalSystem(options) as system:
            return _parts(Meters(Lab(system, data), telemetry), size)


def _parts(meters: Meters, size: Size) -> Measured:
    lab = meters.lab

    def part(name: str, timers: Sequence[str], quiet_seconds: float = QUIET_SECONDS) -> Phase:
        phase = meters.measure(name, timers, quiet_seconds)
        _print({**asdict(size), "part": asdict(phase)})
        return phase

    phases = [part("first run", DAILY[:1])]
    _check(lab, size.notebooks)
    stored = [stored_in(lab.system)]
    lab.control("random_edits", {"count": size.changes, "seed": 5})
    phases.append(part("day", DAILY[:1]))
    _check(lab, len(lab.truth()))
    stored.append(stored_in(lab.system))
    for kept in stored:
        _print({**asdict(size), "stored": asdict(kept)})
    phases.append(part("verification", DAILY[1:]))
    phases.append(part("five-minute timers", FIVE_MINUTES, METRICS_SECONDS))
    phases.append(part("hourly timers", HOURLY, METRICS_SECONDS))
    return Measured(size, phases, stored)


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def _check(lab: Lab, notebooks: int) -> None:
    """The newest run is whole. Raises `NotWhole`."""
    run = lab.client.call("GET", "runs")["runs"][0]
    if (run["status"], run["notebooks"]) != ("succeeded", notebooks):
        raise NotWhole(f"{run['status']}: {run['notebooks']} notebooks of {notebooks}; {run.get('error')}")


def main(
    notebooks: Annotated[list[int] | None, typer.Option(help="A size; may be given many times.")] = None,
    notebooks_a_folder: float = 16.0,
    changes: Annotated[int, typer.Option(help="Edits of a day.")] = 1_000,
    ceiling: Annotated[float, typer.Option(help="Calls a second that the workspace answers.")] = 30.0,
    prices: Annotated[Path, typer.Option(help="Prices, in the form of bench/prices.json.")] = PRICES,
    lines: Annotated[Path | None, typer.Option(help="Lines of an earlier measurement: print its tables.")] = None,
) -> None:
    """Measure each size, print its figures, then all of them as tables."""
    known = read_prices(prices)
    if lines:
        found = read_measured(lines.read_text().splitlines())
    else:
        found = []
        for number in notebooks or [70_000, 100_000]:
            size = Size(number, max(1, round(number / notebooks_a_folder)), changes)
            with tempfile.TemporaryDirectory() as scratch:
                found.append(measure(size, ceiling, Path(scratch)))
    print(counted_table(found))
    print(month_table(found, known))


if __name__ == "__main__":
    typer.run(main)
