"""`./backup`: the command line that talks to a function app, local or in Azure."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.cli import (
    audit,
    capacity,
    credentials,
    doctor,
    git_folders,
    operations,
    parity,
    poison,
    recovery,
    reports,
    restoring,
    tags,
    volume,
)
from shared.cli.client import Client, find_client
from shared.cli.operations import follow
from shared.cli.setup import walk as setup
from shared.cli.terminal import notes, say
from shared.cli.unexpected import TellingGroup

__all__ = ["Client", "app", "follow", "notes"]

app = typer.Typer(cls=TellingGroup, no_args_is_help=True, help="A version-controlled backup of Databricks notebooks.")
_PARTS = (
    operations,
    recovery,
    restoring,
    tags,
    reports,
    audit,
    capacity,
    credentials,
    poison,
    doctor,
    setup,
    volume,
    parity,
)
for part in (module.app for module in _PARTS):
    app.registered_commands += part.registered_commands

app.add_typer(git_folders.app, name="gitfolder")


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(envvar="BACKUP_URL", help="Address of the function app.")] = None,
    key: Annotated[str | None, typer.Option(envvar="BACKUP_KEY", help="A function key of the app.")] = None,
    token: Annotated[str | None, typer.Option(envvar="BACKUP_TOKEN", help="A token of Microsoft Entra ID.")] = None,
) -> None:
    """Find the app: --url, BACKUP_URL, else the one that `./start` serves from this checkout."""
    try:
        context.obj = find_client(url, key, token)
    except (OSError, ValueError):
        say(
            "The address that ./start wrote down (backup.json) cannot be read. Remove it, and run ./start again.", "red"
        )
        raise typer.Exit(2) from None
