"""Commands of recovery: find, tree, history, show, diff, restore, restores, notebook."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import requests
import typer
from rich.syntax import Syntax

from shared.cli import shown
from shared.cli.client import Client, find_client, notes, out
from shared.cli.operations import AsJson
from shared.cli.restore_notebook import make_notebook

app = typer.Typer()
POLL_SECONDS = 0.3
COMPLETION_SECONDS = 2
LEXERS = {"PYTHON": "python", "SQL": "sql", "SCALA": "scala", "R": "r"}


def complete_path(context: typer.Context, incomplete: str) -> list[str]:
    """Paths of the backup that go on from what was typed; none where the app does not answer."""
    options = context.find_root().params
    client = find_client(options.get("url"), options.get("key"))
    folder = incomplete.rpartition("/")[0]
    try:
        answer = client.complete("tree", {"path": folder} if folder else {}, COMPLETION_SECONDS)
    except (requests.RequestException, ValueError):
        return []
    found = [f"{f['path']}/" for f in answer.get("folders", [])] + [n["path"] for n in answer.get("notebooks", [])]
    return [path for path in found if path.startswith(incomplete)]


NotebookPath = Annotated[str, typer.Argument(metavar="PATH", autocompletion=complete_path)]
At = Annotated[str, typer.Option(metavar="REV|DATE", help="A commit, a date, a time, `latest`, or `live`.")]


@app.command()
def find(
    context: typer.Context,
    text: str,
    deleted: Annotated[bool, typer.Option(help="Only notebooks that are gone.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """Notebooks whose path holds TEXT."""
    query = {"q": text, "limit": limit, "deleted": str(deleted).lower()}
    answer = context.obj.call("GET", "notebooks", params=query)
    shown.print_answer(answer, as_json, lambda: shown.notebooks(answer["notebooks"]))


@app.command()
def tree(
    context: typer.Context,
    path: Annotated[str | None, typer.Argument(autocompletion=complete_path)] = None,
    at: At = "latest",
    as_json: AsJson = False,
) -> None:
    """What a folder held."""
    query = {"at": at, **({"path": path} if path else {})}
    answer = context.obj.call("GET", "tree", params=query)
    shown.print_answer(answer, as_json, lambda: shown.tree(answer))


@app.command()
def history(
    context: typer.Context,
    path: NotebookPath,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    as_json: AsJson = False,
) -> None:
    """The versions of a notebook, the newest first; deleted and renamed ones too."""
    answer = context.obj.call("GET", "versions", params={"path": path, "limit": limit})
    shown.print_answer(answer, as_json, lambda: shown.versions(answer))


@app.command()
def show(
    context: typer.Context,
    path: NotebookPath,
    at: At = "latest",
    output: Annotated[Path | None, typer.Option(help="Write the bytes to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The content of any version: with colours on a terminal, else its bytes unchanged."""
    query = {"path": path, "at": at}
    if as_json or (output is None and out.is_terminal):
        answer = context.obj.call("GET", "content", params=query, headers={"Accept": "application/json"})
        syntax = Syntax(shown.plain(answer["content"], newlines=True), LEXERS[answer["language"]], line_numbers=True)
        shown.print_answer(answer, as_json, lambda: out.print(syntax))
        return
    data = context.obj.fetch("GET", "content", params=query).content
    if output is not None:
        output.write_bytes(data)
        notes.print(f"{len(data)} bytes written to {output}")
    else:
        sys.stdout.buffer.write(data)


@app.command()
def diff(
    context: typer.Context,
    path: NotebookPath,
    before: Annotated[str, typer.Option("--from", metavar="REV|DATE")] = "latest",
    after: Annotated[str, typer.Option("--to", metavar="REV|DATE")] = "live",
    as_json: AsJson = False,
) -> None:
    """What differs between two versions. Ends with 0 where they are equal, with 1 where they are not."""
    answer = context.obj.call("GET", "diff", params={"path": path, "from": before, "to": after})
    shown.print_answer(answer, as_json, lambda: shown.difference(answer))
    raise typer.Exit(0 if answer["equal"] else 1)


