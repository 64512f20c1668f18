"""Application Insights, as its ingestion endpoint gets what is exported."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from local.ingestion import Envelope, Ingestion
from shared.adapters.telemetry import RESOURCE_ENVELOPES, Exports, OpenTelemetry, to_azure_monitor

RUN = "20261124T023000Z-3fa9"


@pytest.fixture
def envelopes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[Envelope]]]:
    """A connection string, and what comes by it."""
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    monkeypatch.setenv(RESOURCE_ENVELOPES, "")
    monkeypatch.delenv(RESOURCE_ENVELOPES)
    found: list[Envelope] = []
    with Ingestion(found.append) as server:
        yield server.connection_string, found


def test_figures_traces_and_logs_reach_application_insights(
    envelopes: tuple[str, list[Envelope]], caplog: pytest.LogCaptureFixture
) -> None:
    connection, found = envelopes
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
    by_kind = {e["data"]["baseType"]: e["data"]["baseData"] for e in found}
    assert by_kind.keys() == {"MetricData", "RemoteDependencyData", "MessageData"}
    assert by_kind["MetricData"]["metrics"][0]["name"] == "backup.runs"
    assert by_kind["RemoteDependencyData"]["name"] == "plan_run"
    assert by_kind["MessageData"]["message"] == "something"
    operations = {e["tags"].get("ai.operation.id") for e in found if "MetricData" not in str(e["data"])}
    assert len(operations) == 1, "the log record is in the span's trace"
    assert [r.getMessage() for r in caplog.records if r.name.startswith("azure.") and r.levelno >= logging.ERROR] == []
