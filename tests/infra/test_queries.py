"""Every query of alerts and workbook is one to the vendor's own language service."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from local.npm_packages import NODE, install_packages
from tests.infra.bicep import INFRA
from tests.infra.test_workbook import QUERIES

# The language service is asked once for all of them.
pytestmark = pytest.mark.xdist_group("kusto")

PACKAGE = Path(__file__).parent / "kusto_package"
TABLES = {
    "customMetrics": "timestamp:datetime,name:string,value:real,valueCount:int,valueSum:real,valueMin:real,"
    "valueMax:real,customDimensions:dynamic",
    "dependencies": "timestamp:datetime,name:string,type:string,duration:real,customDimensions:dynamic",
    "traces": "timestamp:datetime,message:string,severityLevel:int,customDimensions:dynamic",
    "StorageBlobLogs": "TimeGenerated:datetime,Category:string,StatusCode:string,ObjectKey:string,"
    "RequesterObjectId:string",
}
"""https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete, and
https://learn.microsoft.com/azure/azure-monitor/reference/tables/storagebloblogs"""
FILES = {path.stem: path.read_text() for path in (INFRA / "queries").glob("*.kql")}
ALL = {**FILES, **{f"workbook {name}": content["query"] for name, content in QUERIES.items()}}
WRONG = {
    "no such column": "customMetrics | where nam == 'x'",
    "no such operator": "customMetrics | summarise x = count()",
    "a keyword for a name": "customMetrics | summarize latest = max(timestamp) | top 5 by latest desc",
    "no such table": "customMetric | count",
}


@cache
def _found() -> Mapping[str, list[str]]:
    modules = install_packages(PACKAGE, "kusto")
    tables = {name: f"({columns})" for name, columns in TABLES.items()}
    asked = json.dumps({"tables": tables, "queries": {**ALL, **WRONG}})
    command = [str(NODE), str(PACKAGE / "check.js"), str(modules.parent)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: Mapping[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_wrong_with_a_query(name: str) -> None:
    assert _found()[name] == []


@pytest.mark.parametrize("name", WRONG)
def test_a_query_that_is_wrong_is_found(name: str) -> None:
    assert _found()[name]


def test_all_of_them_are_looked_at() -> None:
    assert len(FILES) == 11
    assert len(ALL) >= 25
