"""One of the processes that append to the audit trail at the same time: see `bench.audit`."""

from __future__ import annotations

import os
import sys

from shared.adapters.storage import StorageClients
from shared.clock import SystemClock
from shared.domain.audit import AuditAction, AuditEntry
from shared.services.audit.trail import AuditTrail


def name(writer: int, number: int) -> str:
    """The object of one record, by which it is found again."""
    return f"writer {writer}, record {number}"


def main(count: int, writer: int) -> None:
    """Say that it is ready, wait until its input is closed, then append one by one."""
    tables = StorageClients.from_connection_string(os.environ["AzureWebJobsStorage"]).tables()
    trail = AuditTrail(tables, SystemClock())
    trail.head()
    print("ready", flush=True)
    sys.stdin.read()
    for number in range(count):
        detail = {"notebooks": 500, "asked from": "192.0.2.1"}
        trail.append(AuditEntry(AuditAction.EXPORTED, "system", name(writer, number), detail=detail))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