@app.command()
def restore(
    context: typer.Context,
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH...", autocompletion=complete_path)] = None,
    at: Annotated[str | None, typer.Option(metavar="REV|DATE", help="As of when.")] = None,
    folder: Annotated[bool, typer.Option("--folder", help="PATH is a folder; so it is where it ends in /.")] = False,
    to: Annotated[str | None, typer.Option(metavar="FOLDER", help="Restore beside, below this folder.")] = None,
    suffix: Annotated[str, typer.Option(help="Restore beside, with this added to each name.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, change nothing.")] = False,
    remove_extra: Annotated[
        bool, typer.Option("--remove-extra", help="With a folder: remove what did not exist then.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite also what was edited meanwhile.")] = False,
    undo: Annotated[str | None, typer.Option(metavar="ID", help="Put back what that restore replaced.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Restore notebooks, a folder, or everything: the plan first, then a question, then the proof."""
    route, client = "restores", context.obj
    body: dict[str, Any] = {"force": force}
    if undo:
        route = f"restores/{quote(undo, safe='')}/undo"
    else:
        body |= _body(paths or [], at, folder) | {"suffix": suffix, "remove_extra": remove_extra}
        body |= {"target": to} if to else {}
    plan = _follow(client, client.call("POST", route, json={**body, "dry_run": True}), show=not as_json)
    if dry_run or plan["status"] != "planned":
        shown.print_answer(plan, as_json, lambda: shown.plan(plan))
        raise typer.Exit(0 if plan["status"] == "planned" else 1)
    if not as_json:
        shown.plan(plan)
    _confirm(plan, yes)
    # The commit that the plan found: `latest` may be another by now.
    body = body if undo else {**body, "plan": plan["id"], "at": plan["commit"]}
    done = _follow(client, client.call("POST", route, json=body), show=not as_json)
    shown.print_answer(done, as_json, lambda: shown.result(done))
    raise typer.Exit(0 if done["status"] == "succeeded" else 1)


@app.command()
def restores(
    context: typer.Context,
    restore_id: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest restores, or one with its notebooks."""
    if restore_id:
        one = context.obj.call("GET", f"restores/{quote(restore_id, safe='')}", params={"limit": 1000})
        shown.print_answer(one, as_json, lambda: shown.result(one))
        return
    answer = context.obj.call("GET", "restores", params={"limit": limit})
    shown.print_answer(answer, as_json, lambda: shown.restores(answer["restores"]))


@app.command()
def notebook(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("restore_from_backup.py"),
) -> None:
    """Write a notebook that people import into their workspace to restore from there."""
    output.write_text(make_notebook(context.obj.url))
    notes.print(f"{output} is written: import it into the workspace, and give it a secret scope with a function key.")


def _body(paths: list[str], at: str | None, folder: bool) -> dict[str, Any]:
    if not paths or at is None:
        notes.print("Say what to restore and as of when: ./backup restore PATH --at 2026-11-24")
        raise typer.Exit(2)
    if folder or (len(paths) == 1 and paths[0].endswith("/")):
        if len(paths) > 1:
            notes.print("One folder at a time.")
            raise typer.Exit(2)
        return {"folder": paths[0].rstrip("/"), "at": at}
    return {"paths": paths, "at": at}


def _confirm(plan: dict[str, Any], yes: bool) -> None:
    counts = plan["counts"]
    writes = counts["create"] + counts["overwrite"] + counts["remove"]
    if yes or not writes:
        return
    if not sys.stdin.isatty():
        notes.print("Nothing was changed: there is no terminal to ask on. Pass --yes to restore.")
        raise typer.Exit(2)
    if not typer.confirm(f"Write {writes} notebooks?", err=True):
        notes.print("Nothing was changed.")
        raise typer.Exit(2)


def _follow(client: Client, found: dict[str, Any], *, show: bool) -> dict[str, Any]:
    """Poll a restore until it is over, with a line on standard error."""
    with notes.status("planning and restoring", spinner="line") if show else shown.nothing():
        while found["status"] == "running":
            time.sleep(POLL_SECONDS)
            found = client.call("GET", f"restores/{found['id']}", params={"limit": 1000})
    return found
