"""Commands that run the backup: sync, status, runs, verify, rebuild."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from shared.cli.client import Client
from shared.cli.terminal import cell, notes, out, print_facts, print_json, print_table, table

app = typer.Typer()

MOST_SHOWN = 20
POLL_SECONDS = 0.3
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def sync(
    context: typer.Context,
    wait: Annotated[bool, typer.Option(help="Follow the run to its end.")] = True,
    retry: Annotated[str | None, typer.Option(metavar="RUN", help="Take just the failures of this run again.")] = None,
    confirm: Annotated[
        str | None, typer.Option("--confirm-deletions", metavar="RUN", help="Remove what this run held back.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Back up now. Ends with 0 if the run succeeded, 1 if it is partial or failed."""
    asked = {"retry": retry, "confirm_deletions": confirm}
    run_id = context.obj.call("POST", "runs", json={n: v for n, v in asked.items() if v})["run_id"]
    if not wait:
        _show({"run_id": run_id, "status": "running"}, as_json)
        return
    run = follow(context.obj, run_id, show=not as_json)
    _show(run, as_json)
    raise typer.Exit(0 if run["status"] == "succeeded" else 1)


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """The run under way with its progress, and the last one that ended."""
    answer = context.obj.call("GET", "status")
    if as_json:
        print_json(answer)
        return
    for title in ("active", "last"):
        if answer[title]:
            out.rule(f"{title} run")
            _show(_with_findings(context.obj, answer[title]), as_json=False)
    if not (answer["active"] or answer["last"]):
        out.print("No run yet. Start one with `./backup sync`.")
    if answer["publication"]:
        _show_publication(answer["publication"])


def _show_publication(told: dict[str, Any]) -> None:
    """Where a protected branch stands beside the backup."""
    out.rule(f"published to {told['target']}")
    number = told["pull_request"]
    request = f"pull request {number} {told['status']} ({told['page']})" if number else None
    print_facts({"last": request, "since": told["since"], "reached": told["published"], "at": told["published_at"]})


def _with_findings(client: Client, run: dict[str, Any]) -> dict[str, Any]:
    """A run with what it could not bring in, where its summary says that there is any."""
    if "failures" in run or run["status"] == "succeeded":
        return run
    return client.call("GET", f"runs/{run['run_id']}")


@app.command()
def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest runs."""
    answer = context.obj.call("GET", "runs", params={"limit": limit})
    if as_json:
        print_json(answer)
        return
    names = ("run_id", "status", "notebooks", "planned", "failed", "seconds")
    shown = table("run", *names[1:], "commit")
    for run in answer["runs"]:
        shown.add_row(*(cell(run[name]) for name in names), cell((run["commit"] or "")[:12]))
    print_table(shown)


@app.command()
def verify(context: typer.Context, as_json: AsJson = False) -> None:
    """Have the backup prove its contents. Ends with 1 if something is not as it must be."""
    _maintain(context.obj, "verifications", as_json)


@app.command()
def rebuild(context: typer.Context, as_json: AsJson = False) -> None:
    """Make manifest and checkpoint again from Git and a listing, where they were lost or damaged."""
    _maintain(context.obj, "rebuilds", as_json)


def _maintain(client: Client, route: str, as_json: bool) -> None:
    identity = client.call("POST", route)["id"]
    with notes.status(f"{route.removesuffix('s')} {identity}"):
        while (answer := client.call("GET", f"{route}/{identity}"))["status"] in ("queued", "running"):
            time.sleep(POLL_SECONDS)
    if as_json:
        print_json(answer)
    else:
        _show_maintenance(answer)
    raise typer.Exit(0 if answer["status"] == "passed" else 1)


def _show_maintenance(answer: dict[str, Any]) -> None:
    plain_values = {n: v for n, v in answer.items() if isinstance(v, str | int) and not isinstance(v, bool)}
    print_facts({n: v or None for n, v in plain_values.items()})
    _show_findings(answer)


def follow(client: Client, run_id: str, *, show: bool, interval_seconds: float = 0.5) -> dict[str, Any]:
    """Poll a run until it is over, with a live bar on standard error; returns its last answer."""
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.percentage:>5.1f} %  {task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes, disable=not show) as bar:
        task = bar.add_task("starting", total=100, rate="")
        while True:
            run = client.call("GET", f"runs/{run_id}")
            shown = run["progress"]
            rate = f"{shown['notebooks_per_second']:.0f} notebooks/s" if shown["notebooks_per_second"] else ""
            bar.update(task, completed=shown["percent"], description=run["phase"], rate=rate)
            if run["status"] != "running":
                return run
            time.sleep(interval_seconds)


def _show(run: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(run)
        return
    names = ("run_id", "status", "phase", "notebooks", "planned", "failed", "seconds", "commit", "error")
    counts = {kind: count for kind, count in run.get("counts", {}).items() if count and kind != "listed"}
    print_facts({name: run.get(name) for name in names} | counts)
    _show_findings(run)


def _show_findings(answer: dict[str, Any]) -> None:
    for name, colour in (("failures", "yellow"), ("notices", "cyan")):
        for found in answer.get(name, [])[:MOST_SHOWN]:
            told = cell(f" {found['path']}: {found['reason']}")
            out.print(Text.assemble("  ", cell(found["code"], colour), told), soft_wrap=not out.file.isatty())
        if len(answer.get(name, [])) > MOST_SHOWN:
            least = "at least " if answer.get("next") else ""
            out.print(f"  and {least}{len(answer[name]) - MOST_SHOWN} {name} more, in full with --json")
