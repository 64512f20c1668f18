"""The command `credentials`: when each one expires, who renews it, and the rotation of one."""

from __future__ import annotations

import shutil
import subprocess
from typing import Annotated, Any

import typer
from rich.text import Text

from shared.cli.operations import AsJson
from shared.cli.terminal import cell, out, print_facts, print_json, print_table, say, table

app = typer.Typer()
AZURE_DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"
SOON_DAYS, NEAR_DAYS = 30, 3
LOGIN_SECONDS = 120

type Json = dict[str, Any]


@app.command()
def credentials(
    context: typer.Context,
    action: Annotated[str, typer.Argument(help="list, or rotate with the NAME of one.")] = "list",
    name: Annotated[str, typer.Argument(help="The credential to rotate, as the list names it.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Look every date up now.")] = False,
    user_token: Annotated[
        bool, typer.Option("--user-token", help="Give a token of yours for Azure DevOps, from `az`, for this once.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """When each credential expires, and who renews it; `rotate NAME` exchanges one. Ends with 1 if one has expired."""
    if action not in ("list", "rotate") or (action == "rotate") != bool(name):
        say("Say `credentials`, `credentials list` or `credentials rotate NAME`.", "red")
        raise typer.Exit(2)
    body = {"user_token": _token_of_user()} if user_token else {}
    if action == "rotate":
        _show_rotation(context.obj.call("POST", f"credentials/{name}/rotate", json=body), as_json)
        return
    method, route = ("POST", "credentials/check") if check or user_token else ("GET", "credentials")
    found = context.obj.call(method, route, **({"json": body} if method == "POST" else {}))["credentials"]
    if as_json:
        print_json(found)
    else:
        _show(found)
    raise typer.Exit(1 if any(c["days_left"] is not None and c["days_left"] < 0 for c in found) else 0)


def _token_of_user() -> str:
    """An Entra ID token of whoever is logged in to the Azure CLI."""
    az = shutil.which("az")
    if az is None:
        say("The Azure CLI `az` is not here: install it, and run `az login`.", "red")
        raise typer.Exit(2)
    command = [az, "account", "get-access-token", "--resource", AZURE_DEVOPS, "--query", "accessToken", "-o", "tsv"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LOGIN_SECONDS)
    except subprocess.TimeoutExpired:
        say("`az account get-access-token` did not end. Run `az login` first.", "red")
        raise typer.Exit(2) from None
    if asked.returncode != 0 or not asked.stdout.strip():
        say("`az account get-access-token` gave no token. Run `az login` first.", "red")
        raise typer.Exit(2)
    return asked.stdout.strip()


def _show(found: list[Json]) -> None:
    shown = table("credential", "", "days left", "expires (UTC)", "renewed by", "what is missing", "last rotation")
    for c in found:
        days, rotation = c["days_left"], c["last_rotation"] or {}
        told = (cell(c["expires_at"][:16].replace("T", " ") if c["expires_at"] else ""), cell(c["renewed_by"]))
        last = " ".join(filter(None, (rotation.get("step"), (rotation.get("started_at") or "")[:10])))
        shown.add_row(cell(c["name"]), cell(c["label"]), _days(days), *told, cell(c["missing"]), cell(last))
    print_table(shown)


def _days(days: int | None) -> Text:
    if days is None:
        return cell("")
    return cell(days, "red" if days <= NEAR_DAYS else "yellow" if days <= SOON_DAYS else "green")


def _show_rotation(rotation: Json, as_json: bool) -> None:
    """How it stands. Ends with 1 where it failed."""
    if as_json:
        print_json(rotation)
    else:
        print_facts(rotation)
        if rotation["step"] == "switched" and not rotation["error"]:
            out.print("The new token is in use. The one before is revoked by itself in five minutes.")
        elif rotation["step"] not in ("done", "failed"):
            out.print("It goes on by itself within five minutes: `./backup credentials` shows how it stands.")
    raise typer.Exit(1 if rotation["step"] == "failed" else 0)
