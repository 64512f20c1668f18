"""Commands that restore: restore, restores, notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import quote

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from shared.cli import shown
from shared.cli.client import Client
from shared.cli.operations import AsJson
from shared.cli.recovery import Tagged, complete_path, write_file
from shared.cli.restore_notebook import make_notebook
from shared.cli.shown import Json
from shared.cli.terminal import notes, out, print_json, say
from shared.domain.tags import AT_PREFIX

app = typer.Typer()
POLL_SECONDS = 0.3
MOST_ITEMS = 1_000
WRITING = ("create", "overwrite", "remove")
PLANNING = ("planning", ("running",))
RESTORING = ("restoring", ("running", "planned"))
"""What a bar is called, and the statuses in which the restore goes on."""
_UNDO_ALONE = (
    "--undo ID says by itself what to put back: leave out PATH, --at, --folder, --to, --suffix and --remove-extra. "
    "It goes with --dry-run, --force, --yes and --json."
)


@app.command()
def restore(
    context: typer.Context,
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH...", autocompletion=complete_path)] = None,
    at: Annotated[str | None, typer.Option(metavar="REV|DATE", help="As of when.")] = None,
    tag: Tagged = None,
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
    where: Json = {"target": to, "suffix": suffix, "remove_extra": remove_extra}
    if tag and at is not None:
        _refuse("Give either --at or --tag.")
    at = f"{AT_PREFIX}{tag}" if tag else at
    undoes = undo is not None
    if undoes and (not undo or paths or at is not None or folder or any(where.values())):
        _refuse(_UNDO_ALONE)
    route = f"{_one(undo)}/undo" if undo else "restores"
    body: Json = {"force": force, **({} if undoes else _wanted(paths or [], at, folder, where))}
    client: Client = context.obj
    plan = _follow(client, client.call("POST", route, json={**body, "dry_run": True}), PLANNING, show=not as_json)
    plan = {**plan, "items": _plan_items(client, plan, whole=as_json and dry_run)}
    if dry_run or plan["status"] != "planned":
        shown.print_answer(plan, as_json, lambda: shown.plan(plan))
        raise typer.Exit(0 if plan["status"] == "planned" else 1)
    if not (as_json and yes):
        shown.plan(plan, notes if as_json else out)
    _confirm(plan, yes)
    # The commit that the plan found: `latest` may be another by now.
    body |= {} if undoes else {"plan": plan["id"], "at": plan["commit"]}
    _carry_out(client, client.call("POST", route, json=body), as_json)


@app.command()
def restores(
    context: typer.Context,
    restore_id: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest restores, or one with its notebooks."""
    client: Client = context.obj
    if restore_id:
        one = client.call("GET", _one(restore_id), params={"limit": MOST_ITEMS})
        if as_json:
            one = _whole(client, one)
        shown.print_answer(one, as_json, lambda: _show_one(client, one))
        return
    answer = client.call("GET", "restores", params={"limit": limit})
    shown.print_answer(answer, as_json, lambda: shown.restores(answer["restores"]))


@app.command()
def notebook(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("restore_from_backup.py"),
    as_json: AsJson = False,
) -> None:
    """Write a notebook that people import into their workspace to restore from there."""
    write_file(output, make_notebook(context.obj.url).encode())
    if as_json:
        print_json({"file": str(output), "url": context.obj.url})
    say(f"{output} is written: import it into the workspace, and give it a secret scope with a function key.")


def _one(restore_id: str) -> str:
    return f"restores/{quote(restore_id, safe='')}"


def _wanted(paths: list[str], at: str | None, folder: bool, where: Json) -> Json:
    """What a restore's body says of what, as of when, and where to."""
    if not paths or not at:
        _refuse("Say what to restore and as of when: ./backup restore PATH --at 2026-11-24")
    rest = {"at": at, **{name: value for name, value in where.items() if value is not None}}
    if not (folder or any(path.endswith("/") for path in paths)):
        return {"paths": paths, **rest}
    if len(paths) > 1:
        _refuse("One folder at a time.")
    return {"folder": paths[0].rstrip("/") or "/", **rest}


def _refuse(message: str) -> NoReturn:
    say(message, "red")
    raise typer.Exit(2)


def _confirm(plan: Json, yes: bool) -> None:
    writes = sum(plan["counts"][name] for name in WRITING)
    if yes or not writes:
        return
    if not sys.stdin.isatty():
        _refuse("Nothing was changed: there is no terminal to ask on. Pass --yes to restore.")
    if not typer.confirm(f"Write or remove {shown.many(writes, 'notebook')} in the workspace?", err=True):
        say("Nothing was changed.")
        raise typer.Exit(1)


def _pages(client: Client, restore_id: str, first: list[Json] | None = None, **query: str) -> Iterator[list[Json]]:
    """A restore's notebooks, page by page; `first` is the first page where it was read already."""
    offset = 0
    page = first
    while True:
        if page is None:
            params = {**query, "limit": MOST_ITEMS, **({"offset": offset} if offset else {})}
            page = client.call("GET", _one(restore_id), params=params)["items"]
        yield page
        if len(page) < MOST_ITEMS:
            return
        offset, page = offset + len(page), None


def _whole(client: Client, one: Json) -> Json:
    """A restore with all its notebooks, of which `one` holds the first page."""
    return {**one, "items": [item for page in _pages(client, one["id"], one["items"]) for item in page]}


def _plan_items(client: Client, plan: Json, *, whole: bool) -> list[Json]:
    """A plan's notebooks: all, or as many as hold each that it refuses."""
    items: list[Json] = plan["items"]
    if len(items) >= shown.planned(plan):
        return items
    items = []
    for page in _pages(client, plan["id"]):
        items += page
        if not whole and sum(item["action"] == "refuse" for item in items) >= plan["counts"]["refuse"]:
            break
    return items


def _carry_out(client: Client, done: Json, as_json: bool) -> None:
    """Follow a restore to its end, say what came of it, and end the command."""
    try:
        done = _follow(client, done, RESTORING, show=not as_json)
    except (KeyboardInterrupt, typer.Exit):
        say(f"The restore goes on by itself: see `./backup restores {done['id']}`. {shown.undo_later(done)}")
        raise
    if as_json:
        done = _whole(client, client.call("GET", _one(done["id"]), params={"limit": MOST_ITEMS}))
    shown.print_answer(done, as_json, lambda: shown.result(done, _bad(client, done)))
    raise typer.Exit(0 if done["status"] == "succeeded" else 1)


def _follow(client: Client, found: Json, step: tuple[str, tuple[str, ...]], *, show: bool) -> Json:
    """Poll a restore until it is over, with a live bar on standard error."""
    title, going = step
    if found["status"] not in going:
        return found
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>5.1f} %  {task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes, disable=not show) as bar:
        task = bar.add_task(title, total=100, count="")
        while found["status"] in going:
            time.sleep(POLL_SECONDS)
            found = client.call("GET", _one(found["id"]), params={"limit": 1})
            bar.update(task, completed=found["percent"], count=shown.progress(found))
    return found


def _bad(client: Client, done: Json) -> list[Json]:
    """The notebooks of a restore that are not as it meant them, on however many pages."""
    bad: list[Json] = []
    for outcome in ("refused", "failed"):
        if done["counts"][outcome]:
            bad += [item for page in _pages(client, done["id"], outcome=outcome) for item in page]
    return bad


def _show_one(client: Client, one: Json) -> None:
    if one["dry_run"] and one["status"] == "planned":
        shown.plan({**one, "items": _plan_items(client, one, whole=False)})
        return
    shown.items(one["items"], shown.planned(one))
    shown.result(one, _bad(client, one))
