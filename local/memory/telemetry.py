"""Telemetry in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.domain.metrics import METRICS, MetricKind

type Figure = tuple[str, float, dict[str, str]]


@dataclass
class MemoryTelemetry:
    """See `shared.protocols.Telemetry`. Holds each call to what its metric declares."""

    figures: list[Figure] = field(default_factory=list)
    spans: list[tuple[str, str]] = field(default_factory=list)

    def count(self, name: str, amount: int = 1, **attributes: str) -> None:
        """See `Telemetry.count`."""
        self._take(MetricKind.COUNTER, name, amount, attributes)

    def record(self, name: str, value: float, **attributes: str) -> None:
        """See `Telemetry.record`."""
        self._take(MetricKind.HISTOGRAM, name, value, attributes)

    def gauge(self, name: str, value: float, **attributes: str) -> None:
        """See `Telemetry.gauge`."""
        self._take(MetricKind.GAUGE, name, value, attributes)

    @contextmanager
    def span(self, name: str, run_id: str = "") -> Iterator[None]:
        """See `Telemetry.span`."""
        self.spans.append((name, run_id))
        yield

    def flush(self) -> None:
        """See `Telemetry.flush`."""

    def of(self, name: str) -> list[tuple[float, dict[str, str]]]:
        """Every value of a metric with its attributes, in the order they came."""
        return [(value, attributes) for found, value, attributes in self.figures if found == name]

    def _take(self, kind: MetricKind, name: str, value: float, attributes: dict[str, str]) -> None:
        metric = METRICS[name]
        if metric.kind is not kind or set(attributes) != set(metric.attributes):
            raise ValueError(f"{name} is a {metric.kind} with the attributes {metric.attributes}")
        self.figures.append((name, value, attributes))
