"""Runs the steps of a set-up one after the other, remembers what is done, and goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any

from shared.cli.setup.failures import remedy_for, shortened

type Execute = Callable[[list[str], Path, Mapping[str, str]], subprocess.CompletedProcess[str]]
"""Runs a command line in a folder with an environment. Raises `FileNotFoundError` where there is no such command."""
type Json = dict[str, Any]
type Values = dict[str, str]
"""What is known: answers, and what commands gave. Names are those of `$placeholders`."""
MOST_TRIED_CHARACTERS = 300


class SetupStopped(Exception):
    """A step could not be done; the message says what to do. Run the command again to go on from there."""


class CommandFailed(SetupStopped):
    """A command that could not be run, or whose answer shows that something is missing.

    `tried` is the command line, `remedy` what to do about the failure where it is a known one.
    """

    def __init__(self, tried: str, said: str, remedy: str = "") -> None:
        super().__init__(said)
        self.tried, self.remedy = tried, remedy


@dataclass(frozen=True, slots=True)
class Command:
    """A command line with `$placeholders`. `files` are written first, for arguments such as `@roles.json`.

    `expect` is what it prints when all is well, as shown to whoever reads along; `keep` takes values out of its
    JSON answer by a path such as `0.appId`, `""` being the whole. `complain` says what is wrong with the answer, given
    what is known; `codes` are the exit codes that come with one. In a look, a failure that `absent` is found in means
    that there is nothing yet. `secret` names a value that is kept in memory alone. `environment` is added for the
    command. It runs in `folder` of the checkout.
    """

    argv: tuple[str, ...]
    expect: str = ""
    keep: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    complain: Callable[[Any, Mapping[str, str]], str] | None = None
    secret: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "."
    codes: tuple[int, ...] = (0,)
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `look` finds out whether it is done: answers that have all that is to be kept mean yes.

    A step with `every_time` is not remembered; only one with `asks` makes something that takes a yes. `find` takes
    values out of files once the step is done; a remembered step counts as done while the same is found. `counts` are
    values that make it due again, beside those in its commands. `remedy` is what to do where it fails.
    """

    id: str
    title: str
    why: str
    acts: tuple[Command, ...] = ()
    look: tuple[Command, ...] = ()
    remedy: str = ""
    every_time: bool = False
    asks: bool = True
    find: Callable[[Mapping[str, str]], Values] | None = None
    counts: tuple[str, ...] = ()


