"""The audit trail on Azurite: records a second appended one by one, by eight writers, in batches; and verified.

`python -m bench.audit --records 10000`
"""

from __future__ import annotations

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import typer

from local.azurite import Azurite
from shared.adapters.storage import StorageClients
from shared.clock import SystemClock
from shared.domain.audit import AuditAction, AuditEntry
from shared.services.audit_trail import AuditTrail

WRITERS = 8
BATCH = 100


def main(records: int = 10_000, single: int = 500) -> None:
    """Print one line of JSON for each part; `single` records are appended one by one, and as many by eight writers."""
    with tempfile.TemporaryDirectory() as scratch, Azurite(Path(scratch)) as azurite:
        trail = _trail(azurite.connection_string)
        trail.append(_entry(0))
        began = time.monotonic()
        for number in range(single):
            trail.append(_entry(number))
        _show("one writer, one by one", began, single)
        _eight(azurite.connection_string, single)
        began, left = time.monotonic(), max(records - trail.head().sequence, 0)
        for first in range(0, left, BATCH):
            trail.append_many([_entry(n) for n in range(first, min(first + BATCH, left))])
        _show(f"one writer, {BATCH} at once", began, left)
        began = time.monotonic()
        verdict = trail.verify()
        _show("verified", began, verdict.records, intact=verdict.intact)


def _eight(connection: str, count: int) -> None:
    """Each writer is a process as far as the trail can tell: it shares no lock with the others."""
    trails = [_trail(connection) for _ in range(WRITERS)]

    def write(trail: AuditTrail) -> None:
        for number in range(count // WRITERS):
            trail.append(_entry(number))

    began = time.monotonic()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, trails))
    _show(f"{WRITERS} writers, one by one", began, count // WRITERS * WRITERS)


def _trail(connection: str) -> AuditTrail:
    return AuditTrail(StorageClients.from_connection_string(connection).tables(), SystemClock())


def _entry(number: int) -> AuditEntry:
    detail = {"notebooks": 500, "bytes": number * 1_000, "asked from": "192.0.2.1"}
    return AuditEntry(AuditAction.EXPORTED, "system", f"/Clients/acme/{number}", correlation="bench", detail=detail)


def _show(part: str, began: float, records: int, **figures: Any) -> None:
    seconds = time.monotonic() - began
    rate = round(records / seconds, 1)
    print(
        json.dumps(
            {"part": part, "records": records, "seconds": round(seconds, 2), "records_per_second": rate, **figures}
        ),
        flush=True,
    )


if __name__ == "__main__":
    typer.run(main)
