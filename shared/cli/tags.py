"""The commands `tag` and `tags`."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.cli import shown
from shared.cli.operations import AsJson
from shared.cli.terminal import cell, print_table, say, table

app = typer.Typer()


@app.command()
def tag(
    context: typer.Context,
    name: str,
    message: Annotated[str, typer.Option("--message", "-m", help="What the tag is for.")] = "",
    at: Annotated[str, typer.Option(metavar="REV|DATE", help="A commit, a date, a time, or `latest`.")] = "latest",
    as_json: AsJson = False,
) -> None:
    """Mark the backup as of a moment with an annotated tag NAME; a tag is never moved."""
    made = context.obj.call("POST", "tags", json={"name": name, "message": message, "at": at})
    shown.print_answer(made, as_json, lambda: say(f"{made['name']} marks {made['commit'][:12]}"))


@app.command()
def tags(context: typer.Context, as_json: AsJson = False) -> None:
    """The tags of the repository. Restore one with `./backup restore PATH --tag NAME`."""
    answer = context.obj.call("GET", "tags")
    shown.print_answer(answer, as_json, lambda: _show(answer))


def _show(answer: shown.Json) -> None:
    rows = table("tag", "", "commit", "made", "message")
    for one in answer["tags"]:
        when = (one["tagged_at"] or "")[:16].replace("T", " ")
        rows.add_row(*map(cell, (one["name"], one["kind"] or "by hand", one["commit"][:12], when, one["message"])))
    print_table(rows)
    if answer["error"]:
        say(f"The last tag that was due could not be made: {answer['error']}", "yellow")
