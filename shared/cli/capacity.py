"""The command `capacity`: the repository's size and forecast, what Git saves, and the archive plan."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from shared.cli.operations import AsJson
from shared.cli.terminal import cell, out, print_facts, print_json, print_table, say, table
from shared.domain.sizes import size_text

app = typer.Typer()
LEVEL_COLOURS = {"ok": "green", "watch": "cyan", "warning": "yellow", "critical": "red"}
MOST_SHOWN = 10

type Json = dict[str, Any]


@app.command()
def capacity(context: typer.Context, as_json: AsJson = False) -> None:
    """The repository's size, growth and forecast, what Git saves, and the archive plan."""
    answer = context.obj.call("GET", "capacity")
    if as_json:
        print_json(answer)
        return
    if not answer["measured"]:
        say("Not measured yet. It is done after the daily verification, or now: `./backup verify`.")
        return
    _show_size(answer)
    _show_forecast(answer)
    _show_notebooks(answer)
    _show_plan(answer["archive_plan"])


def _show_size(answer: Json) -> None:
    measured, copies = answer["measured"], answer["full_copies"]
    least = "at least " if measured["at_least"] else ""
    advised = size_text(answer["advised_bytes"])
    facts: dict[str, object] = {
        "size": f"{least}{size_text(measured['bytes'])}, {answer['share'] * 100:.1f} % of the advised {advised}",
        "measured": f"{measured['at'][:16].replace('T', ' ')} UTC, {measured['how']}",
        "notebooks": f"{measured['notebooks']:,}, {size_text(measured['full_copy_bytes'])} as one full copy",
    }
    if copies:
        taken = f"{size_text(copies['bytes'])} since {copies['since']} ({copies['days']} days)"
        facts["daily full copies"] = f"would take {taken}; Git takes {size_text(copies['git_bytes'])}"
        facts["saving"] = f"{copies['saving'] * 100:.1f} %"
    out.print(Text.assemble("level ", cell(answer["level"], LEVEL_COLOURS.get(answer["level"], ""))))
    print_facts(facts)


def _show_forecast(answer: Json) -> None:
    growth, assumed = answer["growth"], answer["assumed"]
    shown = table("forecast", "growth", "in a year", f"{size_text(answer['advised_bytes'])} reached", "days until then")
    rows = [("assumed", f"{assumed['growth_a_year'] * 100:.0f} % a year", assumed)]
    if growth["bytes_a_day"] is not None:
        over = f"{size_text(growth['bytes_a_day'])} a day, over {growth['days_measured']} days"
        rows.insert(0, ("measured", over, growth))
    for name, how, found in rows:
        when, days = found["advised_on"] or "not in sight", found["days_until_advised"]
        shown.add_row(*(cell(c) for c in (name, how, size_text(found["bytes_in_a_year"]), when, days)))
    print_table(shown)
    if growth["bytes_a_day"] is None:
        out.print(f"Growth is measured from seven days on; there are {growth['days_measured']} so far.")


def _show_notebooks(answer: Json) -> None:
    if answer["largest"]:
        shown = table("largest notebooks", "size", box=False)
        for found in answer["largest"][:MOST_SHOWN]:
            shown.add_row(cell(found["path"]), cell(size_text(found["size"])))
        print_table(shown)
    if answer["growers"]:
        shown = table(f"fastest growers since {answer['growers_since']}", "grown by", "to", box=False)
        for found in answer["growers"][:MOST_SHOWN]:
            shown.add_row(cell(found["path"]), cell(size_text(found["grown"])), cell(size_text(found["size"])))
        print_table(shown)


def _show_plan(plan: Json) -> None:
    due = f"Due by {plan['due']}. " if plan["due"] else ""
    out.print(Text.assemble(("Archive plan. ", "bold"), cell(f"{due}{plan['why']}")), soft_wrap=_piped())
    for number, step in enumerate(plan["steps"], 1):
        out.print(
            Text.assemble((f"{number}. ", "bold"), (step["title"], "bold"), f". {step['detail']}"), soft_wrap=_piped()
        )


def _piped() -> bool:
    """Whether lines are left whole, since no terminal folds them."""
    return not out.file.isatty()
