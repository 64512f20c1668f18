"""OpenTelemetry: metrics, traces and logs, to Azure Monitor, to an OTLP endpoint, or nowhere."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import get_current
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, set_span_in_context
from opentelemetry.trace import get_current_span as current_span

from shared.adapters.log_records import bound, fields
from shared.domain.metrics import METRICS, Metric, MetricKind
from shared.redaction import redact

SERVICE = "notebook-backup"
FLUSH_MILLISECONDS = 5_000
RESOURCE_ENVELOPES = "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED"
_LEVELS = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


@dataclass(frozen=True, slots=True)
class Exports:
    """Where figures go; nothing by default."""

    metrics: Sequence[MetricReader] = field(default=())
    spans: Sequence[SpanProcessor] = field(default=())
    logs: Sequence[LogRecordProcessor] = field(default=())


def to_otlp(endpoint: str, interval_seconds: float) -> Exports:
    """To a collector at `endpoint`, by OTLP over HTTP, metrics every `interval_seconds`."""
    # The exporters take long to load, and an app in Azure never needs these.
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    base = endpoint.rstrip("/")
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{base}/v1/metrics"), 1000 * interval_seconds)
    spans = BatchSpanProcessor(OTLPSpanExporter(f"{base}/v1/traces"))
    return Exports([reader], [spans], [BatchLogRecordProcessor(OTLPLogExporter(f"{base}/v1/logs"))])


def to_azure_monitor(connection: str, credential: Any | None, interval_seconds: float) -> Exports:
    """To Application Insights; by `credential` where its keys are off. What cannot be sent is not kept on disk."""
    # The exporter takes long to load, and a local run never needs it.
    from azure.monitor.opentelemetry.exporter import (
        AzureMonitorLogExporter,
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    # The exporter of spans would ask the process's tracer provider for its resource: there is none, and each export
    # would log an error with a traceback. The exporter knows no other switch.
    os.environ.setdefault(RESOURCE_ENVELOPES, "true")
    options: dict[str, Any] = {"connection_string": connection, "disable_offline_storage": True}
    if credential is not None:
        options["credential"] = credential
    reader = PeriodicExportingMetricReader(AzureMonitorMetricExporter(**options), 1000 * interval_seconds)
    spans = BatchSpanProcessor(AzureMonitorTraceExporter(**options))
    return Exports([reader], [spans], [BatchLogRecordProcessor(AzureMonitorLogExporter(**options))])


class OpenTelemetry:
    """See `shared.protocols.Telemetry`."""

    def __init__(self, exports: Exports) -> None:
        resource = Resource.create({SERVICE_NAME: SERVICE})
        self._metrics = MeterProvider(exports.metrics, resource=resource, shutdown_on_exit=True)
        self._spans, self._logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
        for span_processor in exports.spans:
            self._spans.add_span_processor(span_processor)
        for log_processor in exports.logs:
            self._logs.add_log_record_processor(log_processor)
        self._exports_logs = bool(exports.logs)
        self._tracer = self._spans.get_tracer(SERVICE)
        self._instruments = {name: self._instrument(metric) for name, metric in METRICS.items()}

    def count(self, name: str, amount: int = 1, **attributes: str) -> None:
        """See `Telemetry.count`."""
        self._instruments[name].add(amount, attributes)

    def record(self, name: str, value: float, **attributes: str) -> None:
        """See `Telemetry.record`."""
        self._instruments[name].record(value, attributes)

    def gauge(self, name: str, value: float, **attributes: str) -> None:
        """See `Telemetry.gauge`."""
        self._instruments[name].set(value, attributes)

    @contextmanager
    def span(self, name: str, run_id: str = "") -> Iterator[None]:
        """See `Telemetry.span`."""
        context = _trace_of(run_id) if run_id else None
        attributes = {"run_id": run_id} if run_id else {}
        with (
            bound(function=name, run_id=run_id),
            # An error's text is cleaned before it is kept: the library would keep it as it is.
            self._tracer.start_as_current_span(
                name, context, attributes=attributes, record_exception=False, set_status_on_exception=False
            ) as span,
        ):
            try:
                yield
            except Exception as error:
                span.set_status(StatusCode.ERROR, redact(f"{type(error).__name__}: {error}"))
                raise

    def flush(self) -> None:
        """See `Telemetry.flush`."""
        for provider in (self._metrics, self._spans, self._logs):
            provider.force_flush(FLUSH_MILLISECONDS)

    def shutdown(self) -> None:
        """Flush, and take nothing more."""
        for provider in (self._metrics, self._spans, self._logs):
            provider.shutdown()

    def take_logs(self) -> None:
        """Export what the app logs, in place of a handler that did so before."""
        logger = logging.getLogger("backup")
        for handler in [h for h in logger.handlers if isinstance(h, _LogHandler)]:
            logger.removeHandler(handler)
        if self._exports_logs:
            logger.addHandler(_LogHandler(self._logs))

    def _instrument(self, metric: Metric) -> Any:
        meter = self._metrics.get_meter(SERVICE)
        makers: dict[MetricKind, Callable[..., Any]] = {
            MetricKind.COUNTER: meter.create_counter,
            MetricKind.HISTOGRAM: meter.create_histogram,
            MetricKind.GAUGE: meter.create_gauge,
        }
        return makers[metric.kind](metric.name, unit=metric.unit, description=metric.meaning)


class _LogHandler(logging.Handler):
    """Hands log records over to the exporters, cleaned, with their fields."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        attributes: dict[str, Any] = dict(fields(record))
        if record.exc_info and record.exc_text:
            attributes["error"] = record.exc_text
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                context=get_current(),
                severity_text=record.levelname,
                severity_number=_LEVELS.get(record.levelno, SeverityNumber.UNSPECIFIED),
                body=redact(record.getMessage()),
                attributes=attributes,
            )
        )


def _trace_of(run_id: str) -> Any:
    """The context in which a run's spans have one trace, whatever process and message they come from.

    The trace's id follows from the run's, so that no message has to carry it.
    """
    digest = hashlib.sha256(run_id.encode()).digest()
    trace, root = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    if current_span().get_span_context().trace_id == trace:
        return None
    parent = SpanContext(trace, root, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(parent))
