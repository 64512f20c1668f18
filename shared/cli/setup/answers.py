"""What a set-up has to know: each answer held to its form, asked again until it is right, remembered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.cli.setup.engine import Values
from shared.domain.mail import is_address

NAME = re.compile(r"[a-z][a-z0-9-]{1,20}")
GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NOTHING = "-"
"""Typed in place of an answer that may be empty, where an earlier one is offered."""

type Ask = Callable[[str, str | None], str]
"""Asks a question with the answer that is offered. Raises `typer.Abort` where nobody answers."""


def _addresses(value: str) -> bool:
    return all(is_address(part.strip()) for part in value.split(","))


def _recipients(value: str) -> bool:
    if not value.startswith("{"):
        return _addresses(value)
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _folder(value: str) -> bool:
    parts = value.split("/")
    return parts[0] == "" and len(parts) > 1 and not {"", ".", ".."} & set(parts[1:]) and not set("?#\n\t") & set(value)


def _branch(value: str) -> bool:
    """As `git check-ref-format` has it, for names without blanks."""
    parts = value.split("/")
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", value) and ".." not in value and not value.startswith("-")
    return bool(plain) and not any(not p or p.startswith(".") or p.endswith((".lock", ".")) for p in parts)


def _form(pattern: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(pattern, value) is not None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that has to be known; one without a `default` has to be answered. `wrong` says what to give."""

    name: str
    text: str
    default: str | None
    right: Callable[[str], bool]
    wrong: str

    @property
    def flag(self) -> str:
        """The option that answers it."""
        return f"--{self.name.replace('_', '-')}"

    def complaint(self, value: str | None) -> str:
        """What is wrong with an answer, empty where nothing is. Raises nothing."""
        if value is None or (value == "" and self.default != ""):
            return f"give {self.flag}: {self.text}; it {self.wrong}"
        return "" if (value == "" and self.default == "") or self.right(value) else f"{self.flag} {self.wrong}"

    def cleaned(self, value: str) -> str:
        """An answer without what people paste along with it."""
        value = value.strip()
        if self.name == "location":
            return value.replace(" ", "").lower()
        return value.rstrip("/") if self.name in ("databricks_host", "root") else value


QUESTIONS = (
    Question(
        "subscription",
        "Subscription id",
        None,
        lambda value: GUID.fullmatch(value) is not None,
        "must be an id such as 1b2c3d4e-0000-4000-8000-000000000001: `az account list --output table` shows yours",
    ),
    Question(
        "location",
        "Region",
        "westeurope",
        _form(r"[a-z]{4,30}[0-9]?"),
        "must be a region such as westeurope: `az account list-locations --query [].name` lists them",
    ),
    Question(
        "databricks_host",
        "Databricks workspace",
        None,
        _form(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.(azuredatabricks\.net|databricks\.azure\.(us|cn))"),
        "must be https:// and the workspace's host, such as https://adb-1234567890123456.7.azuredatabricks.net, "
        "without what follows it in the browser",
    ),
    Question(
        "warehouse",
        "SQL warehouse id that may read the audit table (empty: authors are unknown)",
        "",
        lambda value: re.fullmatch(r"[0-9a-fA-F]{16}", value) is not None or GUID.fullmatch(value) is not None,
        "must be the warehouse's id, 16 digits and letters a to f: it stands in the warehouse's overview",
    ),
    Question(
        "root",
        "Workspace folder to back up",
        "/Clients",
        _folder,
        "must be an absolute path of the workspace, such as /Clients",
    ),
    Question(
        "organisation",
        "Azure DevOps organisation",
        None,
        _form(r"[A-Za-z0-9]([A-Za-z0-9-]{0,48}[A-Za-z0-9])?"),
        "must be the name alone, without a URL: contoso of https://dev.azure.com/contoso",
    ),
    Question(
        "project",
        "Azure DevOps project",
        None,
        _form(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}"),
        "must have no blanks: rename it, or use its id",
    ),
    Question(
        "repository",
        "Repository",
        "notebooks",
        _form(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}"),
        "must be a name of letters, digits, dots, dashes and underscores, without blanks",
    ),
    Question("branch", "Branch", "main", _branch, "must be a branch name such as main"),
    Question(
        "alert_emails",
        "Who gets alerts (addresses with commas between them)",
        None,
        _addresses,
        "must be mail addresses with commas between them, such as ops@example.com",
    ),
    Question(
        "mail_to",
        "Who gets the backup's own mails (empty: nobody)",
        "",
        _recipients,
        "must be mail addresses with commas between them, or JSON by kind (docs/operator.md)",
    ),
    Question(
        "plan",
        "Plan: flexConsumption or elasticPremium",
        "flexConsumption",
        _form("flexConsumption|elasticPremium"),
        "must be flexConsumption or elasticPremium",
    ),
    Question("publish_with", "Publish with az or func", "az", _form("az|func"), "must be az or func"),
)


def collected(
    stored: Mapping[str, str], given: Mapping[str, str], ask: Ask | None, remember: Callable[[Values], None]
) -> Values:
    """Every answer: by flag, by question where `ask` is given, or as it was before.

    A wrong one is asked again. What is answered so far is handed to `remember` each time. Where nobody is asked, raises
    `ValueError` naming all that is missing or wrong at once, a line each.
    """
    found: Values = dict(stored)
    wrong: list[str] = []
    for question in QUESTIONS:
        known = stored.get(question.name, question.default)
        value = given.get(question.name)
        value = None if value is None else question.cleaned(value)
        if ask is not None:
            value = _asked(question, value, known, ask)
        value = known if value is None else value
        if complaint := question.complaint(value):
            wrong.append(complaint)
            continue
        found[question.name] = str(value)
        remember(found)
    if wrong:
        raise ValueError("\n".join(wrong))
    return found


def _asked(question: Question, value: str | None, known: str | None, ask: Ask) -> str:
    """The answer of a person: what a flag gave is taken where it is right. Raises what `ask` raises."""
    text = f"{question.text} ({NOTHING} for none)" if known and question.default == "" else question.text
    complaint = "" if value is None else question.complaint(value)
    while value is None or complaint:
        if complaint:
            text = f"{complaint}\n{question.text}"
        value = question.cleaned(ask(text, known))
        value = "" if value == NOTHING and question.default == "" else value
        complaint = question.complaint(value)
    return value


def shown(stored: Mapping[str, str], given: Mapping[str, str]) -> Values:
    """The answers as far as they are known, else placeholders, for a walk that runs nothing.

    Raises `ValueError` naming all that is wrong.
    """
    found: Values = {}
    wrong: list[str] = []
    for question in QUESTIONS:
        value = given.get(question.name, stored.get(question.name, question.default))
        if value is None or (value.startswith("<") and value.endswith(">")):
            found[question.name] = value or f"<{question.name.replace('_', '-')}>"
            continue
        found[question.name] = question.cleaned(value)
        wrong.append(question.complaint(found[question.name]))
    if any(wrong):
        raise ValueError("\n".join(filter(None, wrong)))
    return found


def parameter_complaints(given: tuple[str, ...], template: Path) -> list[str]:
    """What is wrong with further parameters of the template, `NAME=VALUE` each; `template` is the Bicep file."""
    declared = set(re.findall(r"^param (\w+) ", template.read_text(), re.MULTILINE)) if template.exists() else set()
    found = []
    for text in given:
        name, sign, _ = text.partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z]\w*", name):
            found.append(f"--parameter {text} must be NAME=VALUE")
        elif declared and name not in declared:
            found.append(f"--parameter {name}: infra/main.bicep has no such parameter (docs/azure.md lists them)")
    return found
