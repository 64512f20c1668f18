"""Real outside systems for tests: Azurite, a simulated workspace, a Git server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.azurite import Azurite
from local.processes import ChildProcess, free_port, port_answers

ROOT = Path(__file__).resolve().parent.parent
TOKEN, CONTROL = "token-of-tests", "control-of-tests"


@dataclass
class Served:
    """A server process with its control endpoints."""

    url: str
    process: ChildProcess
    folder: Path

    def control(self, what: str, body: dict[str, Any] | None = None) -> Any:
        method = "GET" if body is None else "POST"
        headers = {"Authorization": f"Bearer {CONTROL}"}
        response = requests.request(method, f"{self.url}/control/{what}", json=body, headers=headers, timeout=60)
        response.raise_for_status()
        return response


type Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a module of `local` with a data folder and further arguments."""
    yield from _serving(tmp_path)


@pytest.fixture(scope="module")
def serve_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The same for all tests of a module."""
    yield from _serving(tmp_path_factory.mktemp("served"))


def _serving(tmp_path: Path) -> Iterator[Serve]:
    started: list[ChildProcess] = []

    def start(module: str, *arguments: str, folder: Path | None = None, **more: str) -> Served:
        port, data = free_port(), folder or tmp_path / module
        names = ("SIMULATOR", "GIT_SERVER")
        environment = {f"{n}_TOKEN": TOKEN for n in names} | {f"{n}_CONTROL_TOKEN": CONTROL for n in names}
        environment |= {"PYTHONPATH": str(ROOT), **more}
        command = [sys.executable, "-m", module, str(port), str(data), *arguments]
        process = ChildProcess(module, command, tmp_path / f"{module}.log", environment)
        started.append(process)
        process.wait_until(lambda: port_answers(port))
        scheme = "https" if "--certificate" in arguments else "http"
        return Served(f"{scheme}://127.0.0.1:{port}", process, data)

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an Azurite of our own."""
    with Azurite(tmp_path_factory.mktemp("azurite")) as running:
        yield running.connection_string
