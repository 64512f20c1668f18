"""The metrics: names, units, and what their attributes tell apart. docs/operator.md names the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """A count that grows, a distribution, or a value that stands."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `unit` is UCUM's."""

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()


_ALL = (
    Metric("backup.runs", MetricKind.COUNTER, "{run}", "runs that ended", ("status",)),
    Metric("backup.run.seconds", MetricKind.HISTOGRAM, "s", "a run from its start to its end", ("status",)),
    Metric("backup.run.phase.seconds", MetricKind.HISTOGRAM, "s", "one phase of a run", ("phase",)),
    Metric("backup.run.notebooks", MetricKind.COUNTER, "{notebook}", "notebooks by what a run did", ("outcome",)),
    Metric("backup.run.rate", MetricKind.GAUGE, "{notebook}/s", "notebooks a second of the last run"),
    Metric("backup.run.failures", MetricKind.COUNTER, "{failure}", "what a run could not bring in", ("code",)),
    Metric("backup.workspace.calls", MetricKind.COUNTER, "{call}", "calls that were answered", ("outcome",)),
    Metric("backup.queue.depth", MetricKind.GAUGE, "{message}", "messages that wait", ("queue",)),
    Metric("backup.repository.size", MetricKind.GAUGE, "By", "the repository's size, where it is known"),
    Metric("backup.restores", MetricKind.COUNTER, "{restore}", "restores and undos that ended", ("status",)),
    Metric("backup.restore.seconds", MetricKind.HISTOGRAM, "s", "a restore from request to proof", ("status",)),
    Metric("backup.verifications", MetricKind.COUNTER, "{verification}", "verifications that ended", ("status",)),
    Metric("backup.mails", MetricKind.COUNTER, "{mail}", "attempts to send a mail", ("status",)),
    Metric("backup.success.rate", MetricKind.GAUGE, "1", "share that succeeded in 30 days", ("of",)),
    Metric("backup.success.target", MetricKind.GAUGE, "1", "what that share is meant to be", ("of",)),
    Metric("backup.credential.days_left", MetricKind.GAUGE, "d", "days until it expires", ("credential",)),
    Metric("backup.success.age", MetricKind.GAUGE, "s", "time since the last run that succeeded ended"),
)
METRICS = {metric.name: metric for metric in _ALL}
