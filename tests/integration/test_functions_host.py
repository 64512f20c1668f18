"""The Functions host runs an app of every kind of function by its own bindings."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.processes import ChildProcess, free_port, port_answers

ROOT = Path(__file__).resolve().parent.parent.parent
APP = Path(__file__).resolve().parent / "host_app"
pytestmark = pytest.mark.xdist_group("host")


@dataclass
class Host:
    folder: Path
    storage: str
    port: int
    process: ChildProcess | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOST_APP_NOTES": str(self.folder / "notes")}
        environment["AzureWebJobsStorage"] = self.storage
        arguments = [str(self.port), str(self.folder / "host"), "--app-dir", str(APP)]
        command = [sys.executable, "-m", "local.functions_host", *arguments]
        self.process = ChildProcess("host", command, self.folder / "host.log", environment)
        self.process.wait_until(lambda: port_answers(self.port))

    def keys(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "host/keys.json").read_text())
        return found

    def call(self, method: str, path: str, body: object = None, **options: Any) -> requests.Response:
        url = f"http://127.0.0.1:{self.port}/{path}"
        return requests.request(method, url, data=json.dumps(body), timeout=20, **options)

    def notes(self, name: str) -> list[str]:
        file = self.folder / "notes" / name
        return file.read_text().splitlines() if file.exists() else []

    def send(self, queue: str, text: str) -> None:
        with QueueServiceClient.from_connection_string(self.storage) as service:
            client = service.get_queue_client(queue)
            client.send_message(base64.b64encode(text.encode()).decode())

    def output(self, instance_id: str) -> Any:
        """The output of an instance, once it is over."""
        _until(lambda: self.state(instance_id)["status"] in ("Completed", "Failed"))
        return self.state(instance_id)["output"]

    def state(self, instance_id: str) -> Any:
        return self.call("GET", f"api/state/{instance_id}").json()


def _until(ready: Callable[[], bool]) -> None:
    """Wait for what another process does; fails after a generous limit."""
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.02)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "notes").mkdir()
    with Azurite(tmp_path / "azurite") as storage:
        host = Host(tmp_path, storage.connection_string, free_port())
        host.start()
        yield host
        assert host.process
        host.process.stop()


def test_a_request_reaches_its_route_only_with_a_key(host: Host) -> None:
    assert host.call("POST", "api/echo/x").status_code == 401
    assert host.call("POST", "api/echo/x", headers={"x-functions-key": "wrong"}).status_code == 401
    for options in (
        {"headers": {"x-functions-key": host.keys()["default"]}},
        {"params": {"code": host.keys()["master"]}},
    ):
        answer = host.call("POST", "api/echo/ada?q=1", "body", **options)
        assert (answer.status_code, answer.headers["X-Test"]) == (201, "1")
        assert answer.json() == {"name": "ada", "q": "1", "body": '"body"'}
    assert host.call("GET", "api/echo/x").status_code == 405
    assert (host.folder / "host/keys.json").stat().st_mode & 0o077 == 0


def test_a_timer_runs_on_demand_with_the_master_key_only(host: Host) -> None:
    default, master = host.keys()["default"], host.keys()["master"]
    assert host.call("POST", "admin/functions/nightly", headers={"x-functions-key": default}).status_code == 401
    assert host.call("POST", "admin/functions/nightly", headers={"x-functions-key": master}).status_code == 202
    _until(lambda: host.notes("nightly") == ["False"])
    assert host.call("POST", "admin/functions/none", headers={"x-functions-key": master}).status_code == 404


def test_an_output_binding_sends_each_element_of_a_list_as_one_message(host: Host) -> None:
    host.send("fan", "piece")
    _until(lambda: sorted(host.notes("work")) == ["piece 1 1", "piece 2 1"])
    with QueueServiceClient.from_connection_string(host.storage) as service:
        content = service.get_queue_client("nobody-listens").receive_message().content
    assert base64.b64decode(content) == b"piece"


def test_messages_are_delivered_and_a_bad_one_ends_in_the_poison_queue(host: Host) -> None:
    for text in ("one", "bad", "two"):
        host.send("work", text)
    _until(lambda: host.notes("poison") == ["bad"])
    assert sorted(host.notes("work")) == ["bad 1", "bad 2", "bad 3", "one 1", "two 1"]


def test_an_orchestration_retries_waits_and_fans_out(host: Host) -> None:
    assert host.call("POST", "api/begin/flaky/i1", 3).text == "i1"
    assert host.output("i1") == {"first": 3, "second": [2, 4, 6]}
    assert len(host.notes("attempts")) == 3


def test_an_orchestration_whose_activity_keeps_failing_fails(host: Host) -> None:
    host.call("POST", "api/begin/flaky/i2", 99)
    host.output("i2")
    assert host.state("i2")["status"] == "Failed"
    assert len(host.notes("attempts")) == 3


def test_an_orchestration_survives_the_hosts_death(host: Host) -> None:
    host.call("POST", "api/begin/waits/i3", None)
    assert host.process
    host.process.kill()
    host.start()
    assert host.state("i3")["status"] == "Running"
    host.call("POST", "api/raise/i3/go", 21)
    assert host.output("i3") == 42


def test_a_live_instance_is_not_started_twice_and_a_finished_one_is_started_again(host: Host) -> None:
    assert host.call("POST", "api/begin/waits/i4", None).status_code == 200
    second = host.call("POST", "api/begin/waits/i4", None)
    assert (second.status_code, "already exists" in second.text) == (409, True)
    host.call("POST", "api/raise/i4/go", 1)
    assert host.output("i4") == 2
    assert host.call("POST", "api/begin/waits/i4", None).status_code == 200


def test_continue_as_new_starts_over_with_its_input(host: Host) -> None:
    host.call("POST", "api/begin/counts_down/i5", 3)
    assert host.output("i5") == "done"
    assert host.notes("count") == ["3", "2", "1"]
