"""The workbook's queries run, and name what the app emits, as the exporter names it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader

from local.memory.world import World
from shared.adapters.log_records import fields
from shared.adapters.telemetry import Exports, OpenTelemetry
from shared.domain.metrics import METRICS, MetricKind
from tests.faults.living import fill
from tests.infra.bicep import INFRA, deploy
from tests.infra.queries import COLUMNS, Line, Sample, Span, ask
from tests.infra.test_alerts import ATTRIBUTES

WORKBOOK = json.loads((INFRA / "workbook.json").read_text())
QUERIES = {item["name"]: item["content"] for item in WORKBOOK["items"] if item["type"] == 3}
LOG_FIELDS = {"action", "run_id", "status"}
"""See `shared.adapters.log_records.fields`; `run.end` is logged with all of them."""
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _everything() -> Iterator[Sample | Span | Line]:
    """One of each that the app sends."""
    for name, attributes in ATTRIBUTES.items():
        yield Sample(NOW, name, 3.0, dict.fromkeys(attributes, "x"))
    yield Span(NOW, "get_versions", 120.0)
    yield Line(NOW, "run 1 ended: succeeded", 1, {"action": "run.end", "run_id": "1", "status": "succeeded"})
    yield Line(NOW, "a run was given up", 3, {"action": "run.fail"})


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_finds_what_the_app_sends(name: str) -> None:
    query = QUERIES[name]["query"]
    assert ask(query, _everything(), NOW, timedelta(days=1)), "it finds nothing of what is sent"
    assert ask(query, [], NOW, timedelta(days=1)) == []


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_what_exists(name: str) -> None:
    query = QUERIES[name]["query"]
    metrics = set(re.findall(r"'(backup\.[a-z_.]+)'", query))
    attributes = set(re.findall(r"customDimensions(?:\.|\[')(\w+)", query))
    (table,) = re.findall(r"^(\w+)$", query, re.MULTILINE)
    assert metrics <= ATTRIBUTES.keys()
    assert attributes <= ({a for m in metrics for a in ATTRIBUTES[m]} if metrics else LOG_FIELDS)
    assert table in COLUMNS
    assert QUERIES[name]["timeContextFromParameter"] == "TimeRange"
    assert QUERIES[name]["resourceType"] == "microsoft.insights/components"


def test_the_log_records_that_are_listed_are_those_of_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = {a for c in QUERIES.values() for a in re.findall(r"customDimensions\.action\) == '([a-z.]+)'", c["query"])}
    world = World(tmp_path)
    fill(world, 2)
    with caplog.at_level(logging.INFO, "backup"):
        world.back_up()
    logged = {found["action"]: found for record in caplog.records if "action" in (found := fields(record))}
    assert asked == {"run.end"}
    assert logged["run.end"].keys() >= LOG_FIELDS
    assert logged["run.end"]["status"] == "succeeded"


def test_every_metric_is_shown() -> None:
    shown = {m for content in QUERIES.values() for m in re.findall(r"'(backup\.[a-z_.]+)'", content["query"])}
    assert shown == ATTRIBUTES.keys()


def test_the_workbook_is_of_the_component_that_gets_the_telemetry() -> None:
    given = deploy().one("Microsoft.Insights/workbooks")
    assert given["properties"]["sourceId"] == "component.resourceId"
    assert json.loads(given["properties"]["serializedData"]) == WORKBOOK
    assert given["kind"] == "shared"
    names = [item["name"] for item in WORKBOOK["items"]]
    assert len(names) == len(set(names))


def test_metrics_arrive_by_the_names_that_queries_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def take(self: object, envelopes: list[Any]) -> MetricExportResult:
        sent.extend(envelopes)
        return MetricExportResult.SUCCESS

    monkeypatch.setattr(AzureMonitorMetricExporter, "_transmit", take)
    for name in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"):
        monkeypatch.setenv(f"APPLICATIONINSIGHTS_{name}", "true")
    key = "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://localhost/"
    exporter = AzureMonitorMetricExporter(connection_string=key, disable_offline_storage=True)
    telemetry = OpenTelemetry(Exports([PeriodicExportingMetricReader(exporter, 3_600_000)]))
    calls = {MetricKind.COUNTER: telemetry.count, MetricKind.HISTOGRAM: telemetry.record}
    for metric in METRICS.values():
        calls.get(metric.kind, telemetry.gauge)(metric.name, 2, **dict.fromkeys(metric.attributes, "x"))
    telemetry.flush()
    telemetry.shutdown()
    points = [(e.data.base_data.metrics[0], e.data.base_data.properties) for e in sent]
    found = {point.name: (point.value, properties) for point, properties in points if point.name in METRICS}
    assert found.keys() == METRICS.keys()
    for name, (value, properties) in found.items():
        assert value == 2
        assert properties.items() >= dict.fromkeys(METRICS[name].attributes, "x").items()
