"""What the commands of recovery print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from shared.cli.terminal import cell, out, plain, print_bytes, print_json, print_table, say, table

MOST_ROWS = 40
COLOURS = {"+": "green", "-": "red", "@": "cyan"}
STATUS_COLOURS = {"succeeded": "green", "partial": "yellow", "failed": "red"}
ACTION_COLOURS = {"refuse": "yellow", "remove": "red", "overwrite": "cyan", "create": "green"}
"""Actions in the order in which a plan shows them: what a person has to see stands first."""
GOING = ("running", "planned")
OUTCOMES = ("verified", "unchanged", "removed", "refused", "failed")
GOOD = ("verified", "unchanged", "removed")
COMMIT_CHARACTERS = 12
HEADER_LINES = 2

type Json = dict[str, Any]


def print_answer(answer: Json, as_json: bool, otherwise: Callable[[], object]) -> None:
    """The answer as JSON, or as it is shown to people."""
    if as_json:
        print_json(answer)
    else:
        otherwise()


def _time(value: str | None) -> str:
    return value[:19].replace("T", " ") if value else ""


def _version(commit: str | None) -> str:
    return (commit or "")[:COMMIT_CHARACTERS]


def many(number: int, word: str) -> str:
    """A number of things."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def notebooks(found: list[Json]) -> None:
    """Notebooks that were found."""
    if not found:
        out.print("Nothing was found.")
        return
    rows = table("path", "language", "size", "modified (UTC)", "", box=False)
    for n in found:
        gone = cell("gone", "yellow") if n.get("deleted") else cell("")
        rows.add_row(cell(n["path"]), cell(n["language"]), cell(n["size"]), _time(n["modified_at"]), gone)
    print_table(rows)


def tree(answer: Json) -> None:
    """A folder."""
    moment = f" as of {_time(answer['at']['committed_at'])} ({_version(answer['at']['commit'])})"
    lines = [cell(answer["path"], "bold") + cell(moment)]
    lines += [cell(f"  {folder['name']}/", "blue") for folder in answer["folders"]]
    lines += [cell(f"  {n['name']}  ") + cell(n["language"], "dim") for n in answer["notebooks"]]
    for line in lines:
        out.print(line, soft_wrap=True)
    if answer["next"]:
        say("There are more: take the next page with --before " + answer["next"], "dim")


def versions(answer: Json) -> None:
    """A notebook's history."""
    rows = table("version", "backed up (UTC)", "modified (UTC)", "by", "kind", "size", "other path", box=False)
    for v in answer["versions"]:
        times = (_time(v["committed_at"]), _time(v["modified_at"]))
        other = cell(_other_path(v, answer["path"]))
        rows.add_row(_version(v["commit"]), *times, cell(v["author"]), cell(kind(v)), cell(v["size"]), other)
    out.print(cell(answer["path"], "bold"), soft_wrap=True)
    print_table(rows)
    if answer["next"]:
        say("There are more: raise --limit, or take the next page with --before " + answer["next"], "dim")


def kind(version: Json) -> str:
    """What happened to a notebook; `restored` where it was by a restore, with the day of what was put back."""
    told = str(version["kind"]).replace("_", " ")
    if not version.get("restore"):
        return told
    of = f" from {version['restored_from'][:10]}" if version.get("restored_from") else ""
    return f"{told}, restored{of}" if version["kind"] != "deleted" else f"{told} by a restore"


def _other_path(version: Json, path: str) -> str:
    """Where a version came from or went, and the path that it had, where that is another than was asked for."""
    told = {"renamed": "from ", "moved_away": "to "}.get(version["kind"], "")
    other = f"{told}{version['other_path']}" if version["other_path"] is not None else ""
    own = f"at {version['path']}" if version["path"] != path else ""
    return ", ".join(filter(None, (own, other)))


def difference(answer: Json, *, colours: bool) -> None:
    """A unified diff: in colours, or byte for byte. The totals go to standard error."""
    if colours:
        for number, line in enumerate(answer["unified"].split("\n")[:-1]):
            style = "bold" if number < HEADER_LINES else COLOURS.get(line[:1], "")
            out.print(Text(plain(line, keep="\t"), style), soft_wrap=True)
    else:
        print_bytes(answer["unified"].encode("utf-8", "backslashreplace"))
    if answer["equal"]:
        say("No difference.", "dim")
    elif not answer["unified"]:
        say("The bytes differ, though not the text: take both with `./backup show --output`.", "yellow")
    else:
        say(f"{many(answer['added'], 'line')} added, {answer['removed']} removed", "dim")


