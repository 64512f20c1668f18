"""Runs the steps of a set-up one after the other, remembers what is done, and goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

MOST_SHOWN_CHARACTERS = 2_000

type Execute = Callable[[list[str], Path, Mapping[str, str]], subprocess.CompletedProcess[str]]
"""Runs a command line in a folder with an environment. Raises `FileNotFoundError` where there is no such command."""
type Json = dict[str, Any]
type Values = dict[str, str]
"""What is known: answers, and what commands gave. Names are those of `$placeholders`."""


class SetupStopped(Exception):
    """A step could not be done; the message says what to do. Run the command again to go on from there."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line with `$placeholders`. `files` are written first, for arguments such as `@roles.json`.

    `expect` is what it prints when all is well, as shown to whoever reads along; `keep` takes values out of its
    JSON answer by a path such as `0.appId`, `""` being the whole. `complain` says what is wrong with the answer.
    `secret` names a value that is kept in memory alone. `environment` is added for the command. It runs in `folder`
    of the checkout.
    """

    argv: tuple[str, ...]
    expect: str = ""
    keep: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    complain: Callable[[Any], str] | None = None
    secret: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "."


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `look` finds out whether it is done: an answer that has all it is to keep means yes.

    A step with `every_time` is not remembered. `remedy` is what to do where it fails.
    """

    id: str
    title: str
    why: str
    acts: tuple[Command, ...] = ()
    look: Command | None = None
    remedy: str = ""
    every_time: bool = False


@dataclass
class State:
    """What was done, in one file: no secret is in it."""

    file: Path
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: Values = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> State:
        """The state of an earlier run, or an empty one."""
        found = json.loads(file.read_text()) if file.exists() else {}
        return cls(file, found.get("done", {}), found.get("answers", {}))

    def save(self) -> None:
        """Write it whole: a crash leaves the one before."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"answers": self.answers, "done": self.done}, indent=2) + "\n")
        fresh.replace(self.file)


@dataclass
class Setup:
    """Runs steps. `tell` shows a line, `agree` asks whether to run a step.

    `outcomes` has a row for each step that was reached: `step`, `title`, `outcome` (`shown`, `done`, `done before`,
    `there already`, `stopped`), `kept` (what later steps need of it, no secret), and of a step that is only shown
    its `commands`, each with what it prints.
    """

    state: State
    values: Values
    root: Path
    tell: Callable[[str], None]
    agree: Callable[[Step], bool]
    execute: Execute
    again: frozenset[str] = frozenset()
    dry_run: bool = False
    outcomes: list[Json] = field(default_factory=list)

    def run(self, steps: Sequence[Step]) -> None:
        """Every step that is not done yet. Raises `SetupStopped`."""
        for number, step in enumerate(steps, 1):
            self.tell(f"[{number}/{len(steps)}] {step.title}")
            row: Json = {"step": step.id, "title": step.title, "outcome": "stopped"}
            self.outcomes.append(row)
            row |= self._show(step) if self.dry_run else self._take(step)

    def _show(self, step: Step) -> Json:
        self.tell(f"      {step.why}")
        commands = []
        for command in filter(None, (step.look, *step.acts)):
            known = {**{n: f"<{n.replace('_', '-')}>" for n in _names(command)}, **self.values}
            commands.append({"command": _shown(command, known), "prints": _filled(command.expect, known)})
            for name, content in command.files.items():
                self.tell(f"      {_filled(name, known)}: {_filled(json.dumps(content), known)}")
            self.tell(f"      $ {_shown(command, known)}")
            for line in _filled(command.expect, known).splitlines():
                self.tell(f"        {line}")
        return {"outcome": "shown", "commands": commands}

    def _take(self, step: Step) -> Json:
        digest = self._digest(step)
        before = self.state.done.get(step.id)
        if before and before["digest"] == digest and not step.every_time and step.id not in self.again:
            self.values |= before["kept"]
            self.tell("      done before")
            return {"outcome": "done before", "kept": before["kept"]}
        kept, outcome = self._looked(step), "there already"
        if kept is None:
            outcome = "done"
            if not self.agree(step):
                raise SetupStopped(f"stopped before: {step.title}. Run the command again to go on.")
            kept = self._acted(step)
        self.values |= kept
        secrets = {c.secret for c in step.acts}
        stored = {n: v for n, v in kept.items() if n not in secrets}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.state.done[step.id] = {"digest": digest, "at": now, "kept": stored}
        self.state.save()
        return {"outcome": outcome, "kept": stored}

    def _looked(self, step: Step) -> Values | None:
        """What a look found, None where there is nothing yet."""
        if step.look is None:
            return None
        try:
            kept = self._execute(step.look)
        except SetupStopped:
            return None
        if kept is not None:
            self.tell("      is there already")
        return kept

    def _acted(self, step: Step) -> Values:
        kept: Values = {}
        try:
            for command in step.acts:
                self.tell(f"      $ {_shown(command, self.values | kept)}")
                found = self._execute(command, kept)
                if found is None:
                    raise SetupStopped(f"its answer lacks {', '.join(command.keep)}")
                kept |= found
        except SetupStopped as error:
            raise SetupStopped(f"{step.title}: {error}\n      What to do: {step.remedy or step.why}") from None
        return kept

    def _execute(self, command: Command, more: Mapping[str, str] | None = None) -> Values | None:
        """Run one command; what it is to keep, None where the answer lacks some of it. Raises `SetupStopped`."""
        values = {**self.values, **(more or {})}
        self._write(command, values)
        argv = [_filled(part, values) for part in command.argv]
        environment = {n: _filled(v, values) for n, v in command.environment.items()}
        try:
            result = self.execute(argv, self.root / command.folder, environment)
        except FileNotFoundError:
            raise SetupStopped(f"{argv[0]} is not installed") from None
        if result.returncode != 0:
            said = (result.stderr or result.stdout).strip()[-MOST_SHOWN_CHARACTERS:]
            raise SetupStopped(f"{argv[0]} ended with {result.returncode}: {said}")
        return _kept(command, result.stdout)

    def _write(self, command: Command, values: Values) -> None:
        for name, content in command.files.items():
            file = Path(_filled(name, values))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(json.dumps(content, indent=2), values))

    def _digest(self, step: Step) -> str:
        """Of the step with everything that is known: other answers make it due again."""
        commands = [c for c in (step.look, *step.acts) if c]
        known = {**{n: "" for c in commands for n in _names(c)}, **self.values}
        text = "\n".join(_filled(" ".join(c.argv) + json.dumps(dict(c.files)), known) for c in commands)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def execute(argv: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """See `Execute`: with this process's environment beside."""
    program = str(folder / argv[0]) if argv[0].startswith("./") else shutil.which(argv[0]) or argv[0]
    complete = {**os.environ, **environment}
    return subprocess.run([program, *argv[1:]], cwd=folder, env=complete, capture_output=True, text=True, check=False)


