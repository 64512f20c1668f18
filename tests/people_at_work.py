"""Twelve people who create, edit, move and delete notebooks, and the truth of who did what."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.versions import VersionKind

ROOT = "/Clients"
NAMES = ("ada", "bob", "cyn", "dan", "eve", "fay", "gus", "hal", "ivy", "jon", "kim", "lou")
TWELVE = tuple(f"{name}@example.com" for name in NAMES)
LONGEST_PAUSE_SECONDS = 1_800
FEWEST_NOTEBOOKS = 5
type Truth = dict[tuple[str, str], str]
"""Who did what: by path and kind of change."""
type Counts = Counter[tuple[str, str]]
"""How many changes, by person and kind."""


class Apply(Protocol):
    """Does one thing in the workspace, as somebody."""

    def __call__(self, op: str, user: str, /, **fields: str) -> None: ...


@dataclass
class PeopleAtWork:
    """No notebook is touched twice between two backups, so that each act is one change.

    `paths` are the notebooks that there are, `pause` lets seconds pass, `truth` is who did what in this day.
    """

    draw: random.Random
    apply: Apply
    paths: Callable[[], Iterable[str]]
    pause: Callable[[float], object]
    truth: Truth = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    made: int = 0

    def day(self, acts: int) -> None:
        """So many acts, spread over some hours, each by one of the twelve."""
        self.truth, self.touched = {}, set()
        for _ in range(acts):
            self.pause(self.draw.random() * LONGEST_PAUSE_SECONDS)
            self._act(self.draw.choice(TWELVE))

    def counts(self) -> Counts:
        """The truth by person and kind."""
        return Counter((who, kind) for (_, kind), who in self.truth.items())

    def did(self, who: str, path: str, kind: VersionKind) -> None:
        """Note what somebody did by other means."""
        self.touched.add(path)
        self.truth[path, kind.value] = who

    def _act(self, who: str) -> None:
        free = sorted(set(self.paths()) - self.touched)
        ops = ("edit", "edit", "edit", "create", "move", "delete")
        op = self.draw.choice(ops) if len(free) >= FEWEST_NOTEBOOKS else "create"
        path = f"{ROOT}/made {self.made}" if op == "create" else self.draw.choice(free)
        self.made += 1
        content = f"# {self.draw.random()}\n"
        if op == "create":
            self._do(op, who, path, VersionKind.CREATED, language="PYTHON", content=content)
        elif op == "edit":
            self._do(op, who, path, VersionKind.CHANGED, content=content)
        elif op == "delete":
            self._do(op, who, path, VersionKind.DELETED)
        else:
            self._do(op, who, path, VersionKind.RENAMED, to=f"{path} moved {self.made}")

    def _do(self, op: str, who: str, path: str, kind: VersionKind, **given: str) -> None:
        self.apply(op, who, path=path, **given)
        self.touched.add(path)
        self.did(who, given.get("to", path), kind)
