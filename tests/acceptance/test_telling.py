"""A whole system tells of itself: mails as the catcher got them, and figures, traces and logs as a collector did."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.queue import QueueServiceClient
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import sync_playwright

from local.lab import Lab
from local.processes import free_port
from local.system import LocalSystem, SystemOptions
from shared.adapters.storage import StorageClients
from shared.clock import SystemClock
from shared.domain.metrics import METRICS
from shared.services.audit.recorder import Recorder
from shared.services.audit.trail import AuditTrail
from shared.services.state.run_acts import RunActs
from shared.services.state.runs import RunStore, planning_message

FOLDER = "/Clients/a <script>alert(1)</script> & b"
HOSTILE = f"{FOLDER}/load\u202e 'é' <b>"
MOST_SECONDS, POLL_SECONDS = 60, 0.1
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
pytestmark = pytest.mark.xdist_group("telling")


@dataclass
class Collector:
    """An OTLP collector: what came, by metric, span and log record."""

    metrics: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    spans: list[Any] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (m for scope in resource.scope_metrics for m in scope.metrics):
                    self.metrics[metric.name].append(metric)
        elif path == "/v1/traces":
            for found in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [s for scope in found.scope_spans for s in scope.spans]
        else:
            for logged in ExportLogsServiceRequest.FromString(body).resource_logs:
                self.logs += [r for scope in logged.scope_logs for r in scope.log_records]


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, str]]:
    taken = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield taken, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, collector: tuple[Collector, str]) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("telling")
    (folder / "clones").mkdir()
    # A ceiling that the first doubling of the rate runs into.
    options = SystemOptions(folder / "data", port=0, notebooks=150, ceiling=40, plain=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector[1])
        patch.setenv("BACKUP_TELEMETRY_SECONDS", "1")
        with LocalSystem(options) as system:
            yield Lab(system, folder / "clones")


def _mails(lab: Lab, count: int) -> list[dict[str, Any]]:
    """The catcher's mails, once there are so many."""
    deadline = time.monotonic() + MOST_SECONDS
    while time.monotonic() < deadline:
        mails: list[dict[str, Any]] = requests.get(lab.system.mail_url, timeout=10).json()["mails"]
        if len(mails) >= count:
            return mails
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"there are no {count} mails")


@dataclass
class Told:
    """The runs, and the mails that came of them."""

    runs: list[dict[str, Any]]
    mails: list[dict[str, Any]]


@pytest.fixture(scope="module")
def told(lab: Lab) -> Told:
    """A run that succeeds, one that is partial, and one that fails."""
    lab.edit({"action": "mkdir", "path": FOLDER})
    lab.edit({"action": "create", "path": HOSTILE, "language": "PYTHON", "content": "print(1)\n"})
    runs = [lab.back_up()]
    _mails(lab, 1)
    lab.control("behaviour", {"denied": [FOLDER]})
    runs.append(lab.back_up())
    _mails(lab, 2)
    lab.control("behaviour", {"denied": []})
    runs.append(_failed(lab))
    return Told(runs, _mails(lab, 3))


def _failed(lab: Lab) -> dict[str, Any]:
    """A run whose planning came to nothing at every delivery, as the platform tells it: by the poison queue."""
    connection = lab.system.settings["AzureWebJobsStorage"]
    clients = StorageClients.from_connection_string(connection)
    run_id = _runs(clients).start("test")
    with QueueServiceClient.from_connection_string(connection) as service:
        text = base64.b64encode(planning_message(run_id).encode()).decode()
        service.get_queue_client("backup-plan-poison").send_message(text)
    _mails(lab, 3)
    found: dict[str, Any] = lab.client.call("GET", f"runs/{run_id}")
    return found


def test_each_run_has_one_mail_with_its_figures(lab: Lab, told: Told) -> None:
    assert [r["status"] for r in told.runs] == ["succeeded", "partial", "failed"]
    assert [re.search(r"\] (\w+)", m["subject"])[1] for m in told.mails] == ["succeeded", "partial", "failed"]  # type: ignore[index]
    for run, mail in zip(told.runs, told.mails, strict=True):
        assert (mail["from"], mail["to"]) == ("Notebook backup <backup@example.com>", "administrator@example.com")
        for part in ("text/plain", "text/html"):
            assert run["run_id"] in mail["parts"][part]
            assert f"{lab.system.url}/api/dashboard" in mail["parts"][part]


