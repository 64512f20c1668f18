"""`./start`: the whole system on this machine, one backup with a progress bar, then serve or end."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any

import typer
from rich.text import Text

from local.processes import StartFailed
from local.start_checks import found_amiss
from local.system import DataInUse, LocalSystem, SystemOptions, wait_forever
from shared.cli import Client, follow, notes
from shared.cli.terminal import plain as printable
from shared.cli.terminal import say


def main(
    once: Annotated[bool, typer.Option("--once", help="End after the backup; exit 0 only if it succeeded.")] = False,
    notebooks: Annotated[int, typer.Option(min=0, help="Size of the simulated workspace.")] = 2000,
    workspace_from: Annotated[
        Path | None, typer.Option(help="Fill it with the notebooks in a folder of files.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Where state is kept.")] = Path(".local"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The function app's port; 0 for a free one.")] = 7071,
    folders: Annotated[int, typer.Option(min=0, help="Folders of the simulated workspace; 0 for a 16th.")] = 0,
    latency_ms: Annotated[float, typer.Option(min=0, help="The simulated workspace's latency.")] = 0.0,
    ceiling: Annotated[float, typer.Option(min=0, help="Its calls a second; 0 for no ceiling.")] = 0.0,
    plain: Annotated[bool, typer.Option("--plain", help="No hostile names and no oversize notebook.")] = False,
) -> None:
    """Set up, start every embedded system, back up once, then serve until Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    amiss = found_amiss(os.environ, data.resolve(), port, workspace_from)
    if amiss:
        for line in amiss:
            say(line, "red")
        raise typer.Exit(2)
    options = SystemOptions(data.resolve(), port, notebooks, folders, workspace_from, latency_ms, ceiling, plain)
    try:
        with LocalSystem(options) as system:
            run = _back_up(system)
            if not once:
                _serve(system)
    except (StartFailed, DataInUse) as error:
        notes.print(Text(str(error), "red"), soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        say(f"{error.filename or data}: {error.strerror or error}. Make room, or pass another --data.", "red")
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        notes.print("stopped")
        raise typer.Exit(0) from None
    raise typer.Exit(0 if run["status"] == "succeeded" else 1)


def _back_up(system: LocalSystem) -> dict[str, Any]:
    """Start a run by the timer function, as every day does, and follow it to its end."""
    client = Client(system.url, system.key)
    before = {r["run_id"] for r in client.call("GET", "runs")["runs"]}
    active = client.call("GET", "status")["active"]
    if not active:
        system.fire_timer("daily_backup")
        active = wait_for_new_run(client, before)
    run = follow(client, active["run_id"], show=True)
    for failure in run["failures"][:20]:
        notes.print(printable(f"  {failure['code']} {failure['path']}: {failure['reason']}"), markup=False)
    sys.stdout.write(json.dumps(summary(run, system.peaks())) + "\n")
    sys.stdout.flush()
    return run


def wait_for_new_run(client: Client, before: set[str]) -> dict[str, Any]:
    deadline = monotonic() + 60
    while monotonic() < deadline:
        fresh = [r for r in client.call("GET", "runs")["runs"] if r["run_id"] not in before]
        if fresh:
            run: dict[str, Any] = fresh[0]
            return run
        sleep(0.1)
    raise StartFailed(
        "the timer function started no run within a minute: see logs/functions-host.log in the data folder"
    )


def summary(run: dict[str, Any], peaks: dict[str, float]) -> dict[str, Any]:
    """The line of JSON that ends `./start --once`; `peak_mb` is the function app's process."""
    counts = run["counts"]
    return {
        "run_id": run["run_id"],
        "status": run["status"],
        "notebooks": run["notebooks"],
        "changed": sum(counts[name] for name in ("created", "changed", "renamed", "conflict")),
        "deleted": counts["deleted"],
        "failed": run["failed"],
        "commit": run["commit"],
        "seconds": run["seconds"],
        "notebooks_per_second": run["notebooks_per_second"],
        "peak_mb": peaks.get("functions-host", 0.0),
        "peaks_mb": peaks,
    }


def _serve(system: LocalSystem) -> None:
    notes.print(f"function app   {system.url}/api/status   (key: {system.options.data / 'backup.json'})")
    if system.git_url:
        clone = system.git_url.replace("http://", f"http://backup:{system.secrets['git']}@")
        notes.print(f"repository     git clone {clone}", soft_wrap=True)
    if system.workspace_url:
        notes.print(f"workspace      {system.workspace_url}")
    if system.mail_url:
        notes.print(f"mails          {system.mail_url}")
    if system.azure:
        notes.print(f"vault          {system.azure.settings()['KEY_VAULT_URI']}")
    notes.print("Ctrl-C stops everything; the next ./start goes on with the same data.")
    wait_forever()


if __name__ == "__main__":
    typer.run(main)
