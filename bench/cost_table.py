"""What was measured, and what a month of it costs, as tables in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cost_phase import Phase
from bench.storage_log import CLASSES, FREE, POLL

DAYS = 30
TIMES_A_DAY = {"day": 1, "verification": 1, "five-minute timers": 288, "hourly timers": 24}
"""How often a day has each part; a first run is no part of a month."""
TOLD_BY = {"five-minute timers": "watchdog", "hourly timers": "send_digests"}
"""The function whose executions tell how often a part was done: its schedule may come while it is measured."""
INSTANCE_GB = 2.0
GB, MB, KB = 1e9, 1e6, 1e3
YOURS = "yours"


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes of blobs by the first part of their names, rows of tables and their bytes, bytes of the Git repository."""

    blobs: dict[str, int]
    rows: int
    row_bytes: int
    git_bytes: int


@dataclass(frozen=True, slots=True)
class Size:
    """Of a workspace, and how many of its notebooks a day changes."""

    notebooks: int
    folders: int
    changes: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One size: its parts, and what was stored after the first run and after the day."""

    size: Size
    phases: list[Phase]
    stored: list[Stored]


def read_measured(lines: Iterable[str]) -> list[Measured]:
    """The sizes that the JSON lines of a measurement tell of; its tables are left out."""
    found: dict[Size, Measured] = {}
    for line in map(json.loads, (line for line in lines if line.startswith("{"))):
        size = Size(line["notebooks"], line["folders"], line["changes"])
        measured = found.setdefault(size, Measured(size, [], []))
        if "part" in line:
            measured.phases.append(Phase(**line["part"]))
        else:
            measured.stored.append(Stored(**line["stored"]))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Price:
    """`price` for each `per` of a quantity, of which `free` are free each month; None where it is not known.

    `region` and `date` are those that `source`, an address, gives; empty where it gives none.
    """

    price: float | None
    per: float
    free: float
    region: str
    date: str
    source: str

    def cost(self, quantity: float) -> float | None:
        """Of a month's quantity."""
        return None if self.price is None else max(0.0, quantity - self.free) / self.per * self.price


def read_prices(path: Path) -> dict[str, Price]:
    """By what is charged."""
    return {name: Price(**price) for name, price in json.loads(path.read_text())["prices"].items()}


def counted_table(found: Sequence[Measured]) -> str:
    """For each size one row for each quantity that is not nothing, one column for each part; then what is stored."""
    return "\n".join([*map(_parts_table, found), _stored_table(found)])


def _parts_table(measured: Measured) -> str:
    parts = measured.phases
    rows = [
        _row("seconds", (f"{p.seconds:,.0f}" for p in parts)),
        _row("workspace calls", (f"{sum(p.workspace_calls.values()):,}" for p in parts)),
        _row("of these refused (429)", (f"{p.workspace_refused:,}" for p in parts)),
        *(
            _row(f"{service}: {kind}", (f"{p.storage.get(service, {}).get(kind, 0):,}" for p in parts))
            for service, kinds in CLASSES.items()
            for kind in kinds
        ),
        _row("executions", (f"{sum(p.executions.values()):,}" for p in parts)),
        _row("active seconds", (f"{sum(p.active_seconds.values()):,.1f}" for p in parts)),
        _row("GB-s", (f"{_gb_seconds(p):,.0f}" for p in parts)),
        _row("peak memory, MiB", (f"{p.peak_mb:,.0f}" for p in parts)),
        _row("log lines", (f"{p.telemetry_items.get('MessageData', 0):,}" for p in parts)),
        _row("log lines, figures and traces: items", (f"{sum(p.telemetry_items.values()):,}" for p in parts)),
        _row("log lines, figures and traces: kB", (f"{sum(p.telemetry_bytes.values()) / KB:,.0f}" for p in parts)),
        _row("sent to Git, kB", (f"{p.git_bytes.get('received', 0) / KB:,.0f}" for p in parts)),
        _row("fetched from Git, kB", (f"{p.git_bytes.get('sent', 0) / KB:,.0f}" for p in parts)),
        _row("vault operations", (f"{p.vault_operations:,}" for p in parts)),
    ]
    names = (p.name if _times(p) == 1 else f"{p.name}, {_times(p)} times" for p in parts)
    head = [f"{measured.size.notebooks:,} notebooks", *names]
    return _table([head, ["---"] * len(head), *(row for row in rows if set(row[1:]) - {"0", "0.0"})])


