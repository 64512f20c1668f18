"""The commands `gitfolder plan`, `convert`, `rollback` and `status`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.text import Text

from shared.cli.client import Client
from shared.cli.operations import AsJson
from shared.cli.terminal import cell, notes, out, print_facts, print_json, print_table, say, table
from shared.domain.sizes import size_text

app = typer.Typer(no_args_is_help=True, help="Git folders: plan, convert, roll back, and how they stand.")
POLL_SECONDS = 0.5
COLOURS = {"converted": "green", "rolled_back": "cyan", "unchanged": "", "refused": "yellow", "stale": "yellow"}
Folders = Annotated[list[str] | None, typer.Argument(metavar="FOLDER...", help="Workspace folders.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them.")]

type Json = dict[str, Any]


@app.command()
def plan(context: typer.Context, as_json: AsJson = False) -> None:
    """Which folders become Git folders, what stays plain and why, what would be lost. Ends with 1 if it is blocked."""
    answer = _carried_out(context.obj, {"kind": "plan"})
    found = answer["plan"]
    if as_json:
        print_json(found or answer)
    elif found:
        _show_plan(found)
    else:
        say(str(answer["error"]), "red")
    raise typer.Exit(0 if found and not found["blocks"] else 1)


@app.command()
def convert(
    context: typer.Context,
    folders: Folders = None,
    everything: Everything = False,
    accept_losses: Annotated[
        bool, typer.Option("--accept-losses", help="Convert folders that hold what does not come into Git.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make Git folders of folders, a pilot first. Ends with 1 if one of them came to another end."""
    _work(context.obj, "convert", folders, everything, as_json, accept_losses=accept_losses)


@app.command()
def rollback(
    context: typer.Context, folders: Folders = None, everything: Everything = False, as_json: AsJson = False
) -> None:
    """Make plain folders again of Git folders, exactly, with what people edited in them since."""
    _work(context.obj, "rollback", folders, everything, as_json)


@app.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Every folder that has a branch, and the newest operations."""
    answer = context.obj.call("GET", "git-folders")
    if as_json:
        print_json(answer)
        return
    if not answer["folders"] and not answer["operations"]:
        say("No Git folder yet. Look at `./backup gitfolder plan`, then convert one folder as a pilot.")
        return
    shown = table("folder", "state", "stands", "branch", "notebooks", "set aside at", "what is wrong")
    for folder in answer["folders"]:
        names = (folder["path"], folder["state"], _stands(folder), folder["branch"], folder["notebooks"] or None)
        shown.add_row(*map(cell, (*names, folder["aside"], folder["problem"] or folder["error"])))
    print_table(shown)
    for operation in answer["operations"]:
        counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in operation["counts"].items() if n)
        told = f"{operation['kind']} {operation['status']} {counts} {operation['error'] or ''}"
        out.print(Text.assemble(cell(f"{operation['id']} "), cell(told)), soft_wrap=not out.file.isatty())


def _stands(folder: Json) -> str:
    """Where a converted folder stands beside its branch."""
    words = {"switched": "switched to", "detached": "detached at", "own_commits": "at a commit of its own,"}
    if folder["state"] != "converted" or not folder["standing"]:
        return ""
    standing = words.get(folder["standing"], folder["standing"].replace("_", " "))
    return f"{standing} {folder['standing_detail'] or ''}".strip()


def _work(
    client: Client, kind: str, folders: list[str] | None, everything: bool, as_json: bool, **options: bool
) -> None:
    if bool(folders) == everything:
        say("Name folders, or --all.", "red")
        raise typer.Exit(2)
    answer = _carried_out(client, {"kind": kind, "folders": folders or [], "all": everything, **options})
    if as_json:
        print_json(answer)
    else:
        shown = table("folder", "", "why")
        for row in answer["outcomes"]:
            outcome = cell(row["outcome"].replace("_", " "), COLOURS.get(row["outcome"], "red"))
            shown.add_row(cell(row["path"]), outcome, cell(row["reason"]))
        print_table(shown)
        print_facts({"status": answer["status"], "error": answer["error"]})
    raise typer.Exit(0 if answer["status"] == "succeeded" else 1)


def _carried_out(client: Client, body: Json) -> Json:
    """Start an operation and follow it to its end."""
    answer: Json = client.call("POST", "git-folders/operations", json=body)
    with notes.status("") as line:
        while answer["status"] == "running":
            waiting = f", waiting for {answer['waiting_for']}" if answer["waiting_for"] else ""
            line.update(cell(f"{answer['kind']} {answer['id']}: {answer['percent']:.1f} %{waiting}"))
            time.sleep(POLL_SECONDS)
            answer = client.call("GET", f"git-folders/operations/{answer['id']}")
    return answer


def _show_plan(plan: Json) -> None:
    totals, limits = plan["totals"], plan["limits"]
    shown = table("becomes a Git folder", "branch", "notebooks", "size", "would be lost")
    for folder in plan["folders"]:
        lost = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in folder["lost"].items())
        row = (folder["path"], folder["branch"], folder["notebooks"], size_text(folder["bytes"]), lost)
        shown.add_row(*map(cell, row))
    print_table(shown)
    if plan["plain"]:
        stays = table("stays plain", "notebooks", "why", "what to do")
        for folder in plan["plain"]:
            stays.add_row(*(cell(folder[name]) for name in ("path", "notebooks", "why", "do")))
        print_table(stays)
    print_facts(
        {
            "Git folders": f"{totals['folders']:,} with {totals['notebooks']:,} notebooks",
            "stay plain": f"{totals['plain']:,} notebooks" if totals["plain"] else None,
            "already": f"{len(plan['existing'])} Git folders" if plan["existing"] else None,
            "limits of each": f"{limits['notebooks']:,} notebooks, {size_text(limits['bytes'])}",
        }
    )
    for told in plan["lost"]:
        out.print(Text.assemble("lost everywhere: ", cell(told)), soft_wrap=not out.file.isatty())
    for block in plan["blocks"]:
        say(f"{block['code']}: {block['text']}", "red")
