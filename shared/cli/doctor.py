"""The command that checks everything: from this machine the way to the app, then what the app checks where it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import requests
import typer

from shared.cli.client import Client
from shared.cli.operations import AsJson
from shared.cli.sign_in import token_command
from shared.cli.terminal import cell, notes, print_json, print_table, table

app = typer.Typer()

ASK_SECONDS = 20.0
APP_SECONDS = 110.0
MOST_SKEW_SECONDS = 60.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
RIGHTS = {"status": "read", "audit?limit=1": "read the audit trail", "poison": "operate"}
"""A route that asks for each right."""
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}
type Row = dict[str, Any]


@app.command()
def doctor(
    context: typer.Context,
    here: Annotated[bool, typer.Option("--here", help="Only what can be checked from this machine.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the way to the app, and every system, right and setting that it needs. Ends with 1 if a check fails."""
    client: Client = context.obj
    with notes.status("looking at everything"):
        rows = list(_from_here(client))
        reached = all(row["ok"] for row in rows)
        if reached and not here:
            rows += _from_app(client)
    if as_json:
        print_json(rows)
    else:
        _show(rows)
    raise typer.Exit(0 if all(row["ok"] for row in rows) else 1)


def _show(rows: list[Row]) -> None:
    shown = table("check", "", "detail", "what to do")
    for row in rows:
        told = cell(row["level"], _COLOURS[row["level"]])
        shown.add_row(cell(row["name"]), told, cell(row["detail"]), cell(row["remedy"]))
    print_table(shown)


def _row(name: str, level: str, detail: str, remedy: str | None = None) -> Row:
    return {"name": name, "level": level, "ok": level != "failed", "detail": detail, "remedy": remedy}


def _from_here(client: Client) -> Iterator[Row]:
    """Address, clock, sign-in and rights, each only where the one before leaves a way."""
    if urlsplit(client.url).scheme != "https" and urlsplit(client.url).hostname not in LOOPBACK:
        yield _row(
            "address", "failed", f"{client.url} is not https", "pass --url https://...: a key goes over TLS alone"
        )
        return
    began = time.monotonic()
    try:
        health = client.ask("health", ASK_SECONDS)
    except requests.RequestException as error:
        yield _row("address", "failed", f"{client.url}: {_why(error)}", _way_out(error))
        return
    took = time.monotonic() - began
    if health.status_code != 200:
        told = f"the app is there, and answers {health.status_code}"
        yield _row("address", "failed", told, "look at the app's log: a setting is missing or wrong, or it starts up")
        return
    yield _row("address", "ok", f"{client.url} answers in {took:.1f} s")
    yield _clock(health)
    yield from _rights(client)


def _why(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here"
    return "no answer in time" if isinstance(error, requests.Timeout) else "cannot be reached"


def _way_out(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "see whether a proxy opens TLS: point REQUESTS_CA_BUNDLE at its certificate"
    return "start it (`./start`, or the app in Azure), or pass --url; behind private networking, join that network"


def _clock(health: requests.Response) -> Row:
    told = health.headers.get("Date")
    if not told:
        return _row("clock here", "ok", "the app does not say what time it is")
    ahead = (datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds()
    if abs(ahead) < MOST_SKEW_SECONDS:
        return _row("clock here", "ok", f"this machine's clock and the app's differ by {abs(ahead):.0f} s")
    said = f"this machine's clock is {ahead:+.0f} s off the app's"
    return _row("clock here", "warning", said, "set it: signing in with Entra ID fails above five minutes")


def _rights(client: Client) -> Iterator[Row]:
    """What the key or token may do. A right that is missing is no failure: people have the role that they need."""
    found: dict[str, int] = {}
    for route in RIGHTS:
        try:
            found[route] = client.ask(route, ASK_SECONDS).status_code
        except requests.RequestException as error:
            yield _row("sign-in", "failed", _why(error), _way_out(error))
            return
    if 401 in found.values():
        remedy = (
            f"in Azure {token_command()} (docs/command-line.md#sign-in); elsewhere set BACKUP_KEY to a function key"
        )
        yield _row("sign-in", "failed", "the app does not take the key or token", remedy)
        return
    may = [right for route, right in RIGHTS.items() if found[route] != 403]
    may_not = [right for route, right in RIGHTS.items() if found[route] == 403]
    if not may:
        remedy = "ask an administrator for one of the app's roles (docs/administrator.md)"
        yield _row("role", "failed", "signed in, and without any right", remedy)
        return
    told = f"may {', '.join(may)}" + (f"; may not {', '.join(may_not)}" if may_not else "")
    yield _row("role", "ok", told)


def _from_app(client: Client) -> list[Row]:
    try:
        answer = client.ask("doctor", APP_SECONDS)
    except requests.RequestException as error:
        return [_row("app", "failed", f"its own checks: {_why(error)}", "look at the app's log, and ask again")]
    if answer.status_code == 403:
        return [
            _row("app", "warning", "its own checks are for operators", "ask somebody with the role Backup.Operator")
        ]
    if answer.status_code != 200:
        return [_row("app", "failed", f"its own checks answer {answer.status_code}", "look at the app's log")]
    checks: list[Row] = answer.json()["checks"]
    return checks
