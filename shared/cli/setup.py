"""The command that sets the backup up in Azure: it can be run again, and goes on where it stopped."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.operations import AsJson
from shared.cli.setup_engine import Execute, Json, Setup, SetupStopped, State, Step, Values, execute
from shared.cli.setup_steps import steps
from shared.cli.terminal import notes, plain, print_json, say

app = typer.Typer()

ROOT = Path(__file__).resolve().parent.parent.parent
STATE = Path(".local") / "setup"
_NAME = re.compile(r"[a-z][a-z0-9-]{1,20}")


@dataclass(frozen=True, slots=True)
class Question:
    """Something that has to be known; one without a `default` has to be answered."""

    name: str
    text: str
    default: str | None = None
    form: str = ".+"
    wrong: str = "cannot be empty"


QUESTIONS = (
    Question("subscription", "Subscription id", None, r"[0-9a-fA-F-]{36}", "is no id such as 1b2c...: az account list"),
    Question("location", "Region", "westeurope", r"[a-z0-9]+", "is no region: az account list-locations"),
    Question(
        "databricks_host",
        "Databricks workspace",
        None,
        r"https://[A-Za-z0-9.-]+",
        "must be https:// and the workspace's host name, without a path",
    ),
    Question("warehouse", "SQL warehouse id that may read the audit table (empty: authors are unknown)", "", ".*", ""),
    Question("root", "Workspace folder to back up", "/Clients", r"/[^?#]+", "must be an absolute path"),
    Question("organisation", "Azure DevOps organisation", None, r"[A-Za-z0-9-]+", "is the name alone, without a URL"),
    Question(
        "project", "Azure DevOps project", None, r"[A-Za-z0-9_.-]+", "must have no blanks: rename it, or use its id"
    ),
    Question("repository", "Repository", "notebooks", r"[A-Za-z0-9_.-]+", "must have no blanks"),
    Question("branch", "Branch", "main", r"[A-Za-z0-9_./-]+", "must be a branch name"),
    Question(
        "alert_emails",
        "Who gets alerts (addresses with commas between them)",
        None,
        r"[^@\s]+@[^@\s]+",
        "must be addresses",
    ),
    Question("mail_to", "Who gets the backup's own mails (empty: nobody)", "", ".*", ""),
    Question(
        "plan",
        "Plan: flexConsumption or elasticPremium",
        "flexConsumption",
        "flexConsumption|elasticPremium",
        "is no plan",
    ),
    Question("publish_with", "Publish with az or func", "az", "az|func", "must be az or func"),
)


@app.command()
def setup(
    name: Annotated[str, typer.Argument(help="Name of this installation; resource names are made of it.")] = "backup",
    subscription: Annotated[str | None, typer.Option(help="Subscription id.")] = None,
    location: Annotated[str | None, typer.Option(help="Region, such as westeurope.")] = None,
    databricks_host: Annotated[str | None, typer.Option(help="https://adb-....azuredatabricks.net")] = None,
    warehouse: Annotated[str | None, typer.Option(help="SQL warehouse id, or an empty text.")] = None,
    root: Annotated[str | None, typer.Option(help="Workspace folder to back up.")] = None,
    organisation: Annotated[str | None, typer.Option(help="Azure DevOps organisation.")] = None,
    project: Annotated[str | None, typer.Option(help="Azure DevOps project.")] = None,
    repository: Annotated[str | None, typer.Option(help="Repository; it is made where it is missing.")] = None,
    branch: Annotated[str | None, typer.Option(help="Branch that holds the backup.")] = None,
    alert_emails: Annotated[str | None, typer.Option(help="Who gets alerts.")] = None,
    mail_to: Annotated[str | None, typer.Option(help="Who gets the backup's own mails.")] = None,
    plan: Annotated[str | None, typer.Option(help="flexConsumption or elasticPremium.")] = None,
    publish_with: Annotated[str | None, typer.Option(help="az or func.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="Another parameter of infra/main.bicep, NAME=VALUE.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Where what is done is remembered.")] = STATE,
    again: Annotated[list[str] | None, typer.Option(metavar="STEP", help="Do this step again.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take flags, earlier answers and defaults.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show every command, with what it prints.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set the backup up in Azure, step by step. Run it again to go on, or after an answer changed."""
    given = {n: v for n, v in locals().items() if n in {q.name for q in QUESTIONS} and v is not None}
    walk = Walk(state, ROOT, _tell, (lambda _: True) if yes else _agree, execute)
    asked = Asked(name, given, tuple(parameter or ()), frozenset(again or ()), asks=not yes, dry_run=dry_run)
    code, error = _walked(walk, asked)
    if as_json:
        print_json({"name": name, "dry_run": dry_run, "steps": walk.outcomes, "error": error})
    raise typer.Exit(code)