def _row(name: str, cells: Iterable[str]) -> list[str]:
    return [name, *cells]


def _stored_table(found: Sequence[Measured]) -> str:
    columns = [(m, name, stored) for m in found for name, stored in zip(("first run", "day"), m.stored, strict=True)]
    prefixes = sorted({prefix for _, _, stored in columns for prefix in stored.blobs})
    rows = [
        ["stored, MB", *(f"{m.size.notebooks:,}: after the {name}" for m, name, _ in columns)],
        ["---"] * (1 + len(columns)),
        *([f"blobs: {prefix}", *(f"{s.blobs.get(prefix, 0) / MB:,.2f}" for _, _, s in columns)] for prefix in prefixes),
        ["table rows", *(f"{s.rows:,}" for _, _, s in columns)],
        ["tables", *(f"{s.row_bytes / MB:,.2f}" for _, _, s in columns)],
        ["Git repository", *(f"{s.git_bytes / MB:,.2f}" for _, _, s in columns)],
    ]
    return _table(rows)


def month(measured: Measured) -> dict[str, float]:
    """Quantities of thirty days by what is charged; what a day adds is stored for all of them, and nothing is freed."""
    parts = [(DAYS * TIMES_A_DAY[p.name] / _times(p), p) for p in measured.phases if p.name in TIMES_A_DAY]
    first, second = measured.stored
    return {
        "compute, GB-s": sum(n * _gb_seconds(p) for n, p in parts),
        "executions": sum(n * sum(p.executions.values()) for n, p in parts),
        **{f"blob {k}": sum(n * p.storage.get("blob", {}).get(k, 0) for n, p in parts) for k in CLASSES["blob"][:-1]},
        "queue operations": sum(n * _operations(p, "queue") for n, p in parts),
        "table operations": sum(n * _operations(p, "table") for n, p in parts),
        "blobs stored, GB": _after(DAYS, sum(first.blobs.values()), sum(second.blobs.values())) / GB,
        "table rows stored, GB": _after(DAYS, first.row_bytes, second.row_bytes) / GB,
        "logs and metrics, GB": sum(n * sum(p.telemetry_bytes.values()) for n, p in parts) / GB,
        "vault operations": sum(n * p.vault_operations for n, p in parts),
        "sent to Git, GB": sum(n * p.git_bytes.get("received", 0) for n, p in parts) / GB,
    }


def _times(part: Phase) -> int:
    return part.executions.get(TOLD_BY.get(part.name, ""), 1)


def _after(days: int, first: int, second: int) -> float:
    return first + days * max(0, second - first)


def _operations(phase: Phase, service: str) -> int:
    return sum(n for kind, n in phase.storage.get(service, {}).items() if kind not in (FREE, POLL))


def _gb_seconds(phase: Phase) -> float:
    return INSTANCE_GB * sum(phase.active_seconds.values())


def month_table(found: Sequence[Measured], prices: dict[str, Price]) -> str:
    """Each thing that is charged with its price, and its quantity and cost for each size."""
    months = [month(m) for m in found]
    sizes = [f"{m.size.notebooks:,} notebooks, {m.size.changes:,} changes a day" for m in found]
    rows = [["", "price", "free", *(c for size in sizes for c in (size, "cost"))]]
    rows.append(["---"] * len(rows[0]))
    for name, price in prices.items():
        told = YOURS if price.price is None else f"{price.price:f}".rstrip("0").rstrip(".") + f" for {price.per:,.0f}"
        cells = [c for m in months for c in (_number(m[name]), _money(price.cost(m[name])))]
        rows.append([name, told, f"{price.free:,.0f}" if price.free else "", *cells])
    totals = [sum(p.cost(m[name]) or 0.0 for name, p in prices.items()) for m in months]
    rows.append(["sum of what has a price", "", "", *(c for total in totals for c in ("", _money(total)))])
    return _table(rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _money(value: float | None) -> str:
    return YOURS if value is None else f"{value:,.2f}"


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