def _kept(command: Command, output: str) -> Values | None:
    answer = _answer(output)
    if command.complain and (complaint := command.complain(answer)):
        raise SetupStopped(complaint)
    found = {name: _at(answer, path) for name, path in command.keep.items()}
    if any(value in (None, "") for value in found.values()):
        return None
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def _answer(output: str) -> Any:
    try:
        return json.loads(output)
    except ValueError:
        return output.strip()


def _at(answer: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        if isinstance(answer, list):
            answer = answer[int(part)] if int(part) < len(answer) else None
        else:
            answer = answer.get(part) if isinstance(answer, dict) else None
    return answer


def _names(command: Command) -> set[str]:
    texts = (
        *command.argv,
        *command.files,
        json.dumps(dict(command.files)),
        command.expect,
        *command.environment.values(),
    )
    return {name for text in texts for name in Template(text).get_identifiers()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    try:
        return Template(text).substitute(values)
    except KeyError as error:
        raise SetupStopped(f"{error.args[0]} is not known yet: a step before was left out") from None


def _shown(command: Command, values: Mapping[str, str]) -> str:
    """The command line as it would be typed in a shell; of secrets, their names."""
    parts = [_filled(part, values) for part in command.argv]
    before = [f"{name}=..." for name in command.environment]
    before = [f"cd {command.folder} &&", *before] if command.folder != "." else before
    return " ".join([*before, *(part if _plain(part) else "'" + part.replace("'", "'\\''") + "'" for part in parts)])


def _plain(text: str) -> bool:
    return bool(text) and all(c.isalnum() or c in "-_./:=@<>,+%" for c in text)
