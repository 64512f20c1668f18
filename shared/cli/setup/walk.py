"""The command that sets the backup up in Azure: it can be run again, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from shared.cli.operations import AsJson
from shared.cli.setup.answers import GUID, NAME, NOTHING, QUESTIONS, Ask, collected, parameter_complaints, shown
from shared.cli.setup.engine import Execute, Json, Setup, SetupStopped, State, Step, Values, execute
from shared.cli.setup.package import ARCHIVE, sources_digest
from shared.cli.setup.steps import steps
from shared.cli.sign_in import token_command
from shared.cli.terminal import notes, plain, print_json

app = typer.Typer()

ROOT = Path(__file__).resolve().parents[3]
STATE = Path(".local") / "setup"


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
    package: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Publish the package in this folder; `-` makes one here.")
    ] = None,
    app_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Take over this app registration; it is yours to vouch for.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Where what is done is remembered.")] = STATE,
    again: Annotated[list[str] | None, typer.Option(metavar="STEP", help="Do this step again.")] = None,
    leave: Annotated[list[str] | None, typer.Option(metavar="STEP", help="Leave this step to somebody else.")] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Forget what is remembered, and begin anew. Nothing is deleted in Azure.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing: take flags, earlier answers and defaults.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show every command, with what it prints.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set the backup up in Azure, step by step. Run it again to go on, or after an answer changed."""
    given = {n: v for n, v in locals().items() if n in {q.name for q in QUESTIONS} and v is not None}
    walk = Walk(state, ROOT, _tell, (lambda _: True) if yes else _agree, execute, None if yes else _ask)
    asked = Asked(
        name,
        given,
        tuple(parameter or ()),
        frozenset(again or ()),
        frozenset(leave or ()),
        dry_run,
        anew,
        package,
        app_id,
    )
    code, error = _walked(walk, asked)
    if as_json:
        print_json({"name": name, "dry_run": dry_run, "steps": walk.outcomes, "error": error})
    raise typer.Exit(code)


def _walked(walk: Walk, asked: Asked) -> tuple[int, str | None]:
    """Exit code and what went wrong: 2 for an answer, 1 for a step or whoever stopped it."""
    try:
        walk.go(asked)
    except (typer.Abort, KeyboardInterrupt, EOFError):
        return 1, _said(f"Stopped. What is done is remembered: `./backup setup {asked.name}` goes on.")
    except SetupStopped as error:
        return 1, _said(str(error))
    except ValueError as error:
        return 2, _said(str(error))
    except OSError as error:
        return 1, _said(f"{error.filename or walk.state}: {error.strerror}. Make room, or pass another --state.")
    return 0, None


