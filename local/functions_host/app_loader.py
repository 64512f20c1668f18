"""Loads `function_app.py` and reads what it registers."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.queue import QueueMessageOutConverter

TRIGGERS = ("timerTrigger", "queueTrigger", "httpTrigger", "orchestrationTrigger", "activityTrigger")
type Send = Callable[[str, str], None]
"""Puts a message, its second argument, on a queue."""
_LOOP_LOCK = threading.Lock()
_SETTING = re.compile(r"%([^%]+)%")


class UnsupportedApp(Exception):
    """The app asks for something that this host does not run; the message names the function."""


@dataclass(frozen=True, slots=True)
class LoadedFunction:
    """One function: its trigger's properties, its durable client argument, if any, its output queues by argument."""

    name: str
    trigger: dict[str, Any]
    call: Callable[..., Any]
    client_argument: str | None
    output_queues: dict[str, str] = field(default_factory=dict)

    def invoke(self, argument: Any, durable_client: str, send: Send | None = None) -> Any:
        """Run it with its trigger's value, then `send` (queue, message) what it put out.

        Coroutines share one loop, as they do in the platform's worker.
        """
        arguments = {self.trigger["name"]: argument}
        if self.client_argument:
            arguments[self.client_argument] = durable_client
        outputs = {name: _Output() for name in self.output_queues}
        result = self.call(**arguments, **outputs)
        if inspect.iscoroutine(result):
            with _LOOP_LOCK:
                # One loop for good: the durable client keeps a session that belongs to the first one it meets.
                loop = _loop()
            result = asyncio.run_coroutine_threadsafe(result, loop).result()
        for name, output in outputs.items():
            for message in output.messages():
                if send:
                    send(self.output_queues[name], message)
        return result


class _Output(func.Out[Any]):
    """What a function puts out to a queue, read as the vendor's converter encodes it for the host."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value

    def messages(self) -> list[str]:
        """One message for a string, one for each element of a list."""
        if self._value is None:
            return []
        datum = QueueMessageOutConverter.encode(self._value, expected_type=None)
        if datum.type != "json":
            return [datum.value if isinstance(datum.value, str) else datum.value.decode()]
        parsed = json.loads(datum.value)
        elements = parsed if isinstance(parsed, list) else [parsed]
        return [e if isinstance(e, str) else json.dumps(e) for e in elements]


@functools.lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="coroutines", daemon=True).start()
    return loop


def load_app(folder: Path) -> list[LoadedFunction]:
    """The functions that `folder/function_app.py` registers and that are not switched off. Raises `UnsupportedApp`."""
    sys.path.insert(0, str(folder))
    module = importlib.import_module("function_app")
    loaded = [_loaded(function) for function in module.app.get_functions()]
    return [function for function in loaded if not _is_disabled(function.name)]


def _is_disabled(name: str) -> bool:
    """Whether the app setting says so by which the platform switches one function off."""
    return os.environ.get(f"AzureWebJobs.{name}.Disabled", "").lower() in ("1", "true")


def load_host_json(folder: Path) -> dict[str, Any]:
    """The host's settings."""
    settings: dict[str, Any] = json.loads((folder / "host.json").read_text())
    return settings


def _loaded(function: Any) -> LoadedFunction:
    bindings = [{k: _plain(v) for k, v in b.get_dict_repr().items()} for b in function.get_bindings()]
    name = function.get_function_name()
    triggers = [b for b in bindings if b["type"] in TRIGGERS]
    if len(triggers) != 1:
        raise UnsupportedApp(f"{name} has no trigger that this host runs: {[b['type'] for b in bindings]}")
    clients = [b["name"] for b in bindings if b["type"] == "durableClient"]
    outputs = {b["name"]: b["queueName"] for b in bindings if b["type"] == "queue"}
    if outputs and triggers[0]["type"] not in ("queueTrigger", "timerTrigger", "httpTrigger"):
        raise UnsupportedApp(f"{name} has an output queue: this host serves none of an orchestration's")
    return LoadedFunction(name, triggers[0], function.get_user_function(), clients[0] if clients else None, outputs)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return resolve(value) if isinstance(value, str) else value


def resolve(text: str) -> str:
    """`%NAME%` as the app setting NAME. Raises `UnsupportedApp` for one that is not set."""

    def setting(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UnsupportedApp(f"the app setting {match[1]} is not set, and a binding names it")
        return os.environ[match[1]]

    return _SETTING.sub(setting, text)
