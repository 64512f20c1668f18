"""Output that leaves the terminal alone, whatever a notebook is named, and that is whole where it is piped."""

from __future__ import annotations

import json
import sys

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

out, notes = Console(), Console(stderr=True)

MOST_PIPED_COLUMNS = 5_000
"""Width of a table in a pipe or file: no line is broken there."""


def plain(value: object, keep: str = "") -> str:
    """A text whose characters that do not print are spelled out: a name may hold escape sequences."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in str(value))


def cell(value: object, style: str = "") -> Text:
    """A value as text in which no markup is read; None is empty."""
    return Text("" if value is None else plain(value), style)


def say(message: str, style: str = "") -> None:
    """Print a message on standard error; where that is no terminal, on one line."""
    notes.print(Text(plain(message), style), soft_wrap=not notes.file.isatty())


def table(*headers: str, box: bool = True) -> Table:
    """An empty table. Cells that are too long go on in the next line, nothing is cut."""
    made = Table() if box else Table(box=None, header_style="bold")
    for header in headers:
        made.add_column(header, overflow="fold")
    return made


def print_table(shown: RenderableType, console: Console = out) -> None:
    """Print a table: within the terminal's width, else as wide as it is."""
    # Not `console.is_terminal`: where colours are forced, that says yes of a pipe, too.
    wide = console if console.file.isatty() else Console(width=MOST_PIPED_COLUMNS, stderr=console.stderr)
    wide.print(shown)


def print_facts(facts: dict[str, object]) -> None:
    """Print names and values, those that are empty left out."""
    shown = Table(show_header=False, box=None)
    for name, value in facts.items():
        if value not in (None, ""):
            shown.add_row(cell(name.replace("_", " ")), cell(value))
    print_table(shown)


def print_json(answer: object) -> None:
    """JSON for programs: ASCII alone, so that any name of a notebook passes, no colours, and no line is folded."""
    typer.echo(json.dumps(answer, indent=2))


def print_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def is_read_by_a_person() -> bool:
    """Whether standard output is a terminal; colours that are forced do not make it one."""
    return sys.stdout.isatty()
