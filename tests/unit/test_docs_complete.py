"""The documents hold together: links lead somewhere, commands parse, and no code, mail, alert or option is left out."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import shared.services
from functions.openapi import document
from shared.cli import app as backup
from shared.domain.advice import WHAT_TO_DO
from shared.domain.audit import AuditAction
from shared.domain.mail import MailKind
from shared.errors import BackupError

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALERTS = (
    *("run-failed", "run-partial", "no-success", "poison-messages", "deletions-held", "verification-failed"),
    *("restore-failed", "slow-answers", "credential-expiry", "repository-size", "package-changed"),
)
"""Alert rules link to the runbook of their name."""
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(\./backup [^`]+)`")


def _text(name: str) -> str:
    return (ROOT / name).read_text()


def _anchors(text: str) -> set[str]:
    """As GitHub and Azure DevOps make them of headings."""
    bare = _FENCE.sub("", text)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in _HEADING.findall(bare)}


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", file.read_text())):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (file.parent / name).resolve() if name else file
        assert target.exists(), f"{file.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target.read_text()), f"{file.name}: {link}"


def test_every_document_is_reached_from_the_index_or_the_readme() -> None:
    index = _text("docs/README.md") + _text("README.md")
    missing = [f.name for f in (ROOT / "docs").glob("*.md") if f.name != "README.md" and f.name not in index]
    assert missing == []


def _commands(text: str) -> Iterator[str]:
    """Command lines of `./backup`: those in fences by line, those in backticks."""
    for fence in _FENCE.findall(text):
        yield from (line.strip() for line in fence.splitlines() if line.strip().startswith("./backup "))
    yield from _INLINE.findall(_FENCE.sub("", text))


@functools.cache
def _commands_by_name() -> dict[str, Any]:
    """Each command by its words: those of a group are `group command`."""
    group: Any = typer.main.get_command(backup)
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        found |= {f"{name} {word}": sub for word, sub in below.items()} if below else {name: command}
    return found


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_command_line_parses(file: Path) -> None:
    for line in _commands(file.read_text()):
        words = shlex.split(re.split(r"\s{2,}|\s[>|]\s", line)[0].replace("[", "").replace("]", ""))[1:]
        name = words[0].partition("|")[0]
        if name.isupper() or name == "...":
            continue
        if any(known.startswith(f"{name} ") for known in _commands_by_name()):
            name = f"{name} {words[1].partition('|')[0]}"
        assert name in _commands_by_name(), line
        known = {o for p in _commands_by_name()[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        used = {w.partition("=")[0] for w in words[1:] if w.startswith("--")}
        assert used <= known | {"--url", "--key", "--token"}, line


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_is_said_beside_a_command_is_a_comment_of_the_shell(file: Path) -> None:
    """Whoever copies the line runs the command alone."""
    lines = [line.strip() for fence in _FENCE.findall(file.read_text()) for line in fence.splitlines()]
    typed = [line for line in lines if line.startswith(("./", "git ", "az "))]
    assert [line for line in typed if re.search(r"\s{2,}(?![#\s])", line)] == []


def test_every_option_of_every_command_is_in_a_document() -> None:
    everything = "".join(file.read_text() for file in DOCUMENTS)
    left_out = [
        f"{name} {option}"
        for name, command in _commands_by_name().items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and f"{option}" not in everything
    ]
    assert left_out == [], left_out


def _codes() -> set[str]:
    for module in pkgutil.walk_packages(shared.services.__path__, "shared.services."):
        importlib.import_module(module.name)
    waiting, found = [BackupError], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("shared."):
            found.add(kind.code)
    return found


def test_every_error_code_is_in_the_api_guide() -> None:
    guide, codes = _text("docs/api.md"), _codes() | {"invalid_request", "internal_error"}
    assert len(codes) >= 30
    assert sorted(code for code in codes if f"`{code}`" not in guide) == []


def test_every_failure_code_has_its_advice_in_a_guide() -> None:
    guides = _text("docs/api.md") + _text("docs/administrator.md")
    assert [code for code in WHAT_TO_DO if f"`{code}`" not in guides] == []


def test_every_parameter_of_the_api_is_in_its_guide() -> None:
    guide = _text("docs/api.md")
    names = {
        parameter["name"]
        for ways in document()["paths"].values()
        for operation in ways.values()
        for parameter in operation["parameters"]
        if parameter["in"] == "query"
    }
    assert len(names) >= 15
    assert sorted(n for n in names if f"?{n}=" not in guide and f"`{n}`" not in guide) == []


def test_every_mail_is_in_the_operators_guide_and_leads_to_a_runbook() -> None:
    operators, runbooks = _text("docs/operator.md"), _text("docs/runbooks.md")
    for kind in MailKind:
        if kind.value != "digest":
            assert f"`{kind.value}`" in operators, kind
            assert f"`{kind.value}`" in runbooks, kind


def test_every_alert_has_its_runbook() -> None:
    text = _text("docs/runbooks.md")
    assert [name for name in ALERTS if f"\n## {name}\n" not in text or f"](#{name})" not in text] == []
    queries = {file.stem for file in (ROOT / "infra" / "queries").glob("*.kql")}
    assert queries <= set(ALERTS)
    for name in ALERTS:
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for part in ("**Symptom.**", "**What it means.**", "**Look at.**", "**It is over**"):
            assert part in section, (name, part)


def test_every_act_is_in_the_compliance_guide() -> None:
    guide = _text("docs/compliance.md")
    assert [action.value for action in AuditAction if f"`{action.value}`" not in guide] == []
