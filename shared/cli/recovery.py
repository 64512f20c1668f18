"""Commands that find, read and compare versions: find, tree, history, show, diff."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.syntax import Syntax

from shared.cli import shown
from shared.cli.client import find_client
from shared.cli.operations import AsJson
from shared.cli.terminal import is_read_by_a_person, out, plain, print_bytes, say
from shared.domain.tags import AT_PREFIX

app = typer.Typer()
COMPLETION_SECONDS = 2
MOST_COLOURED, MOST_COLOURED_LINE = 200_000, 2_000
LEXERS = {"PYTHON": "python", "SQL": "sql", "SCALA": "scala", "R": "r"}


def complete_path(context: typer.Context, incomplete: str) -> list[str]:
    """Paths of the backup that go on from what was typed; none where anything fails.

    A shell completes before the command line connects: the app is found by the same options and environment.
    """
    try:
        return _paths_from(context, incomplete)
    except Exception:  # noqa: BLE001 - whatever it is, nobody who types is disturbed
        return []


def _paths_from(context: typer.Context, incomplete: str) -> list[str]:
    options = context.find_root().params
    client = find_client(options.get("url"), options.get("key"), options.get("token"), retries=0)
    folder = incomplete.rpartition("/")[0]
    answer = client.complete("tree", {"path": folder} if folder else {}, COMPLETION_SECONDS)
    found = [f"{f['path']}/" for f in answer["folders"]] + [n["path"] for n in answer["notebooks"]]
    # A path that a terminal would act on, or that breaks the line, is none to insert.
    return [path for path in found if path.startswith(incomplete) and path.isprintable()]


NotebookPath = Annotated[str, typer.Argument(metavar="PATH", autocompletion=complete_path)]
At = Annotated[str, typer.Option(metavar="REV|DATE", help="A commit, a date, a time, `tag:NAME`, or `latest`.")]
Tagged = Annotated[str | None, typer.Option("--tag", metavar="NAME", help="As of this tag, instead of --at.")]
AtOrLive = Annotated[str, typer.Option(metavar="REV|DATE", help="A commit, a date, a time, `latest`, or `live`.")]


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
    tag: Tagged = None,
    limit: Annotated[int, typer.Option(min=1, max=5_000)] = 5_000,
    before: Annotated[str | None, typer.Option(metavar="NEXT", help="Go on where another page ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """What a folder held."""
    given = {"path": path, "before": before}
    moment = f"{AT_PREFIX}{tag}" if tag else at
    query = {"at": moment, "limit": limit, **{name: value for name, value in given.items() if value}}
    answer = context.obj.call("GET", "tree", params=query)
    shown.print_answer(answer, as_json, lambda: shown.tree(answer))


@app.command()
def history(
    context: typer.Context,
    path: NotebookPath,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    before: Annotated[str | None, typer.Option(metavar="NEXT", help="Go on where another page ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """The versions of a notebook, the newest first; deleted and renamed ones too."""
    query = {"path": path, "limit": limit, **({"before": before} if before else {})}
    answer = context.obj.call("GET", "versions", params=query)
    shown.print_answer(answer, as_json, lambda: shown.versions(answer))


@app.command()
def show(
    context: typer.Context,
    path: NotebookPath,
    at: AtOrLive = "latest",
    tag: Tagged = None,
    output: Annotated[Path | None, typer.Option(help="Write the bytes to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """The content of any version: with colours on a terminal, else its bytes unchanged."""
    query = {"path": path, "at": f"{AT_PREFIX}{tag}" if tag else at}
    if output is None and (as_json or is_read_by_a_person()):
        answer = context.obj.call("GET", "content", params=query, headers={"Accept": "application/json"})
        shown.print_answer(answer, as_json, lambda: out.print(_highlighted(answer)))
        return
    if as_json:
        raise typer.BadParameter("--json goes without --output")
    data = context.obj.fetch("GET", "content", params=query).content
    if output is None:
        print_bytes(data)
    else:
        write_file(output, data)
        say(f"{len(data)} bytes written to {output}")


def _highlighted(answer: shown.Json) -> Syntax:
    text = answer["content"].replace("\r\n", "\n")
    lexer = "json" if answer["format"] == "JUPYTER" else LEXERS.get(answer["language"], "text")
    # What colours cost grows with the square of a line, and of a string that is never closed.
    if len(text) > MOST_COLOURED or max(map(len, text.split("\n"))) > MOST_COLOURED_LINE:
        lexer = "text"
    return Syntax(plain(text, keep="\n\t"), lexer, line_numbers=True, word_wrap=True, background_color="default")


def write_file(file: Path, data: bytes) -> None:
    """Write a file whole or not at all. One that cannot be written ends the command with 2."""
    try:
        _replace(file.resolve(), data)
    except OSError as error:
        say(f"{file} cannot be written: {error.strerror}. Give another --output.", "red")
        raise typer.Exit(2) from None


def _replace(file: Path, data: bytes) -> None:
    if file.exists() and not file.is_file():
        file.write_bytes(data)  # a pipe or a device; a folder is refused by the system
        return
    if file.exists() and not os.access(file, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    part = file.parent / f".backup-{os.getpid()}.part"
    try:
        part.write_bytes(data)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


@app.command()
def diff(
    context: typer.Context,
    path: NotebookPath,
    before: Annotated[str, typer.Option("--from", metavar="REV|DATE", help="The older side.")] = "latest",
    after: Annotated[str, typer.Option("--to", metavar="REV|DATE", help="The newer side.")] = "live",
    as_json: AsJson = False,
) -> None:
    """What differs between two versions. Ends with 0 where they are equal, with 1 where they are not."""
    answer = context.obj.call("GET", "diff", params={"path": path, "from": before, "to": after})
    shown.print_answer(answer, as_json, lambda: shown.difference(answer, colours=is_read_by_a_person()))
    raise typer.Exit(0 if answer["equal"] else 1)