def _said(text: str) -> str:
    """Show a message, each of its lines on one of its own."""
    for line in text.splitlines():
        notes.print(plain(line), style="red", markup=False, highlight=False, soft_wrap=True)
    return text


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says.

    `package` is a folder with a package to publish, `-` to make one, `app_id` an app registration to take over; None
    leaves either as it was. `anew` forgets what is remembered.
    """

    name: str
    given: Values
    parameters: tuple[str, ...] = ()
    again: frozenset[str] = frozenset()
    leave: frozenset[str] = frozenset()
    dry_run: bool = False
    anew: bool = False
    package: str | None = None
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the set-up remembers what is done, which checkout it is of, and whom it talks to.

    `ask` is None where nobody is asked. `outcomes` has a row for each step that was reached: see `Setup`.
    """

    state: Path
    root: Path
    tell: Callable[[str], None]
    agree: Callable[[Step], bool]
    execute: Execute
    ask: Ask | None = None
    outcomes: list[Json] = field(default_factory=list)

    def go(self, asked: Asked) -> None:
        """Every step that is not done yet. Raises `ValueError` naming flags, `SetupStopped`, and what `ask` raises."""
        if not NAME.fullmatch(asked.name):
            raise ValueError("the name has 2 to 21 small letters, digits and dashes, and begins with a letter")
        stored = self._remembered(asked)
        answers = self._answers(stored, asked)
        values = self._known(answers, stored, asked)
        due = steps(values)
        _check_names(due, asked)
        made = Setup(stored, values, self.root, self.tell, self.agree, self.execute, asked.again, asked.leave)
        made.dry_run, made.outcomes = asked.dry_run, self.outcomes
        made.run(due)
        if not asked.dry_run:
            self._tell_the_end(stored, values)

    def _remembered(self, asked: Asked) -> State:
        file = self.state / f"{asked.name}.json"
        if not asked.anew:
            return State.load(file)
        if file.exists() and not asked.dry_run:
            before = file.with_suffix(".before.json")
            file.replace(before)
            self.tell(f"What was remembered is in {before}; nothing was deleted in Azure.")
        return State(file)

    def _answers(self, stored: State, asked: Asked) -> Values:
        kept = dict(stored.answers)
        folder = asked.package and ("" if asked.package == NOTHING else str(Path(asked.package).resolve()))
        texts = (*kept.get("parameters", "").split("\n"), *asked.parameters)
        more = {
            "parameters": "\n".join({text.partition("=")[0]: text for text in texts if text}.values()),
            "package_folder": folder,
            "registration": asked.app_id,
        }
        kept |= {name: value for name, value in more.items() if value is not None}
        wrong = self._complaints(kept)
        if wrong and self.ask is None and not asked.dry_run:
            # All that is wrong is named at once, and nothing of it remembered.
            _with(wrong, lambda: collected(kept, asked.given, None, lambda _: None))
        if wrong:
            raise ValueError("\n".join(wrong))
        if asked.dry_run:
            answers = shown(kept, asked.given)
        else:
            answers = collected(kept, asked.given, self.ask, lambda found: _keep(stored, found))
        complete = {"parameters": "", "registration": "", "package_folder": "", **kept, **answers}
        if not asked.dry_run:
            _keep(stored, complete)
        return complete

    def _complaints(self, kept: Values) -> list[str]:
        """What is wrong with what no question asks for."""
        given = tuple(filter(None, kept.get("parameters", "").split("\n")))
        found = parameter_complaints(given, self.root / "infra" / "main.bicep")
        folder, app_id = kept.get("package_folder"), kept.get("registration")
        if folder and not (Path(folder) / ARCHIVE).is_file():
            found.append(f"--package {folder} must be a folder with {ARCHIVE} in it, as ./package makes one")
        if app_id and not GUID.fullmatch(app_id):
            found.append(f"--app-id {app_id} must be an application id: `az ad app list --show-mine` names yours")
        return found

    def _known(self, answers: Values, stored: State, asked: Asked) -> Values:
        parameters = dict(p.partition("=")[::2] for p in answers["parameters"].split("\n"))
        archive = Path(answers["package_folder"] or self.root / "build") / ARCHIVE
        more = {
            "name": asked.name,
            "folder": str((self.state / asked.name).resolve()),
            "display_name": f"Notebook backup ({asked.name})",
            "git_url": "https://dev.azure.com/{organisation}/{project}/_git/{repository}".format(**answers),
            "resource_group_name": parameters.get("resourceGroupName") or f"rg-{asked.name}",
            "root_in_address": quote(answers["root"]),
            "package": str(archive),
            "package_unpacked": str(archive.parent / "package"),
            "package_sources": "" if answers["package_folder"] or asked.dry_run else sources_digest(self.root),
        }
        remembered = stored.kept("app-registration").get("app_id", "")
        return {**answers, **more, "remembered_app_id": remembered}

    def _tell_the_end(self, stored: State, values: Values) -> None:
        left = [row["title"] for row in self.outcomes if row["outcome"] == "left"]
        if left:
            self.tell(f"Left to somebody else: {'; '.join(left)}. {stored.file} has what they need, and no secret.")
        known = {name: value for step in stored.done.values() for name, value in step["kept"].items()} | values
        if "app_url" not in known:
            return
        self.tell(f"Done: {known['app_url']}/api/dashboard. {stored.file} remembers this set-up.")
        self.tell("`./backup status` shows the first backup once this shell knows the app and you:")
        self.tell(f"export BACKUP_URL={known['app_url']}")
        self.tell(token_command(known["app_id"]))


def _with(wrong: list[str], collect: Callable[[], Values]) -> Values:
    """Collect answers; where that finds some wrong, add to what is wrong already. Raises `ValueError` with all."""
    try:
        return collect()
    except ValueError as error:
        raise ValueError("\n".join([*str(error).splitlines(), *wrong])) from None


def _keep(stored: State, answers: Values) -> None:
    stored.answers = dict(answers)
    stored.save()


def _check_names(due: Sequence[Step], asked: Asked) -> None:
    """Raises `ValueError` where --again or --leave names no step."""
    known = [step.id for step in due]
    unknown = sorted((asked.again | asked.leave) - set(known))
    if unknown:
        raise ValueError(f"there is no step {', '.join(unknown)}; the steps are {', '.join(known)}")


def _tell(line: str) -> None:
    notes.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def _agree(step: Step) -> bool:
    return typer.confirm(f"      {step.why}. Do it?", default=True, err=True)


def _ask(text: str, offered: str | None) -> str:
    return str(typer.prompt(text, default=offered, err=True, show_default=offered != ""))
