"""What a measurement of costs counts: requests by what Azure charges for them, seconds, rows, and a month of them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.cost_phase import Phase, active_by_group, charged_seconds, is_settled
from bench.cost_table import (
    Measured,
    Price,
    Size,
    Stored,
    counted_table,
    month,
    month_table,
    read_measured,
    read_prices,
)
from bench.costs import DAILY, FIVE_MINUTES, HOURLY, MEASURED, PRICES
from bench.storage_log import CLASSES, UnknownRequest, classify, count
from bench.stored import entity_bytes
from local.functions_host.app_loader import LoadedFunction
from local.functions_host.invocations import Recorder
from tests.registered import functions

ROOT = Path(__file__).resolve().parent.parent.parent
REQUESTS = {
    ("blob", "write"): (
        "PUT /backup/backup/manifests/a.json.gz",
        "PUT /backup/backup/a%20b?comp=block&blockid=MQ%3D%3D",
        "PUT /backup/backup/a?comp=blocklist",
    ),
    ("blob", "list"): (
        "GET /backup/backup?restype=container&comp=list&prefix=plans%2F",
        "GET /backup/?comp=list&include=",
        "PUT /backup/backup?restype=container",
    ),
    ("blob", "read"): ("GET /backup/backup/staging/b00001", "GET /backup/backup/a(1)/b"),
    ("blob", "other"): (
        "HEAD /backup/backup/leases/commit",
        "PUT /backup/backup/leases/commit?comp=lease",
        "PUT /backup/backup/a?comp=metadata",
        "GET /backup/backup/a?comp=blocklist",
        "GET /backup/backup?restype=container",
        "HEAD /backup/backup?restype=container",
        "GET /backup/?restype=service&comp=properties",
    ),
    ("blob", "free"): ("DELETE /backup/backup/notices/x", "DELETE /backup/backup?restype=container"),
    ("table", "batch write"): ("POST /backup/$batch",),
    ("table", "write"): (
        "POST /backup/Tables",
        "POST /backup/runs",
        "PUT /backup/audit(PartitionKey='head',RowKey='a%2Fb')",
        "PATCH /backup/runs(PartitionKey='run',RowKey='x/y')",
    ),
    ("table", "read"): ("GET /backup/runs(PartitionKey='run',RowKey='20261130T221557Z-2cd4')",),
    ("table", "scan"): ("GET /backup/runs()?$filter=PartitionKey%20eq%20%27run%27",),
    ("table", "list"): ("GET /backup/Tables?$top=1",),
    ("table", "delete"): ("DELETE /backup/runs(PartitionKey='run',RowKey='x')", "DELETE /backup/Tables('runs')"),
    ("queue", "class 1"): (
        "PUT /backup/backup-plan",
        "POST /backup/backup-plan/messages",
        "POST /backup/backup-mail/messages?visibilitytimeout=0",
        "PUT /backup/backup-plan/messages/1?popreceipt=a&visibilitytimeout=30",
        "DELETE /backup/backup-plan/messages/1?popreceipt=a",
    ),
    ("queue", "class 2"): ("GET /backup/backup-plan?comp=metadata", "HEAD /backup/backup-plan?comp=metadata"),
    ("queue", "receive"): ("GET /backup/backup-plan/messages?numofmessages=1&visibilitytimeout=600",),
}


def _line(request: str, status: int) -> str:
    return f'127.0.0.1 - - [30/Nov/2026:22:15:56 +0000] "{request} HTTP/1.1" {status} -'


@pytest.mark.parametrize(("service", "kind"), REQUESTS)
def test_a_request_is_in_the_class_that_azure_charges(service: str, kind: str) -> None:
    for request in REQUESTS[service, kind]:
        assert classify(*request.split(" ", 1)) == (service, kind), request


def test_every_class_has_an_example() -> None:
    assert {(s, k) for s, kinds in CLASSES.items() for k in kinds} - {("table", "free"), ("queue", "free")} == set(
        REQUESTS
    )


def test_what_is_refused_is_free_and_what_fails_otherwise_is_not() -> None:
    lines = [_line("GET /backup/runs(PartitionKey='a',RowKey='b')", s) for s in (200, 404, 401, 403)]
    lines += [_line("PUT /backup/backup/a", s) for s in (201, 412, 403)]
    expected = {("table", "read"): 2, ("table", "free"): 2, ("blob", "write"): 2, ("blob", "free"): 1}
    assert count(["Azurite Blob service is starting at http://127.0.0.1:1", *lines]) == expected


def test_a_request_of_no_known_kind_is_not_left_out() -> None:
    with pytest.raises(UnknownRequest):
        count([_line("GET /backup", 200)])
    with pytest.raises(UnknownRequest):
        count(["nobody knows HTTP/1.1"])


def test_seconds_are_charged_once_however_many_run() -> None:
    assert charged_seconds([]) == 0
    assert charged_seconds([(0, 10), (2, 4), (9, 12)]) == 12
    assert charged_seconds([(0, 2.31), (100, 102.3)]) == 4.7
    assert charged_seconds([(0, 0.2), (50, 50.0)]) == 2, "a second at the least for each stretch"


def _events(*spans: tuple[str, str, float, float]) -> list[dict[str, Any]]:
    found = []
    for number, (function, trigger, first, last) in enumerate(spans):
        line = {"number": number, "function": function, "trigger": trigger}
        found += [{**line, "event": "begin", "at": first}, {**line, "event": "end", "at": last}]
    return found


def test_functions_that_scale_together_are_charged_together() -> None:
    events = _events(
        ("export", "queueTrigger", 0, 20),
        ("export", "queueTrigger", 5, 30),
        ("commit", "orchestrationTrigger", 10, 11),
        ("slice", "activityTrigger", 10.5, 14),
        ("plan", "queueTrigger", 10, 13),
        ("status", "httpTrigger", 1, 3),
        ("page", "httpTrigger", 2, 4),
    )
    assert active_by_group(events) == {"durable": 4, "export": 30, "http": 3, "plan": 3}


def test_a_part_is_over_when_all_that_began_has_ended_and_it_was_quiet() -> None:
    events = _events(("plan", "queueTrigger", 1, 5))
    assert is_settled(events, ["plan"], since=6)
    assert not is_settled(events, ["plan"], since=4)
    assert not is_settled(events, ["plan", "export"], since=6)
    assert not is_settled(events[:1], ["plan"], since=6)
    assert not is_settled([], ["plan"], since=6)


def test_the_timers_are_those_of_the_app() -> None:
    schedules = {f.get_function_name(): f.get_trigger().get_dict_repr() for f in functions()}
    timers = {name: t["schedule"] for name, t in schedules.items() if "schedule" in t}
    assert {n for n, s in timers.items() if "*/5 * * * *" in s} == set(FIVE_MINUTES)
    assert {n for n, s in timers.items() if re.fullmatch(r"0 \d+ \* \* \* \*", s)} == set(HOURLY)
    assert {n for n, s in timers.items() if s.startswith("%")} == set(DAILY)
    assert len(timers) == len(FIVE_MINUTES) + len(HOURLY) + len(DAILY)


def test_a_row_has_the_bytes_that_are_charged() -> None:
    row = {"PartitionKey": "ab", "RowKey": "cde", "n": 1, "text": "héllo", "raw": b"1234", "yes": True, "f": 0.5}
    own = (8 + 2 + 4) + (8 + 8 + 4 + 10) + (8 + 6 + 4 + 4) + (8 + 6 + 1) + (8 + 2 + 8)
    assert entity_bytes(row) == 4 + 2 * 5 + own


def _measured() -> Measured:
    day = Phase(
        "day",
        storage={"blob": {"write": 10, "free": 7}, "queue": {"class 1": 4, "class 2": 1, "receive": 99}, "table": {}},
        executions={"plan": 1, "export": 4},
        active_seconds={"export": 20.0, "plan": 5.0},
        telemetry_bytes={"MessageData": 1_000_000},
        vault_operations=3,
    )
    timers = Phase("five-minute timers", active_seconds={"watchdog": 2.0}, executions={"watchdog": 2, "look_around": 2})
    first = Phase("first run", active_seconds={"export": 1e6}, executions={"export": 1_000_000})
    stored = [Stored({"manifests": 10**9}, 1, 500, 1), Stored({"manifests": 3 * 10**9}, 2, 700, 1)]
    return Measured(Size(100, 10, 5), [first, day, timers], stored)


def test_a_month_is_thirty_days_and_their_timers() -> None:
    found = month(_measured())
    assert found["compute, GB-s"] == 2 * (30 * 25 + 30 * 288)
    assert found["executions"] == 30 * 5 + 30 * 288 * 2, "the timers' schedule came once while they were measured"
    assert (found["blob write"], found["queue operations"], found["vault operations"]) == (300, 150, 90)
    assert (found["blobs stored, GB"], found["logs and metrics, GB"]) == (1 + 30 * 2, 0.03)
    assert found["table rows stored, GB"] == (500 + 30 * 200) / 1e9


def test_what_is_free_costs_nothing_and_what_has_no_price_no_guess() -> None:
    price = Price(0.4, 1_000_000, 250_000, "", "", "")
    assert [price.cost(n) for n in (0, 250_000, 1_250_000)] == [0, 0, 0.4]
    assert dataclasses.replace(price, price=None).cost(1e9) is None


def test_everything_that_a_month_asks_for_is_in_the_list_of_prices() -> None:
    prices = read_prices(PRICES)
    assert prices.keys() == month(_measured()).keys()
    assert all(p.region and p.source for p in prices.values() if p.price is not None)
    table = month_table([_measured()], prices)
    assert "| blob write | 0.055 for 10,000 |  | 300 | 0.00 |" in table
    assert "| table operations | yours |" in table


def test_tables_are_made_again_from_the_lines_of_a_measurement() -> None:
    measured = _measured()
    size = dataclasses.asdict(measured.size)
    lines = [json.dumps({**size, "part": dataclasses.asdict(p)}) for p in measured.phases]
    lines += [json.dumps({**size, "stored": dataclasses.asdict(s)}) for s in measured.stored]
    assert read_measured([*lines, "| a table |"]) == [measured]
    table = counted_table([measured])
    assert "| first run | day | five-minute timers, 2 times |" in table
    assert "| queue: receive | 0 | 99 | 0 |" in table
    assert "queue: free" not in table, "nothing of this kind was asked"


def test_the_tables_of_the_documentation_are_those_of_the_measurement() -> None:
    found = read_measured(MEASURED.read_text().splitlines())
    text = (ROOT / "docs" / "costs.md").read_text()
    assert [m.size.notebooks for m in found] == [70_000, 100_000]
    for table in (*counted_table(found).split("\n\n"), month_table(found, read_prices(PRICES))):
        assert table.strip() in text


def test_invocations_are_written_down_at_both_ends(tmp_path: Path) -> None:
    times = iter(range(100))
    recorder = Recorder(tmp_path / "logs" / "invocations.jsonl", lambda: next(times))

    def fails(message: str) -> None:
        raise ValueError(message)

    async def waits(timer: str) -> str:
        return f"{timer} waited"

    given = [
        LoadedFunction("fails", {"type": "queueTrigger", "name": "message"}, fails, None),
        LoadedFunction("waits", {"type": "timerTrigger", "name": "timer"}, waits, None),
    ]
    failing, waiting = recorder.around(given)
    with pytest.raises(ValueError, match="a message"):
        failing.call(message="a message")
    result = waiting.call(timer="it")
    lines = (tmp_path / "logs" / "invocations.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["begin", "end", "begin"], "a coroutine is under way"
    assert asyncio.run(result) == "it waited"
    lines = (tmp_path / "logs" / "invocations.jsonl").read_text().splitlines()
    assert [json.loads(line)["at"] for line in lines] == [0, 1, 2, 3]
    assert {(e["number"], e["function"], e["trigger"]) for e in map(json.loads, lines)} == {
        (1, "fails", "queueTrigger"),
        (2, "waits", "timerTrigger"),
    }
