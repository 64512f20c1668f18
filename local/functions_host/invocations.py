"""Writes down when each invocation of a function began and ended, a line of JSON each."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from local.functions_host.app_loader import LoadedFunction


class Recorder:
    """One file of invocations.

    A line has `number`, the same at begin and end, `event` (`begin` or `end`), `function`, `trigger` (its binding's
    type) and `at`, in seconds of the epoch. An orchestrator's line is one turn of it.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._now = path, now
        self._lock, self._numbers = threading.Lock(), itertools.count(1)

    def around(self, functions: Sequence[LoadedFunction]) -> list[LoadedFunction]:
        """The same functions, each written down when it is invoked."""
        return [replace(f, call=functools.partial(self._invoke, f)) for f in functions]

    def _invoke(self, function: LoadedFunction, /, *arguments: Any, **named: Any) -> Any:
        number = next(self._numbers)
        self._write(number, "begin", function)
        result = None
        try:
            result = function.call(*arguments, **named)
        finally:
            if not inspect.iscoroutine(result):
                self._write(number, "end", function)
        return self._awaited(number, function, result) if inspect.iscoroutine(result) else result

    async def _awaited(self, number: int, function: LoadedFunction, result: Awaitable[Any]) -> Any:
        try:
            return await result
        finally:
            self._write(number, "end", function)

    def _write(self, number: int, event: str, function: LoadedFunction) -> None:
        line = {"number": number, "event": event, "function": function.name, "trigger": function.trigger["type"]}
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps({**line, "at": self._now()}) + "\n")