def test_the_partial_runs_mail_names_what_failed_and_what_to_do(told: Told) -> None:
    run, mail = told.runs[1], told.mails[1]
    text, html = mail["parts"]["text/plain"], mail["parts"]["text/html"]
    assert [f["path"] for f in run["failures"]] == [FOLDER]
    assert FOLDER in text
    assert "CAN READ" in text
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; b" in html


def test_the_failed_runs_mail_says_why_and_what_to_do(told: Told) -> None:
    text = told.mails[2]["parts"]["text/plain"]
    assert "planning failed at every delivery" in text
    assert "./backup doctor" in text


def test_firing_the_timers_again_sends_nothing_twice(lab: Lab, told: Told) -> None:
    for name in ("look_around", "watchdog", "look_around"):
        lab.system.fire_timer(name)
    assert len(_mails(lab, 3)) == 3
    clients = StorageClients.from_connection_string(lab.system.settings["AzureWebJobsStorage"])
    rows = list(clients.tables().query("mails", "event"))
    assert sorted(row.row["status"] for row in rows) == ["sent"] * 3


@pytest.mark.skipif(
    not Path(CHROMIUM).exists() and "CI" not in os.environ, reason="no Chromium is installed: apt-get install chromium"
)
@pytest.mark.parametrize("width", [360, 1000])
def test_a_mail_shows_whole_and_fetches_nothing(told: Told, width: int) -> None:
    asked: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for number, mail in enumerate(told.mails):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("request", lambda request: asked.append(request.url))
            page.on("dialog", lambda dialog: asked.append(dialog.message))
            page.set_content(mail["parts"]["text/html"])
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert told.runs[number]["run_id"] in page.inner_text("body")
            if folder := os.environ.get("BACKUP_SCREENSHOTS"):
                page.screenshot(path=f"{folder}/mail-{told.runs[number]['status']}-{width}.png", full_page=True)
            page.close()
        browser.close()
    assert asked == []


def _until(condition: Any) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(POLL_SECONDS)


def test_every_metric_that_the_guide_names_comes_and_no_other(
    lab: Lab, told: Told, collector: tuple[Collector, str]
) -> None:
    # Of this system's credentials nobody knows a date: test_credential_watch.py has that gauge.
    taken, wanted = collector[0], METRICS.keys() - {"backup.credential.days_left"}
    path = lab.client.call("GET", "notebooks", params={"q": "a"})["notebooks"][0]["path"]
    lab.client.call("POST", "restores", json={"paths": [path], "at": "latest", "suffix": " restored"})
    lab.client.call("POST", "verifications")
    lab.system.fire_timer("look_around")
    _until(lambda: taken.metrics.keys() >= wanted)
    assert taken.metrics.keys() == wanted
    outcomes = {
        attribute.value.string_value
        for metric in taken.metrics["backup.workspace.calls"]
        for point in metric.sum.data_points
        for attribute in point.attributes
    }
    assert outcomes == {"accepted", "refused"}


def test_a_run_is_one_trace_from_the_timer_to_its_commit(
    lab: Lab, told: Told, collector: tuple[Collector, str]
) -> None:
    taken, run_id = collector[0], told.runs[0]["run_id"]
    trace = hashlib.sha256(run_id.encode()).digest()[:16]
    whole = {"daily_backup", "plan_run", "export_batch", "commit_slice", "get_run"}
    _until(lambda: whole <= {s.name for s in taken.spans if s.trace_id == trace})
    lab.system.fire_timer("look_around")
    _until(lambda: {s.name for s in taken.spans} >= {*whole, "send_mail", "look_around", "list_runs"})


def test_logs_carry_run_function_and_trace(told: Told, collector: tuple[Collector, str]) -> None:
    taken = collector[0]
    _until(
        lambda: any("is partial" in r.body.string_value or "ended: partial" in r.body.string_value for r in taken.logs)
    )
    (found,) = [r for r in taken.logs if "ended: partial" in r.body.string_value]
    attributes = {a.key: a.value.string_value for a in found.attributes}
    run_id = told.runs[1]["run_id"]
    assert (attributes["run_id"], attributes["function"], attributes["action"]) == (run_id, "commit_slice", "run.end")
    assert found.trace_id == hashlib.sha256(run_id.encode()).digest()[:16]


def _runs(clients: StorageClients) -> RunStore:
    """The runs as the app has them."""
    tables, clock = clients.tables(), SystemClock()
    acts = RunActs(Recorder(AuditTrail(tables, clock), tables, {}), clients.blobs("backup"))
    return RunStore(tables, clients.queues(), clock, acts)
