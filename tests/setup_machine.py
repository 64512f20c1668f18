"""A checkout on a machine where the Azure tools are stand-ins."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from shared.cli.setup.engine import SetupStopped
from shared.cli.setup.steps import steps
from shared.cli.setup.walk import Asked, Walk
from tests.azure_tools import FORBIDDEN, Refused, Tools

ANSWERS = {
    "subscription": "1b2c3d4e-0000-4000-8000-000000000001",
    "databricks_host": "https://adb-1.2.azuredatabricks.net",
    "organisation": "contoso",
    "project": "data",
    "alert_emails": "ops@example.com",
    "warehouse": "0123456789abcdef",
}
IDS = [step.id for step in steps({"warehouse": "0123456789abcdef", "plan": "flexConsumption"})]
MADE_FIRST = IDS.index("providers")
"""Before it, nothing is made in Azure."""


@dataclass
class Machine:
    """The set-up on it, with what it told and which commands of the checkout it ran.

    `fault` is a part of a command line that is refused with `said`. `prints` are what commands of the checkout print,
    by a word of their command line, with their exit code.
    """

    folder: Path
    fault: str = ""
    said: str = FORBIDDEN
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    prints: dict[str, tuple[int, str]] = field(default_factory=dict)
    missing: str = ""

    def __post_init__(self) -> None:
        for name in ("function_app.py", "host.json"):
            self.checkout.mkdir(exist_ok=True)
            (self.checkout / name).write_text("first")

    @property
    def checkout(self) -> Path:
        """A checkout, as far as a package is made of it."""
        return self.folder / "checkout"

    def run(
        self,
        *again: str,
        agrees: bool = True,
        answers: list[str] | None = None,
        **given: Any,
    ) -> str:
        """The set-up with these answers and options of `Asked`; what it told, with the error where it stopped.

        `answers` are those of a person, who goes away after the last.
        """
        self.told.clear()
        options = {
            n: given.pop(n) for n in ("dry_run", "anew", "package", "app_id", "leave", "parameters") if n in given
        }
        ask = None if answers is None else self._person(answers)
        walk = Walk(self.folder / "state", self.checkout, self.told.append, lambda _: agrees, self._execute, ask)
        try:
            walk.go(Asked("backup", given, again=frozenset(again), **options))
        except SetupStopped as error:
            self.told.append(str(error))
        return "\n".join(self.told)

    def _person(self, answers: list[str]) -> Callable[[str, str | None], str]:
        waiting = iter(answers)

        def ask(text: str, offered: str | None) -> str:
            self.asked.append(f"{text} [{offered}]")
            answer = next(waiting, None)
            if answer is None:
                raise typer.Abort
            return answer or offered or ""

        return ask

    def _execute(self, argv: list[str], folder: Path, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        if argv[0] == self.missing:
            raise FileNotFoundError(argv[0])
        if argv[0] == "func":
            self.asked.append(f"in {folder.relative_to(self.checkout)}")
        if argv[0].startswith("./"):
            return self._own(argv, more)
        try:
            found = Tools(self.folder, self.fault, self.said).call(argv[0], argv[1:])
        except Refused as error:
            return subprocess.CompletedProcess(argv, 1, "", str(error))
        return subprocess.CompletedProcess(argv, 0, json.dumps(found) if found is not None else "", "")

    def _own(self, argv: list[str], more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        line = " ".join(argv)
        self.asked.append(" ".join([*more.values(), *argv]))
        if self.fault and self.fault in line:
            return subprocess.CompletedProcess(argv, 1, "", self.said)
        if argv == ["./package"]:
            write_package(self.checkout / "build", (self.checkout / "function_app.py").read_text())
        code, printed = next((v for word, v in self.prints.items() if word in line), (0, '[{"level": "ok"}]'))
        return subprocess.CompletedProcess(argv, code, printed, "")

    @property
    def commands(self) -> list[list[str]]:
        """Every command line that a stand-in got."""
        log = self.folder / "commands.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def cloud(self) -> dict[str, Any]:
        """What the stand-ins have made."""
        found: dict[str, Any] = json.loads((self.folder / "cloud.json").read_text())
        return found

    def change_cloud(self, **more: Any) -> None:
        """Have the stand-ins find something else."""
        file = self.folder / "cloud.json"
        file.write_text(json.dumps((self.cloud if file.exists() else {}) | more))

    @property
    def state(self) -> dict[str, Any]:
        """What is remembered."""
        found: dict[str, Any] = json.loads((self.folder / "state" / "backup.json").read_text())
        return found

    @property
    def done(self) -> list[str]:
        """The steps that are remembered as done."""
        return list(self.state["done"])

    def count(self, *words: str) -> int:
        """How many commands of `az` began so."""
        return [c[1 : len(words) + 1] for c in self.commands].count(list(words))


def write_package(folder: Path, content: str) -> None:
    """A package of a checkout that holds `content`."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "package.zip", "w") as archive:
        for name in ("function_app.py", "host.json", "manifest.json"):
            archive.writestr(zipfile.ZipInfo(name), content)
