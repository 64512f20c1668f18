"""The alert rules of a deployment, asked of telemetry that is made here: duckdb-kql runs their queries on DuckDB.

The tables are those of an Application Insights component
(https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete), and of a workspace's logs of blobs
(https://learn.microsoft.com/azure/azure-monitor/reference/tables/storagebloblogs), with the columns that are used.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import duckdb_kql

from tests.infra.bicep import deploy

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThanOrEqual": operator.le,
}
_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_TABLES = """
CREATE TABLE customMetrics(timestamp TIMESTAMP, name VARCHAR, valueSum DOUBLE, valueCount BIGINT, valueMin DOUBLE,
  valueMax DOUBLE, customDimensions JSON);
CREATE TABLE dependencies(timestamp TIMESTAMP, name VARCHAR, type VARCHAR, duration DOUBLE);
CREATE TABLE traces(timestamp TIMESTAMP, message VARCHAR, severityLevel INTEGER, customDimensions JSON);
CREATE TABLE StorageBlobLogs(TimeGenerated TIMESTAMP, Category VARCHAR, StatusCode VARCHAR, ObjectKey VARCHAR,
  RequesterObjectId VARCHAR);
"""
COLUMNS = {
    "customMetrics": {"timestamp", "name", "valueSum", "valueCount", "valueMin", "valueMax", "customDimensions"},
    "dependencies": {"timestamp", "name", "type", "duration"},
    "traces": {"timestamp", "message", "severityLevel", "customDimensions"},
    "StorageBlobLogs": {"TimeGenerated", "Category", "StatusCode", "ObjectKey", "RequesterObjectId"},
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, as it is exported: a counter's is what was added."""

    at: datetime
    name: str
    value: float
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """One span that is a dependency within the process."""

    at: datetime
    name: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Line:
    """One log record."""

    at: datetime
    message: str
    severity: int
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BlobCall:
    """One call to a storage account, as it is logged. `key` stands in quotes: `"/account/container/blob"`."""

    at: datetime
    category: str
    status: int
    key: str
    caller: str


type Telemetry = Iterable[Sample | Span | Line | BlobCall]


def rules(**parameters: Any) -> dict[str, Mapping[str, Any]]:
    """The alert rules by their name."""
    found = deploy(**parameters).of("avm/res/insights/scheduled-query-rule")
    return {a.given["actions"]["customProperties"]["runbook"].partition("#")[2]: a.given for a in found}


def duration(text: str) -> timedelta:
    """An ISO 8601 duration of days, hours and minutes."""
    parts = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", text)
    assert parts, text
    days, hours, minutes = (int(part or 0) for part in parts.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


@cache
def _translated(query: str) -> str:
    """A query as SQL. `now()` is a moment that never moves, so that a query is translated once."""
    moment = f"datetime({_NOW:%Y-%m-%dT%H:%M:%SZ})"
    sql: str = duckdb_kql.to_sql(re.sub(r"ago\((\w+)\)", rf"({moment} - \1)", query).replace("now()", moment))
    return sql


def ask(query: str, telemetry: Telemetry, now: datetime, back: timedelta) -> list[dict[str, Any]]:
    """The rows that a query finds in the telemetry of the time `back` before `now`."""
    connection = _connected()
    for name in COLUMNS:
        connection.execute(f"DELETE FROM {name}")  # noqa: S608 - the tables are named above
    for item in telemetry:
        if now - back < item.at <= now:
            _insert(connection, item, _NOW - (now - item.at))
    result = connection.execute(_translated(query))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@cache
def _connected() -> duckdb.DuckDBPyConnection:
    connection: duckdb.DuckDBPyConnection = duckdb_kql.connect()
    connection.execute(_TABLES)
    return connection


def firing(rule: Mapping[str, Any], telemetry: Telemetry, now: datetime) -> list[str]:
    """What a rule fires for: the values of its dimension, or one empty text; nothing where it does not fire."""
    (criterion,) = rule["criterias"]["allOf"]
    back = duration(rule["queryTimeRange"] or rule["windowSize"])
    compare, threshold = _OPERATORS[criterion["operator"]], criterion["threshold"]
    rows = ask(criterion["query"], telemetry, now, back)
    measure, dimensions = criterion["metricMeasureColumn"], criterion["dimensions"]
    over = [row for row in rows if row[measure] is not None and compare(float(row[measure]), threshold)]
    return sorted(str(row[dimensions[0]["name"]]) if dimensions else "" for row in over)


def _insert(connection: duckdb.DuckDBPyConnection, item: Sample | Span | Line | BlobCall, moment: datetime) -> None:
    at = moment.replace(tzinfo=None)
    if isinstance(item, Sample):
        value = item.value
        row: list[Any] = [at, item.name, value, 1, value, value, json.dumps(dict(item.attributes))]
        connection.execute("INSERT INTO customMetrics VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    elif isinstance(item, Span):
        connection.execute("INSERT INTO dependencies VALUES (?, ?, 'InProc', ?)", [at, item.name, item.milliseconds])
    elif isinstance(item, BlobCall):
        row = [at, item.category, str(item.status), item.key, item.caller]
        connection.execute("INSERT INTO StorageBlobLogs VALUES (?, ?, ?, ?, ?)", row)
    else:
        row = [at, item.message, item.severity, json.dumps(dict(item.fields))]
        connection.execute("INSERT INTO traces VALUES (?, ?, ?, ?)", row)
