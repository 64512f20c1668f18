"""Figures, traces and logs as the exporters get them."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from local.memory.clock import ManualClock
from local.memory.telemetry import MemoryTelemetry
from shared import redaction
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.log_records import JsonFormatter, bind_records
from shared.adapters.telemetry import Exports, OpenTelemetry
from shared.domain.metrics import METRICS, MetricKind
from shared.redaction import redact_logs, remember
from shared.settings import Settings
from shared.wiring.messengers import connect_mailer, connect_telemetry

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = "20261124T023000Z-3fa9"
SECRET = "a-secret-of-tests-123456"
BASE = {"databricks_host": "https://x", "git_remote_url": "https://y"}


class Taken:
    """Telemetry whose exports are looked at."""

    def __init__(self) -> None:
        self.reader, self.spans, self.logs = InMemoryMetricReader(), InMemorySpanExporter(), InMemoryLogRecordExporter()
        exports = Exports([self.reader], [SimpleSpanProcessor(self.spans)], [SimpleLogRecordProcessor(self.logs)])
        self.telemetry = OpenTelemetry(exports)

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        assert data is not None
        metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
        return {m.name: list(m.data.data_points) for m in metrics}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taken]:
    monkeypatch.setattr(redaction, "_memory", redaction.Memory())
    before, made = logging.getLogRecordFactory(), Taken()
    level = logging.getLogger("backup").level
    logging.getLogger("backup").setLevel(logging.INFO)
    redact_logs()
    bind_records()
    made.telemetry.take_logs()
    yield made
    OpenTelemetry(Exports()).take_logs()
    logging.getLogger("backup").setLevel(level)
    logging.setLogRecordFactory(before)
    made.telemetry.shutdown()


def test_every_metric_is_exported_under_its_name_with_its_attributes(taken: Taken) -> None:
    for metric in METRICS.values():
        attributes = dict.fromkeys(metric.attributes, "x")
        calls = {
            MetricKind.COUNTER: lambda n, a: taken.telemetry.count(n, 2, **a),
            MetricKind.HISTOGRAM: lambda n, a: taken.telemetry.record(n, 2.0, **a),
            MetricKind.GAUGE: lambda n, a: taken.telemetry.gauge(n, 2.0, **a),
        }
        calls[metric.kind](metric.name, attributes)
    points = taken.points()
    assert points.keys() == METRICS.keys()
    for name, (point,) in points.items():
        assert point.attributes == dict.fromkeys(METRICS[name].attributes, "x")
        assert getattr(point, "value", None) == 2 or point.sum == 2


def test_a_metric_that_is_not_declared_is_refused(taken: Taken) -> None:
    with pytest.raises(KeyError):
        taken.telemetry.count("backup.unheard.of")
    with pytest.raises(KeyError):
        MemoryTelemetry().count("backup.unheard.of")
    with pytest.raises(ValueError, match="is a counter"):
        MemoryTelemetry().count("backup.runs", wrong="x")


def test_the_operators_guide_names_every_metric_with_unit_and_attributes_and_no_other() -> None:
    guide = (ROOT / "docs" / "operator.md").read_text()
    rows = re.findall(r"^\| `(backup\.[a-z._]+)` \| (\w+), (\S+) \| [^|]+ \| ([^|]*)\|$", guide, re.MULTILINE)
    documented = {name: (kind, unit) for name, kind, unit, _ in rows}
    assert documented == {m.name: (m.kind.value, m.unit) for m in METRICS.values()}
    for name, _, _, attributes in rows:
        assert re.findall(r"`([a-z_]+)`", attributes)[:1] == list(METRICS[name].attributes)


def test_a_runs_spans_have_one_trace_that_follows_from_its_id(taken: Taken) -> None:
    with taken.telemetry.span("plan_run", RUN), taken.telemetry.span("within", RUN):
        pass
    other = Taken()
    with other.telemetry.span("commit_slice", RUN):
        pass
    with taken.telemetry.span("get_status"):
        pass
    within, plan, status = taken.spans.get_finished_spans()
    (commit,) = other.spans.get_finished_spans()
    trace = int.from_bytes(hashlib.sha256(RUN.encode()).digest()[:16])
    assert {within.context.trace_id, plan.context.trace_id, commit.context.trace_id} == {trace}
    assert within.parent is not None
    assert within.parent.span_id == plan.context.span_id
    assert status.context.trace_id != trace
    assert (plan.name, dict(plan.attributes or {})) == ("plan_run", {"run_id": RUN})


def test_a_span_that_fails_says_so_without_a_secret(taken: Taken) -> None:
    remember(SECRET)
    with pytest.raises(ValueError, match="token"), taken.telemetry.span("plan_run", RUN):
        raise ValueError(f"token {SECRET} is wrong")
    (span,) = taken.spans.get_finished_spans()
    assert (span.status.is_ok, SECRET in span.to_json(), list(span.events)) == (False, False, [])
    assert "ValueError: token [redacted] is wrong" in str(span.status.description)


def test_what_is_logged_carries_its_run_function_and_trace(taken: Taken) -> None:
    remember(SECRET)
    log = logging.getLogger("backup.runs")
    with taken.telemetry.span("export_batch", RUN):
        log.info("batch %s", SECRET, extra={"action": "export", "detail": SECRET})
    (span,) = taken.spans.get_finished_spans()
    (found,) = taken.logs.get_finished_logs()
    record = found.log_record
    assert record.body == "batch [redacted]"
    assert {n: (record.attributes or {})[n] for n in ("run_id", "function", "action", "detail")} == {
        "run_id": RUN,
        "function": "export_batch",
        "action": "export",
        "detail": "[redacted]",
    }
    assert record.trace_id == span.context.trace_id


def test_a_threads_own_logs_do_not_carry_another_run(taken: Taken) -> None:
    with taken.telemetry.span("export_batch", RUN):
        thread = threading.Thread(target=lambda: logging.getLogger("backup.x").info("beside"))
        thread.start()
        thread.join()
    (found,) = taken.logs.get_finished_logs()
    assert "run_id" not in (found.log_record.attributes or {})


def test_the_console_has_one_line_of_json_a_record(taken: Taken) -> None:
    remember(SECRET)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger("backup").addHandler(handler)
    try:
        with taken.telemetry.span("plan_run", RUN):
            try:
                raise ValueError(f"line\nbreak {SECRET}")
            except ValueError:
                logging.getLogger("backup.chain").exception("it\nfailed", extra={"run_id": "own", "action": "a"})
    finally:
        logging.getLogger("backup").removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    row = json.loads(line)
    assert {n: row[n] for n in ("level", "logger", "message", "run_id", "function", "action")} == {
        "level": "ERROR",
        "logger": "backup.chain",
        "message": "it\nfailed",
        "run_id": "own",
        "function": "plan_run",
        "action": "a",
    }
    assert row["error"].startswith("Traceback")
    assert SECRET not in line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", row["time"])


def test_calls_are_counted_by_what_the_workspace_said() -> None:
    telemetry = MemoryTelemetry()
    tell = lambda outcome: telemetry.count("backup.workspace.calls", outcome=outcome)  # noqa: E731 - as it is wired
    limiter = AdaptiveLimiter(ManualClock(), tell=tell)
    limiter.accepted()
    limiter.refused()
    limiter.accepted()
    outcomes = [attributes["outcome"] for _, attributes in telemetry.of("backup.workspace.calls")]
    assert outcomes == ["accepted", "refused", "accepted"]


def test_settings_that_no_exporter_can_use_fail_no_backup(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.model_validate({**BASE, "application_insights": "nonsense"})
    connect_telemetry(settings, lambda: pytest.fail("no identity is needed")).count("backup.runs", status="succeeded")
    assert [r.levelname for r in caplog.records if r.name == "backup.mail"] == ["ERROR"]
    assert connect_mailer(Settings.model_validate(BASE), lambda: pytest.fail("none is named")) is None
