"""The command of the audit trail: its records, exports, the report to sign, and the proof of the chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from shared.cli.client import Client
from shared.cli.operations import AsJson
from shared.cli.recovery import write_file
from shared.cli.terminal import cell, notes, out, print_bytes, print_facts, print_json, print_table, say, table

app = typer.Typer()

SHOWN_DAYS = 7
IN_PAGE = 5_000
_COLUMNS = ("sequence", "time", "actor", "action", "object", "result")


class Form(StrEnum):
    """How records are shown or written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    JSONL = "jsonl"
    HTML = "html"


@app.command()
def audit(
    context: typer.Context,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="From this day or time (UTC).")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="To this day, or before this time.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this person did; `system` is the backup itself.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this act, such as `restored`.")] = None,
    form: Annotated[Form, typer.Option("--format", help="`html` is a report of the period to sign.")] = Form.TABLE,
    output: Annotated[Path | None, typer.Option(help="Write to this file.")] = None,
    pseudonymise: Annotated[bool, typer.Option("--pseudonymise", help="People's names as pseudonyms.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Prove the chain; ends with 1 if it does not hold.")] = False,
    as_json: AsJson = False,
) -> None:
    """What was done, by whom, and whether the trail holds. A table shows the last week, unless --from is given."""
    client: Client = context.obj
    if verify:
        _verify(client, as_json)
        return
    asked = {
        "from": start,
        "to": end,
        "actor": actor,
        "action": action,
        "pseudonymise": "true" if pseudonymise else None,
    }
    query = {name: value for name, value in asked.items() if value}
    if form is Form.TABLE and not as_json and output is None:
        _show(client, query)
        return
    chosen = Form.JSON if form is Form.TABLE else form
    _write(b"".join(_exported(client, query, chosen)), output)


def _verify(client: Client, as_json: bool) -> None:
    after: str | None = None
    records = 0
    with notes.status("proving the audit trail"):
        while True:
            found = client.call("GET", "audit/verify", params={"after": after} if after else {})
            records += found["records"]
            after = found["next"]
            if after is None:
                break
    if as_json:
        print_json({**found, "records": records})
    else:
        _tell(found, records)
    raise typer.Exit(0 if found["intact"] else 1)


def _tell(found: dict[str, Any], records: int) -> None:
    fault = found["fault"]
    if fault is None:
        out.print(cell(f"The audit trail holds: {records} records.", "green"))
    elif fault["first_bad"] is None:
        out.print(cell(f"The audit trail does not hold: {fault['detail']}", "red"))
    else:
        told = f"The audit trail does not hold: it is {fault['kind']}, the first bad record is {fault['first_bad']}."
        out.print(cell(told, "red"))
    head = found["head"] or {}
    print_facts(
        {
            "last that holds": head.get("sequence"),
            "its hash": head.get("hash"),
            "anchors compared": found["anchors"],
            "last anchor that holds": found["anchored"],
            "anchors out of reach": found["out_of_reach"] or None,
            "commits declared foreign": found["foreign"] or None,
            "commits that name a head and are not the backup's": found["strange"] or None,
        }
    )
    for one in found["against"]:
        _tell_against(one)


def _tell_against(one: dict[str, Any]) -> None:
    """An anchor that the trail does not hold to, with what names it."""
    where = [*(["an immutable blob"] if one["kept"] else []), *(f"commit {commit}" for commit in one["commits"])]
    say(f"Another record {one['sequence']} is named by {', '.join(where)}.")
    if one["commits"] and not one["kept"]:
        say("Where the backup did not make such a commit: docs/runbooks.md, verification-failed.")


def _show(client: Client, query: dict[str, str]) -> None:
    if "from" not in query:
        week = datetime.now(UTC).date() - timedelta(days=SHOWN_DAYS)
        query = {"from": week.isoformat(), **query}
    shown = table(*_COLUMNS)
    for record in _records(client, query):
        shown.add_row(*(cell(record[name][:19] if name == "time" else record[name]) for name in _COLUMNS))
    print_table(shown)
    if not shown.row_count:
        say(f"Nothing was recorded from {query['from']} on that matches.")


def _records(client: Client, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Every record, page after page."""
    after: int | None = 0
    while after is not None:
        answer = client.call("GET", "audit", params={**query, "limit": IN_PAGE, "after": after})
        yield from answer["records"]
        after = answer["next"]


def _exported(client: Client, query: dict[str, str], form: Form) -> Iterator[bytes]:
    """An export, whole: the pages of CSV have one header between them."""
    if form is Form.JSON:
        yield json.dumps(list(_records(client, query)), indent=2).encode() + b"\n"
        return
    after, first = "0", True
    while after:
        page = {"limit": str(IN_PAGE), "after": after} if form is not Form.HTML else {}
        answer = client.fetch("GET", "audit", params={**query, "format": form.value, **page})
        yield answer.content if first or form is Form.JSONL else answer.content.partition(b"\r\n")[2]
        after, first = answer.headers.get("X-Audit-Next", ""), False


def _write(data: bytes, output: Path | None) -> None:
    if output is None:
        print_bytes(data)
        return
    write_file(output, data)
    say(f"{len(data)} bytes written to {output}")
