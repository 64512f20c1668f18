"""The command for messages that failed at every delivery."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from shared.cli.operations import AsJson
from shared.cli.terminal import cell, out, print_json, print_table, say, table

app = typer.Typer()


class Act(StrEnum):
    """What is done with the messages."""

    LIST = "list"
    REQUEUE = "requeue"
    DROP = "drop"


@app.command()
def poison(
    context: typer.Context,
    act: Annotated[Act, typer.Argument(help="`requeue` puts them back to work, `drop` takes them off for good.")],
    ids: Annotated[list[str] | None, typer.Argument(help="Messages, by the ids that `list` shows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every message that is shown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Messages that failed at every delivery. `list` ends with 1 where any waits."""
    if act is Act.LIST:
        _list(context.obj.call("GET", "poison"), as_json)
        return
    if bool(ids) == everything:
        say("Name the messages, as `./backup poison list` shows them, or give --all.", "red")
        raise typer.Exit(2)
    done = context.obj.call("POST", f"poison/{act.value}", json={"ids": ids or []})
    if as_json:
        print_json(done)
        return
    verb = "put back to work" if act is Act.REQUEUE else "dropped"
    out.print(f"{len(done['done'])} messages {verb}. Look at `./backup status`.")


def _list(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        shown = table("id", "queue", "about", "since", "deliveries")
        for message in answer["messages"]:
            about = message["about"] or message["text"]
            row = (message["id"], message["queue"], about, message["inserted_at"], message["deliveries"])
            shown.add_row(*map(cell, row))
        if answer["messages"]:
            print_table(shown)
        if answer["hidden"]:
            out.print(f"{answer['hidden']} more are hidden for up to ten minutes after a delivery: look again then.")
        if not answer["messages"] and not answer["hidden"]:
            out.print("No message waits.")
    raise typer.Exit(1 if answer["messages"] or answer["hidden"] else 0)
