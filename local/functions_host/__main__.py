"""`python -m local.functions_host PORT DATA`: run an app's functions until told to stop."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from azure.identity import ManagedIdentityCredential
from azure.storage.queue import QueueServiceClient

from local.faults.crash_points import CONVERSION_POINTS, CRASH_POINTS, ROLLBACK_POINTS, CrashTap, kill_this_process
from local.faults.taps import tapped
from local.functions_host.app_loader import LoadedFunction, Send, load_app, load_host_json
from local.functions_host.durable_engine import DurableEngine, DurableStore
from local.functions_host.http import HttpFront, Keys, client_binding
from local.functions_host.invocations import Recorder
from local.functions_host.queues import INVISIBLE_SECONDS, QueueListener, QueueOptions, send_message
from local.functions_host.timers import TimerListener
from local.git_server import serve
from local.shifted_clock import ShiftedClock
from shared.wiring import Adapters, decorate


def main(
    port: int,
    data: Path,
    app_dir: Path = Path(),
    crash_at: str | None = None,
    invisible_seconds: int = INVISIBLE_SECONDS,
    clock_file: Path | None = None,
    invocations: Path | None = None,
) -> None:
    """Load the app, start its listeners, and serve; die at the point called `crash_at`, if one is named.

    `clock_file` says by how many seconds the app's clock is ahead. Invocations are written to the file that
    `invocations` names.
    """
    settings = load_host_json(app_dir)
    decorate(lambda adapters: _around(adapters, crash_at, clock_file))
    functions = load_app(app_dir.resolve())
    if invocations:
        functions = Recorder(invocations).around(functions)
    client = client_binding(f"http://127.0.0.1:{port}")
    engine = _engine(functions, settings, data)
    prefix = settings.get("extensions", {}).get("http", {}).get("routePrefix", "api")
    options = replace(QueueOptions.from_host_json(settings), invisible_seconds=invisible_seconds)
    queues, send = _queues(functions, options, client)
    front = HttpFront(functions, prefix, Keys(data / "keys.json"), engine, client, send)
    front.timers = {
        f.name: TimerListener(f.name, f.trigger["schedule"], data / "timers", _runner(f, client, send))
        for f in _of(functions, "timerTrigger")
    }
    listeners: list[QueueListener | TimerListener] = [*queues.values(), *front.timers.values()]
    engine.begin()
    for listener in listeners:
        listener.start()
    asyncio.run(serve(front.app, port))
    for listener in listeners:
        listener.stop()
    front.close()
    engine.stop()


def _around(adapters: Adapters, crash_at: str | None, clock_file: Path | None) -> Adapters:
    """The real adapters, with what a trial puts around them."""
    if clock_file:
        adapters = replace(adapters, clock=ShiftedClock(clock_file))
    return (
        tapped(
            adapters, CrashTap({**CRASH_POINTS, **CONVERSION_POINTS, **ROLLBACK_POINTS}[crash_at], kill_this_process)
        )
        if crash_at
        else adapters
    )


def _of(functions: list[LoadedFunction], kind: str) -> list[LoadedFunction]:
    return [f for f in functions if f.trigger["type"] == kind]


def _runner(function: LoadedFunction, client: str, send: Send | None = None) -> Any:
    return functools.partial(function.invoke, durable_client=client, send=send)


def _engine(functions: list[LoadedFunction], settings: dict[str, Any], data: Path) -> DurableEngine:
    durable = settings.get("extensions", {}).get("durableTask", {})
    return DurableEngine(
        DurableStore(data / "durable.sqlite"),
        {f.name: f.call for f in _of(functions, "orchestrationTrigger")},
        {f.name: _runner(f, "") for f in _of(functions, "activityTrigger")},
        int(durable.get("maxConcurrentActivityFunctions", 10)),
    )


def _queues(
    functions: list[LoadedFunction], options: QueueOptions, client: str
) -> tuple[dict[str, QueueListener], Send]:
    """Listeners by queue, and how a function's output reaches a queue."""
    service = _queue_service(os.environ)
    queues: dict[str, QueueListener] = {}

    def send(queue: str, message: str) -> None:
        if queue in queues:
            queues[queue].send(message)
        else:
            send_message(service, queue, message, options)

    for function in _of(functions, "queueTrigger"):
        name = function.trigger["queueName"]
        queues[name] = QueueListener(name, service, options, _runner(function, client, send))
    return queues, send


def _queue_service(settings: Mapping[str, str]) -> QueueServiceClient:
    """The storage account's queues, by its connection string or, as the platform's host does, by identity."""
    if "AzureWebJobsStorage" in settings:
        return QueueServiceClient.from_connection_string(settings["AzureWebJobsStorage"])
    client_id = settings.get("AzureWebJobsStorage__clientId") or settings.get("AZURE_CLIENT_ID")
    credential = ManagedIdentityCredential(client_id=client_id)
    return QueueServiceClient(settings["AzureWebJobsStorage__queueServiceUri"], credential)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for noisy in ("azure", "urllib3", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    typer.run(main)
