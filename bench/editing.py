"""People who edit a workspace all the while that something is done to it, and what must be there afterwards."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import requests

from local.lab import Lab
from local.workspace.content import first_line

KINDS = ("edit",) * 16 + ("create",) * 2 + ("rename", "delete")
AWAY = (400, 404)
"""What a person is answered while a folder is on its way: nothing was edited then."""
USERS = ("ada@example.com", "grace@example.com", "linus@example.com")
type Notebooks = dict[str, tuple[str, str]]
"""Language and SHA-256 of what each notebook holds, by path."""


def notebooks_of(lab: Lab) -> Notebooks:
    """What the workspace holds now."""
    return {path: (language, digest) for (path, language), digest in lab.truth().items()}


@dataclass
class People:
    """Edit a notebook every so often, each once alone, half of the time in a folder of `near`.

    `expected` is what the workspace must hold. Leaving the context raises what an edit met other than `AWAY`.
    """

    lab: Lab
    expected: Notebooks
    every_seconds: float
    draw: random.Random
    near: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    away: int = 0
    edited: list[str] = field(default_factory=list)
    _touched: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._work: Future[None]

    def __enter__(self) -> Self:
        self._work = self._pool.submit(self._edit_until_stopped)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._work.result()

    def _edit_until_stopped(self) -> None:
        while not self._stop.wait(self.draw.expovariate(1 / self.every_seconds)):
            self._edit()

    def _edit(self) -> None:
        path = self._chosen()
        if path is None:
            return
        kind, number = self.draw.choice(KINDS), sum(self.done.values()) + self.away
        action, after = _action(kind, path, self.expected[path], number)
        try:
            self.lab.edit(action, user=self.draw.choice(USERS))
        except requests.HTTPError as error:
            if error.response.status_code not in AWAY:
                raise
            self.away += 1
            return
        self._touched |= {path, *after}
        if kind in ("rename", "delete"):
            del self.expected[path]
        self.expected |= after
        self.edited += after
        self.done[kind] += 1

    def _chosen(self) -> str | None:
        """A notebook that nobody has touched."""
        begins = self.draw.choice(self.near) if self.near and self.draw.random() < 0.5 else ""
        some = [p for p in self.expected if p.startswith(begins) and p not in self._touched]
        return self.draw.choice(some) if some else None


def _action(kind: str, path: str, held: tuple[str, str], number: int) -> tuple[dict[str, Any], Notebooks]:
    """What to ask of the workspace, and what that brings."""
    text = f"{first_line(held[0])}\n# written by a person, {number}\n"
    written = (held[0], hashlib.sha256(text.encode()).hexdigest())
    if kind == "create":
        made = f"{path}_made_{number}"
        return {"action": kind, "path": made, "language": held[0], "content": text}, {made: written}
    if kind == "rename":
        return {"action": kind, "path": path, "to": f"{path}_renamed_{number}"}, {f"{path}_renamed_{number}": held}
    if kind == "delete":
        return {"action": kind, "path": path}, {}
    return {"action": kind, "path": path, "content": text}, {path: written}


def differing(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """One line for each path that is not as it must be."""
    paths = sorted(p for p in wanted.keys() | found.keys() if wanted.get(p) != found.get(p))
    return [json.dumps([path, wanted.get(path), found.get(path)]) for path in paths]
