"""Thirty days of rows as runs, verifications, restores and measurements leave them, failures among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from shared.domain.batches import Failure
from shared.domain.restores import RestoreKind, RestoreRequest
from shared.domain.runs import make_run_id
from shared.protocols import BlobStore, Row, Tables
from shared.services.reporting.capacity import NOTEBOOKS_BLOB
from shared.services.state.findings import FindingStore

DAYS = 30
FAILED_DAY, PARTIAL_DAY = 12, 20
"""Counted back from today: the run of one day failed, that of another is partial."""
MIB = 2**20
FAILURES = [
    *(Failure(f"/Clients/acme/etl/load {n:02}", "permission_denied", "the workspace denies it") for n in range(7)),
    Failure("/Clients/globex/models/<b>train</b>", "too_large", "over 10 MB as source and over 100 MB as Jupyter"),
]


def run_row(started: datetime, day: int, status: str = "succeeded", **more: str | int | float | None) -> Row:
    """The row of a run that ended, `day` days ago."""
    seconds = 240.0 + 11 * (day * 7 % 13)
    ended = started + timedelta(seconds=seconds)
    created, changed = 20 + day * 37 % 90, 150 + day * 53 % 400
    counts = {"created": created, "changed": changed, "renamed": day % 4 * 5, "deleted": day % 5 * 8, "listed": 70_000}
    row: Row = {"status": status, "phase": "done", "trigger": "timer", "started_at": started.isoformat()}
    times = {"finished_at": ended.isoformat(), "seconds": seconds, "updated_at": ended.isoformat()}
    return {**row, **times, **counts, "planned": created + changed, "failed": 0, "commit": "3f" * 20, **more}


def seed(tables: Tables, blobs: BlobStore, now: datetime) -> None:
    """Rows up to `now`; the last run is partial, and the last verification passed."""
    for day in range(DAYS):
        _seed_run(tables, now - timedelta(days=day, hours=2), day)
        _seed_day(tables, now - timedelta(days=day), day)
    _seed_failures(tables, blobs, now)
    verified = {"status": "passed", "files": 70_000, "sampled": 2_334, "read_back": 200, "failed": 0}
    when = now - timedelta(hours=1)
    row: Row = {**verified, "started_at": when.isoformat(), "finished_at": when.isoformat()}
    tables.upsert("maintenance", "verify", make_run_id(when, "aaaa"), row)
    _seed_restores(tables, blobs, now)


def _seed_run(tables: Tables, started: datetime, day: int) -> None:
    special: Mapping[int, dict[str, str | int]] = {
        FAILED_DAY: {"status": "failed", "error": "Git could not push: HTTP 401", "listed": 0},
        PARTIAL_DAY: {"status": "partial", "failed": 3},
    }
    row = run_row(started, day) | special.get(day, {})
    tables.upsert("runs", "run", make_run_id(started, f"{day:04x}"), row)


def _seed_day(tables: Tables, when: datetime, day: int) -> None:
    size, copy = (1_900 - 12 * day) * MIB, 1_150 * MIB - day * MIB
    row: Row = {"size": size, "source": "server", "whole": True, "fetches": 0, "commit": "3f" * 20}
    rest: Row = {"notebooks": 70_000 - 20 * day, "full_copy": copy, "measured_at": when.isoformat()}
    tables.upsert("capacity", "day", f"{when:%Y%m%d}", {**row, **rest})


def _seed_failures(tables: Tables, blobs: BlobStore, now: datetime) -> None:
    started = now - timedelta(minutes=40)
    run_id = make_run_id(started, "ffff")
    tables.upsert("runs", "run", run_id, run_row(started, 0, "partial", failed=len(FAILURES)))
    FindingStore(blobs).record_failures(run_id, "export", FAILURES)
    large = [{"path": f"/Clients/globex/models/train {n}", "size": (9 - n) * MIB} for n in range(5)]
    grown = [{**found, "before": MIB, "grown": found["size"]} for found in large]
    told = {"largest": large, "growers": grown, "growers_since": (now - timedelta(30)).date().isoformat()}
    blobs.put(NOTEBOOKS_BLOB, json.dumps(told).encode())


def _seed_restores(tables: Tables, blobs: BlobStore, now: datetime) -> None:
    for hours, status, folder in ((5, "succeeded", None), (50, "partial", "/Clients/acme/etl")):
        when = now - timedelta(hours=hours)
        restore_id = make_run_id(when, "abcdef")
        paths = () if folder else ("/Clients/acme/etl/load 01",)
        request = RestoreRequest(
            RestoreKind.RESTORE,
            "latest",
            "3f" * 20,
            2,
            paths,
            folder,
            requested_by="ada@example.com",
            requested_from="x",
        )
        blobs.put(f"restores/{restore_id}/request.json", json.dumps(asdict(request)).encode())
        row: Row = {"kind": "restore", "status": status, "dry_run": False, "created_at": when.isoformat()}
        tables.upsert("restores", "restore", restore_id, {**row, "notebooks": 1 if paths else 12})


def under_way(tables: Tables, now: datetime) -> str:
    """A run that exports: its rows, half of it done; returns its id."""
    run_id = make_run_id(now - timedelta(seconds=100), "beef")
    started = (now - timedelta(seconds=100)).isoformat()
    row: Row = {"status": "running", "phase": "exporting", "started_at": started, "planned": 2_000, "listed": 70_000}
    tables.upsert("runs", "run", run_id, {**row, "updated_at": started})
    tables.upsert("checkpoints", "lease", "run", {"run_id": run_id})
    for batch, status in (("0001", "committed"), ("0002", "staged"), ("0003", "queued"), ("0004", "queued")):
        tables.upsert("batches", run_id, batch, {"status": status, "planned": 500, "notebooks": 500, "failed": 0})
    return run_id
