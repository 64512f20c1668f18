"""Commands that tell what changed: report."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shared.cli import shown
from shared.cli.client import Client
from shared.cli.operations import AsJson
from shared.cli.recovery import write_file
from shared.cli.terminal import cell, out, print_bytes, print_json, print_table, say, table

app = typer.Typer()
MOST_ROWS = 40
GROUPS = (("person", "people", "name"), ("team", "teams", "team"), ("folder", "folders", "folder"))
REASONS = {
    "limit": "over the limit of one report. Choose a shorter period or a folder.",
    "unreadable": "the repository did not give their contents. Run `./backup verify`.",
}


class Format(StrEnum):
    """How a report is given."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    HTML = "html"


@app.command()
def report(
    context: typer.Context,
    date: Annotated[str | None, typer.Option(metavar="DATE", help="One day in UTC.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="The first day.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The last day; else today.")] = None,
    author: Annotated[str | None, typer.Option(help="Only changes by this person: a mail, a name, `unknown`.")] = None,
    team: Annotated[str | None, typer.Option(help="Only changes by this team.")] = None,
    folder: Annotated[str | None, typer.Option(help="Only notebooks below this workspace folder.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is given.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """What changed: by person, team, folder and kind, with lines. Without a date, the last day with a change."""
    if date is not None and (first is not None or last is not None):
        raise typer.BadParameter("--date goes without --from and --to")
    given = {"from": date or first, "to": date or last, "author": author, "team": team, "folder": folder}
    query = {name: value for name, value in given.items() if value is not None}
    _give(context.obj, query, Format.JSON if as_json else form, output)


def _give(client: Client, query: dict[str, str], form: Format, output: Path | None) -> None:
    if form is Format.TABLE:
        if output is not None:
            raise typer.BadParameter("--output needs --format csv, json or html")
        _show(client.call("GET", "reports/changes", params=query))
        return
    data = client.fetch("GET", "reports/changes", params={**query, "format": form.value}).content
    if output is not None:
        write_file(output, data)
        say(f"{len(data)} bytes written to {output}")
    elif form is Format.JSON:
        print_json(json.loads(data))
    else:
        print_bytes(data)


def _show(answer: shown.Json) -> None:
    totals = answer["totals"]
    out.print(cell(f"Notebook changes, {answer['period']} (UTC)", "bold"), soft_wrap=True)
    if not totals["changes"]:
        out.print("No notebook changed.")
        return
    out.print(cell(f"{shown.many(totals['changes'], 'change')}: {_kinds(totals)}; lines {_lines(totals)}"))
    for header, name, key in GROUPS:
        rows = table(header, "changes", "notebooks", "lines", "kinds", box=False)
        for group in answer[name][:MOST_ROWS]:
            numbers = (str(group["changes"]), str(group["notebooks"]), _lines(group), _kinds(group))
            rows.add_row(cell(group[key] if group[key] is not None else "no team"), *numbers)
        print_table(rows)
        if len(answer[name]) > MOST_ROWS:
            say(f"and {len(answer[name]) - MOST_ROWS} more, in full with --json")
    _changes(answer)


def _changes(answer: shown.Json) -> None:
    rows = table("notebook", "kind", "by", "lines", "backed up (UTC)", "version", box=False)
    for change in answer["changes"][:MOST_ROWS]:
        lines = "" if change["added"] is None else f"+{change['added']} -{change['removed']}"
        what = (cell(change["path"]), shown.kind(change), cell(change["person"]), lines)
        when = change["committed_at"][:16].replace("T", " ")
        rows.add_row(*what, when, change["commit"][: shown.COMMIT_CHARACTERS])
    print_table(rows)
    more = answer["totals"]["changes"] - min(len(answer["changes"]), MOST_ROWS)
    if more:
        say(f"and {shown.many(more, 'more change')}, in full with --format csv")
    for reason, count in answer["without_lines"].items():
        if count:
            say(f"The lines of {shown.many(count, 'change')} are not counted: {REASONS[reason]}", "yellow")


def _kinds(tally: shown.Json) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in tally["kinds"].items())


def _lines(tally: shown.Json) -> str:
    return f"+{tally['added']} -{tally['removed']}"
