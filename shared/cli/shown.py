"""What the commands of recovery print: names of notebooks are hostile, and cannot reach the terminal as they are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from shared.cli.client import out, print_json

MOST_ROWS = 40
COLOURS = {"+": "green", "-": "red", "@": "cyan"}
GOOD = ("verified", "unchanged", "removed")


def nothing() -> contextlib.nullcontext[None]:
    """No status line."""
    return contextlib.nullcontext()


def print_answer(answer: dict[str, Any], as_json: bool, otherwise: Callable[[], object]) -> None:
    """The answer as JSON, or as it is shown to people."""
    if as_json:
        print_json(answer)
    else:
        otherwise()


def plain(text: str, *, newlines: bool = False) -> str:
    """A text whose control characters are spelled out: a name may hold escape sequences."""
    kept = "\n\t" if newlines else ""
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def _cell(value: object) -> str:
    return escape(plain(str(value))) if value is not None else ""


def _time(value: str | None) -> str:
    return value[:19].replace("T", " ") if value else ""


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, header_style="bold")


def notebooks(found: list[dict[str, Any]]) -> None:
    """Notebooks that were found."""
    table = _table("path", "language", "size", "modified (UTC)", "")
    for n in found:
        gone = "[yellow]gone[/]" if n.get("deleted") else ""
        table.add_row(_cell(n["path"]), n["language"], _cell(n["size"]), _time(n["modified_at"]), gone)
    out.print(table if found else "Nothing was found.")


def tree(answer: dict[str, Any]) -> None:
    """A folder."""
    out.print(f"{_cell(answer['path'])} as of {_time(answer['at']['committed_at'])} ({answer['at']['commit'][:12]})")
    for folder in answer["folders"]:
        out.print(f"  [blue]{_cell(folder['name'])}/[/]")
    for found in answer["notebooks"]:
        out.print(f"  {_cell(found['name'])}  [dim]{found['language']}[/]")


def versions(answer: dict[str, Any]) -> None:
    """A notebook's history."""
    table = _table("version", "backed up (UTC)", "modified (UTC)", "by", "kind", "size", "other path")
    for v in answer["versions"]:
        times = (_time(v["committed_at"]), _time(v["modified_at"]))
        other = "" if v["other_path"] is None else _cell(v["other_path"])
        table.add_row(v["commit"][:12], *times, _cell(v["author"]), v["kind"], _cell(v["size"]), other)
    out.print(f"[bold]{_cell(answer['path'])}[/]")
    out.print(table)
    if answer["next"]:
        out.print("[dim]There are more: raise --limit.[/]")


def difference(answer: dict[str, Any]) -> None:
    """A unified diff in colours."""
    for line in answer["unified"].split("\n"):
        out.print(Text(plain(line), style=COLOURS.get(line[:1], "")), soft_wrap=True)
    out.print(f"[dim]{answer['added']} lines added, {answer['removed']} removed[/]")


def plan(answer: dict[str, Any]) -> None:
    """What a restore would do."""
    named = [f"{count} to {name}" for name, count in answer["counts"].items() if count and name in _ACTIONS]
    out.print(f"[bold]Plan[/] as of {_cell(answer['at'])}: {', '.join(named) or 'nothing to do'}")
    table = _table("", "notebook", "to", "version", "reason")
    wanted = [i for i in answer["items"] if i["action"] != "unchanged"]
    for item in wanted[:MOST_ROWS]:
        to = "" if item["target"] == item["path"] else _cell(item["target"])
        table.add_row(item["action"], _cell(item["path"]), to, (item["commit"] or "")[:12], _cell(item["detail"]))
    out.print(table)
    if len(wanted) > MOST_ROWS:
        out.print(f"and {len(wanted) - MOST_ROWS} more, in full with --json")


def result(answer: dict[str, Any]) -> None:
    """What came of a restore, and how to undo it."""
    colour = {"succeeded": "green", "partial": "yellow", "failed": "red"}.get(answer["status"], "")
    told = ", ".join(f"{count} {name}" for name, count in answer["counts"].items() if count and name in _OUTCOMES)
    out.print(Text(f"{answer['kind']} {answer['id']} {answer['status']}: {told}", style=colour))
    for item in [i for i in answer["items"] if i["outcome"] and i["outcome"] not in GOOD][:MOST_ROWS]:
        out.print(f"  [yellow]{item['outcome']}[/] {_cell(item['target'])}: {_cell(item['detail'] or item['reason'])}")
    if len(answer["items"]) == 1 and answer["items"][0]["found_sha256"]:
        out.print(f"  SHA-256 {answer['items'][0]['found_sha256']}")
    if answer["error"]:
        out.print(f"  {_cell(answer['error'])}")
    if answer["status"] != "planned":
        out.print(f"Undo: ./backup restore --undo {answer['id']}")


def restores(found: list[dict[str, Any]]) -> None:
    """Restores, the newest first."""
    table = _table("restore", "kind", "status", "as of", "notebooks", "by", "seconds")
    for r in found:
        kind = f"{r['kind']} (dry run)" if r["dry_run"] else r["kind"]
        table.add_row(
            r["id"],
            kind,
            r["status"],
            _cell(r["at"]),
            str(r["notebooks"]),
            _cell(r["requested_by"]),
            _cell(r["seconds"]),
        )
    out.print(table)


_OUTCOMES = ("verified", "unchanged", "removed", "refused", "failed")
_ACTIONS = ("create", "overwrite", "unchanged", "remove", "refuse")