def _walked(walk: Walk, asked: Asked) -> tuple[int, str | None]:
    """Exit code and what went wrong: 2 for an answer, 1 for a step."""
    try:
        walk.go(asked)
    except (ValueError, SetupStopped) as error:
        say(str(error), "red")
        return (1 if isinstance(error, SetupStopped) else 2), str(error)
    return 0, None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; `asks` has the rest asked for."""

    name: str
    given: Values
    parameters: tuple[str, ...] = ()
    again: frozenset[str] = frozenset()
    asks: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the set-up remembers what is done, which checkout it is of, and whom it talks to.

    `outcomes` has a row for each step that was reached: see `Setup`.
    """

    state: Path
    root: Path
    tell: Callable[[str], None]
    agree: Callable[[Step], bool]
    execute: Execute
    outcomes: list[Json] = field(default_factory=list)

    def go(self, asked: Asked) -> None:
        """Every step that is not done yet. Raises `ValueError` naming a flag, `SetupStopped`."""
        if not _NAME.fullmatch(asked.name):
            raise ValueError("the name has 2 to 21 small letters, digits and dashes, and begins with a letter")
        stored = State.load(self.state / f"{asked.name}.json")
        answers = _answers(stored.answers, asked.given, asks=asked.asks and not asked.dry_run, shows=asked.dry_run)
        answers["parameters"] = "\n".join(asked.parameters) or stored.answers.get("parameters", "")
        if not asked.dry_run:
            stored.answers = answers
            stored.save()
        values = self._known(answers, asked.name)
        made = Setup(stored, values, self.root, self.tell, self.agree, self.execute, asked.again, asked.dry_run)
        made.outcomes = self.outcomes
        made.run(steps(answers))
        if not asked.dry_run:
            self.tell(f"Done: {values['app_url']}/api/dashboard. {stored.file} remembers this set-up.")

    def _known(self, answers: Values, name: str) -> Values:
        git = "https://dev.azure.com/{organisation}/{project}/_git/{repository}".format(**answers)
        folder = str((self.state / name).resolve())
        more = {"name": name, "folder": folder, "display_name": f"Notebook backup ({name})", "git_url": git}
        return {**answers, **more, "package": str(self.root / "build" / "package.zip")}


def _tell(line: str) -> None:
    notes.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def _agree(step: Step) -> bool:
    return typer.confirm(f"      {step.why}. Do it?", default=True, err=True)


def _answers(stored: Values, given: Values, *, asks: bool, shows: bool) -> Values:
    """By flag, by question, or as before. Raises `ValueError` naming the flag that is missing or wrong."""
    found: Values = {}
    for question in QUESTIONS:
        flag = f"--{question.name.replace('_', '-')}"
        known = stored.get(question.name, question.default)
        value = given.get(question.name)
        if value is None and asks:
            value = typer.prompt(question.text, default=known, err=True)
        value = known if value is None else value
        if value is None and not shows:
            raise ValueError(f"give {flag}: {question.text}")
        value = f"<{question.name.replace('_', '-')}>" if value is None else str(value).rstrip("/") or value
        if not value.startswith("<") and not re.fullmatch(question.form, value):
            raise ValueError(f"{flag} {question.wrong}")
        found[question.name] = value
    return found