def plan(answer: Json, console: Console = out) -> None:
    """What a restore would do."""
    told = [f"{answer['counts'][name]} to {name}" for name in ACTION_COLOURS if answer["counts"][name]]
    told += [f"{answer['counts']['unchanged']} unchanged"] if answer["counts"]["unchanged"] else []
    head = cell(f"Plan {answer['id']}", "bold") + cell(f" as of {answer['at']}: {', '.join(told) or 'nothing to do'}")
    console.print(head, soft_wrap=True)
    order = list(ACTION_COLOURS)
    wanted = sorted((i for i in answer["items"] if i["action"] in order), key=lambda i: order.index(i["action"]))
    rows = table("action", "notebook", "target", "version", "modified (UTC)", "reason", box=False)
    for item in wanted[:MOST_ROWS]:
        target = "" if item["target"] == item["path"] else item["target"]
        version = (_version(item["commit"]), _time(item["modified_at"]))
        action = cell(item["action"], ACTION_COLOURS[item["action"]])
        rows.add_row(action, cell(item["path"]), cell(target), *version, cell(_reason(item)))
    if wanted:
        print_table(rows, console)
    more = sum(answer["counts"][name] for name in order) - min(len(wanted), MOST_ROWS)
    if more > 0:
        say(f"and {more} more, in full with `./backup restores {answer['id']} --json`")
    _error(answer)


def planned(answer: Json) -> int:
    """The number of a restore's notebooks."""
    return sum(answer["counts"][name] for name in (*ACTION_COLOURS, "unchanged"))


def _reason(item: Json) -> str:
    return ": ".join(filter(None, (item["reason"], item["detail"])))


def result(answer: Json, bad: list[Json]) -> None:
    """What came of a restore: those in `bad` with reason and what to do, and how to undo it."""
    told = ", ".join(f"{answer['counts'][name]} {name}" for name in OUTCOMES if answer["counts"][name])
    head = f"{answer['kind']} {answer['id']} {answer['status']}: {told or 'nothing was done'}"
    out.print(cell(head, STATUS_COLOURS.get(answer["status"], "")), soft_wrap=True)
    for item in bad:
        line = cell(f"  {item['outcome']} ", "yellow") + cell(f"{item['target']}: {_reason(item)}")
        out.print(line, soft_wrap=True)
    if planned(answer) == 1 and answer["items"] and answer["items"][0]["found_sha256"]:
        out.print(cell(f"  SHA-256 {answer['items'][0]['found_sha256']}"), soft_wrap=True)
    _error(answer)
    if not answer["dry_run"] and answer["status"] in GOING:
        out.print(cell(f"It goes on by itself. {undo_later(answer)}"), soft_wrap=True)
    elif any(answer["counts"][n] for n in ("verified", "removed", "failed")):
        out.print(cell(f"Undo: {_undo(answer)}"), soft_wrap=True)


def _undo(answer: Json) -> str:
    return f"./backup restore --undo {answer['id']}"


def undo_later(answer: Json) -> str:
    """How a restore that is still under way is undone."""
    return f"Undo, when it is over: {_undo(answer)}"


def progress(answer: Json) -> str:
    """How many notebooks of a restore are done. The API tells a share, to a tenth of a percent."""
    total = answer["notebooks"]
    return f"{round(answer['percent'] * total / 100)} of {many(total, 'notebook')}" if total else ""


def items(found: list[Json], total: int) -> None:
    """The first notebooks of a restore of `total`, with what came of each."""
    rows = table("outcome", "action", "notebook", "target", "version", box=False)
    for item in found[:MOST_ROWS]:
        target = "" if item["target"] == item["path"] else item["target"]
        outcome = cell(item["outcome"] or "waits", "" if item["outcome"] in GOOD else "yellow")
        rows.add_row(outcome, cell(item["action"]), cell(item["path"]), cell(target), _version(item["commit"]))
    print_table(rows)
    if total > MOST_ROWS:
        say(f"and {total - MOST_ROWS} more, in full with --json")


def restores(found: list[Json]) -> None:
    """Restores, the newest first."""
    if not found:
        out.print("Nothing was restored yet.")
        return
    rows = table("restore", "kind", "status", "as of", "notebooks", "by", "started (UTC)", "seconds", box=False)
    for r in found:
        kind = f"{r['kind']} (dry run)" if r["dry_run"] else r["kind"]
        told = (cell(value) for value in (r["id"], kind, r["status"], r["at"], r["notebooks"], r["requested_by"]))
        rows.add_row(*told, _time(r["created_at"]), cell(r["seconds"]))
    print_table(rows)


def _error(answer: Json) -> None:
    if answer["error"]:
        say(answer["error"], "red")
