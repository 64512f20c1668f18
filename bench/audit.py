"""The audit trail on Azurite: records a second, appended one by one, by eight processes, in batches; and verified.

Then the report of all of it, beside as many changes of notebooks: its size, seconds and memory, and its PDF where
there is a Chromium. `python -m bench.audit --records 10000`
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any, cast

import typer

from bench.audit_writer import name
from local.azurite import Azurite
from shared.adapters.storage import StorageClients
from shared.clock import SystemClock
from shared.domain.audit import AuditAction, AuditEntry
from shared.services.audit.trail import AuditTrail

WRITERS = 8
BATCH = 100


def main(records: int = 10_000, single: int = 500) -> None:
    """Print one line of JSON for each part; `single` records are appended one by one, and as many by eight writers.

    Ends with 1 where the chain does not hold in the end, or a record of a writer is missing or twice.
    """
    with tempfile.TemporaryDirectory() as scratch, Azurite(Path(scratch)) as azurite:
        trail = _trail(azurite.connection_string)
        trail.append(_entry(0))
        began = time.monotonic()
        for number in range(single):
            trail.append(_entry(number))
        _show("one writer, one by one", began, single)
        whole = _eight(azurite.connection_string, trail, single)
        began, left = time.monotonic(), max(records - trail.head().sequence, 0)
        for first in range(0, left, BATCH):
            trail.append_many([_entry(n) for n in range(first, min(first + BATCH, left))])
        _show(f"one writer, {BATCH} at once", began, left)
        began = time.monotonic()
        verdict = trail.verify()
        _show("verified", began, verdict.records, intact=verdict.intact)
        _report(azurite.connection_string, Path(scratch), verdict.records)
    sys.exit(0 if verdict.intact and whole else 1)


def _eight(connection: str, trail: AuditTrail, count: int) -> bool:
    """Eight processes append to one chain at the same time; whether each of their records is in it once."""
    before, each = trail.head().sequence, count // WRITERS
    command = [sys.executable, "-m", "bench.audit_writer", str(each)]
    environment = {**os.environ, "AzureWebJobsStorage": connection}
    writers = [
        subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        for n in range(WRITERS)
    ]
    for writer in writers:
        cast("IO[bytes]", writer.stdout).readline()  # it has started, and waits
    began = time.monotonic()
    for writer in writers:
        cast("IO[bytes]", writer.stdin).close()
    ended = [writer.wait() for writer in writers]
    verdict = trail.verify()
    written = Counter(r.object for r in trail.records() if r.sequence > before)
    expected = {name(writer, number) for writer in range(WRITERS) for number in range(each)}
    whole = written.keys() == expected and written.total() == len(expected) and not any(ended)
    _show(f"{WRITERS} processes, one by one", began, len(expected), intact=verdict.intact, each_once=whole)
    return whole and verdict.intact


def _report(connection: str, scratch: Path, count: int) -> None:
    """In a process of its own, whose memory is that of the report alone."""
    command = [sys.executable, "-m", "bench.audit_report", str(scratch / "report.html"), str(count)]
    subprocess.run(command, env={**os.environ, "AzureWebJobsStorage": connection}, check=True)


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