@dataclass
class State:
    """What was done, in one file: no secret is in it."""

    file: Path
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: Values = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> State:
        """The state of an earlier run, or an empty one. Raises `ValueError` where the file is damaged."""
        try:
            found = json.loads(file.read_text()) if file.exists() else {}
            return cls(file, dict(found.get("done", {})), dict(found.get("answers", {})))
        except (ValueError, AttributeError, TypeError):
            raise ValueError(f"{file} is damaged: bring it back from a copy, or begin without it (--anew)") from None

    def save(self) -> None:
        """Write it whole: a crash leaves the one before."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"answers": self.answers, "done": self.done}, indent=2) + "\n")
        fresh.replace(self.file)

    def kept(self, step: str) -> Values:
        """What an earlier run of a step found out."""
        found: Values = self.done.get(step, {}).get("kept", {})
        return found


@dataclass
class Setup:
    """Runs steps. `tell` shows a line, `agree` asks whether to run a step.

    `again` are steps to do once more, `leave` those that somebody else does. `outcomes` has a row for each step that
    was reached: `step`, `title`, `outcome` (`shown`, `done`, `done before`, `there already`, `left`, `stopped`), `kept`
    (what later steps need of it, no secret), and of a step that is only shown its `commands`, each with what it prints.
    """

    state: State
    values: Values
    root: Path
    tell: Callable[[str], None]
    agree: Callable[[Step], bool]
    execute: Execute
    again: frozenset[str] = frozenset()
    leave: frozenset[str] = frozenset()
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
        for command in (*step.look, *step.acts):
            known = {**{n: f"<{n.replace('_', '-')}>" for n in _names(command)}, **self.values}
            commands.append({"command": _shown(command, known), "prints": _filled(command.expect, known)})
            for name, content in command.files.items():
                self.tell(f"      {_filled(name, known)}: {_filled(json.dumps(content), known)}")
            self.tell(f"      $ {_shown(command, known)}")
            for line in _filled(command.expect, known).splitlines():
                self.tell(f"        {line}")
        return {"outcome": "shown", "commands": commands}

    def _take(self, step: Step) -> Json:
        if step.id in self.leave:
            self.tell("      left to somebody else")
            self.values |= self.state.kept(step.id)
            return {"outcome": "left"}
        digest = self._digest(step)
        if self._is_done(step, digest):
            self.values |= self.state.kept(step.id)
            self.tell("      done before")
            return {"outcome": "done before", "kept": self.state.kept(step.id)}
        try:
            kept, outcome = self._made(step)
        except SetupStopped as error:
            raise self._told(step, error) from None
        self.values |= kept
        secrets = {c.secret for c in (*step.look, *step.acts)}
        stored = {n: v for n, v in kept.items() if n not in secrets}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.state.done[step.id] = {"digest": digest, "at": now, "kept": stored}
        self.state.save()
        return {"outcome": outcome, "kept": stored}

    def _is_done(self, step: Step, digest: str) -> bool:
        before = self.state.done.get(step.id)
        if not before or before["digest"] != digest or step.every_time or step.id in self.again:
            return False
        try:
            return step.find is None or step.find(self.values) == before["kept"]
        except (ValueError, OSError):
            return False

    def _made(self, step: Step) -> tuple[Values, str]:
        """What is known of a step once it is done, and how that came. Raises `SetupStopped`."""
        kept = self._looked(step)
        if kept is not None:
            return kept, "there already"
        if step.asks and not self.agree(step):
            raise SetupStopped("you said no")
        kept = self._acted(step)
        try:
            return kept | (step.find(self.values | kept) if step.find else {}), "done"
        except (ValueError, OSError) as error:
            raise SetupStopped(str(error)) from None

    def _told(self, step: Step, error: SetupStopped) -> SetupStopped:
        """The failure of a step, in lines: what was tried, what was said, what to do, how to go on."""
        known, tried = ("", "")
        if isinstance(error, CommandFailed):
            known, tried = error.remedy, error.tried
        remedy = " ".join(
            filter(None, (Template(known).safe_substitute(self.values), step.remedy and f"{step.remedy}."))
        )
        lines = [
            f"Stopped at: {step.title} ({step.id})",
            *([f"Tried: {tried}"] if tried else []),
            f"Failed: {error}",
            f"What to do: {remedy or 'put right what it says'}",
            f"Then: run `./backup setup {self.values.get('name', '')}` again: it goes on here, and remembers the rest.",
        ]
        return SetupStopped("\n".join(lines))

    def _looked(self, step: Step) -> Values | None:
        """What a look found, None where there is nothing yet. Raises `SetupStopped` where nobody could look."""
        kept: Values = {}
        for command in step.look:
            try:
                found = self._execute(command, kept)
            except CommandFailed as error:
                if command.absent and re.search(command.absent, str(error)):
                    return None
                raise
            if found is None:
                return None
            kept |= found
        if not step.look:
            return None
        self.tell("      is there already")
        return kept

    def _acted(self, step: Step) -> Values:
        kept: Values = {}
        for command in step.acts:
            self.tell(f"      $ {_shown(command, self.values | kept)}")
            found = self._execute(command, kept)
            if found is None:
                raise CommandFailed(
                    _shown(command, self.values | kept),
                    f"its answer lacks {', '.join(command.keep)}",
                    f"{command.argv[0]} is another version than is known here: bring it up to date.",
                )
            kept |= found
        return kept

    def _execute(self, command: Command, more: Mapping[str, str] | None = None) -> Values | None:
        """Run one command; what it is to keep, None where the answer lacks some of it. Raises `CommandFailed`."""
        values = {**self.values, **(more or {})}
        argv = [_filled(part, values) for part in command.argv]
        environment = {n: _filled(v, values) for n, v in command.environment.items()}
        tried = _shown(command, values)[:MOST_TRIED_CHARACTERS]
        try:
            self._write(command, values)
            result = self.execute(argv, self.root / _filled(command.folder, values), environment)
        except OSError as error:
            said = f"{argv[0]} is not installed" if isinstance(error, FileNotFoundError) else f"{argv[0]}: {error}"
            raise CommandFailed(tried, said, remedy_for(said)) from None
        if result.returncode not in command.codes:
            said = (result.stderr or result.stdout).strip() or "it said nothing"
            raise CommandFailed(tried, f"{argv[0]} ended with {result.returncode}: {shortened(said)}", remedy_for(said))
        answer = _answer(result.stdout)
        if complaint := _complaint(command, answer, values):
            raise CommandFailed(tried, complaint, remedy_for(complaint))
        return _kept(command, answer)

    def _write(self, command: Command, values: Values) -> None:
        for name, content in command.files.items():
            file = Path(_filled(name, values))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_filled(json.dumps(content, indent=2), values))

    def _digest(self, step: Step) -> str:
        """Of what the step does with everything that is known: other answers make it due again."""
        known = {**{n: "" for c in step.acts for n in _names(c)}, **self.values}
        texts = [_filled(" ".join(c.argv) + json.dumps(dict(c.files)), known) for c in step.acts]
        texts += [known.get(name, "") for name in step.counts]
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def execute(argv: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """See `Execute`: with this process's environment beside."""
    program = str(folder / argv[0]) if argv[0].startswith("./") else shutil.which(argv[0]) or argv[0]
    complete = {**os.environ, **environment}
    return subprocess.run(
        [program, *argv[1:]],
        cwd=folder,
        env=complete,
        stdin=subprocess.DEVNULL,  # a tool that would ask ends, and says so
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _complaint(command: Command, answer: Any, values: Mapping[str, str]) -> str:
    try:
        return command.complain(answer, values) if command.complain else ""
    except (AttributeError, KeyError, TypeError, ValueError):
        return f"its answer is of another form than is known here: {str(answer)[:MOST_TRIED_CHARACTERS]}"


def _kept(command: Command, answer: Any) -> Values | None:
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
            answer = answer[int(part)] if part.isdecimal() and int(part) < len(answer) else None
        else:
            answer = answer.get(part) if isinstance(answer, dict) else None
    return answer


def _names(command: Command) -> set[str]:
    texts = (
        *command.argv,
        *command.files,
        json.dumps(dict(command.files)),
        command.expect,
        command.folder,
        *command.environment.values(),
    )
    return {name for text in texts for name in Template(text).get_identifiers()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    try:
        return Template(text).substitute(values)
    except KeyError as error:
        raise SetupStopped(f"{error.args[0]} is not known yet: whoever does the step before it goes first") from None


def _shown(command: Command, values: Mapping[str, str]) -> str:
    """The command line as it would be typed in a shell; of secrets, their names."""
    parts = [_filled(part, values) for part in command.argv]
    before = [f"{name}=..." for name in command.environment]
    before = [f"cd {_filled(command.folder, values)} &&", *before] if command.folder != "." else before
    return " ".join([*before, *(part if _plain(part) else "'" + part.replace("'", "'\\''") + "'" for part in parts)])


def _plain(text: str) -> bool:
    return bool(text) and all(c.isalnum() or c in "-_./:=@<>,+%" for c in text)
