"""Spans and log records arrive as the tables and columns that queries ask: as Azure's own exporter sends them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from azure.monitor.opentelemetry.exporter import AzureMonitorLogExporter, AzureMonitorTraceExporter
from azure.monitor.opentelemetry.exporter.export._base import ExportResult
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from shared.adapters.telemetry import Exports, OpenTelemetry

KEY = "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://localhost/"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What would go to Azure. Nothing does."""
    taken: list[Any] = []

    def take(self: object, envelopes: list[Any], *_: Any, **__: Any) -> ExportResult:
        taken.extend(envelopes)
        return ExportResult.SUCCESS

    for exporter in (AzureMonitorTraceExporter, AzureMonitorLogExporter):
        monkeypatch.setattr(exporter, "_transmit", take)
    for name in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"):
        monkeypatch.setenv(f"APPLICATIONINSIGHTS_{name}", "true")
    logger, before = logging.getLogger("backup"), [*logging.getLogger("backup").handlers]
    yield taken
    logger.handlers[:] = before


def test_a_span_is_a_dependency_within_the_process_by_its_name(sent: list[Any]) -> None:
    exporter = AzureMonitorTraceExporter(connection_string=KEY, disable_offline_storage=True)
    telemetry = OpenTelemetry(Exports(spans=[SimpleSpanProcessor(exporter)]))
    with telemetry.span("get_versions"):
        pass
    telemetry.shutdown()
    found = [e.data.base_data for e in sent if e.data.base_type == "RemoteDependencyData"]
    assert [(d.name, d.type) for d in found] == [("get_versions", "InProc")]


def test_a_log_record_is_a_trace_with_its_fields_as_dimensions(sent: list[Any]) -> None:
    exporter = AzureMonitorLogExporter(connection_string=KEY, disable_offline_storage=True)
    telemetry = OpenTelemetry(Exports(logs=[SimpleLogRecordProcessor(exporter)]))
    telemetry.take_logs()
    logger = logging.getLogger("backup.tests")
    logger.warning("run 1 ended", extra={"action": "run.end", "run_id": "1", "status": "succeeded"})
    telemetry.flush()
    telemetry.shutdown()
    (found,) = [e.data.base_data for e in sent if e.data.base_type == "MessageData"]
    assert found.message == "run 1 ended"
    assert {k: found.properties.get(k) for k in ("action", "run_id", "status")} == {
        "action": "run.end",
        "run_id": "1",
        "status": "succeeded",
    }
