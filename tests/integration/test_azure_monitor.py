"""Application Insights, as its ingestion endpoint gets what is exported."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from local.processes import free_port
from shared.adapters.telemetry import Exports, OpenTelemetry, to_azure_monitor

KEY = "00000000-0000-4000-8000-000000000001"
RUN = "20261124T023000Z-3fa9"


class Ingestion(BaseHTTPRequestHandler):
    """Takes envelopes as the service does."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        found = json.loads(body)
        self.server.envelopes.extend(found)  # type: ignore[attr-defined]
        counts = {"itemsReceived": len(found), "itemsAccepted": len(found), "errors": []}
        answer = json.dumps(counts).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def ingestion(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    server: Any = ThreadingHTTPServer(("127.0.0.1", free_port()), Ingestion)
    server.envelopes = []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_figures_traces_and_logs_reach_application_insights(ingestion: Any) -> None:
    connection = f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:{ingestion.server_port}/"
    telemetry = OpenTelemetry(to_azure_monitor(connection, None, 3_600))
    telemetry.take_logs()
    try:
        with telemetry.span("plan_run", RUN):
            logging.getLogger("backup.tests").error("something", extra={"action": "a"})
        telemetry.count("backup.runs", status="succeeded")
        telemetry.flush()
    finally:
        OpenTelemetry(Exports()).take_logs()
        telemetry.shutdown()
    by_kind = {e["data"]["baseType"]: e["data"]["baseData"] for e in ingestion.envelopes}
    assert by_kind.keys() == {"MetricData", "RemoteDependencyData", "MessageData"}
    assert by_kind["MetricData"]["metrics"][0]["name"] == "backup.runs"
    assert by_kind["RemoteDependencyData"]["name"] == "plan_run"
    assert by_kind["MessageData"]["message"] == "something"
    operations = {e["tags"].get("ai.operation.id") for e in ingestion.envelopes if "MetricData" not in str(e["data"])}
    assert len(operations) == 1, "the log record is in the span's trace"
