"""Verifications and rebuilds: their rows, their queue, and how they end."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from shared.clock import Clock
from shared.domain.audit import AuditAction, AuditEntry, AuditResult
from shared.domain.batches import Failure, Notice
from shared.domain.runs import make_run_id
from shared.errors import BackupError
from shared.protocols import Queue, Row, Tables
from shared.services.audit.recorder import Recorder
from shared.services.state.findings import FindingStore
from shared.services.state.run_acts import actor_of, asked_from

MAINTENANCE = "maintenance"
MAINTENANCE_QUEUE = "backup-maintenance"
_MOST_SHOWN = 50
_RESULT = {"passed": AuditResult.DONE, "failed": AuditResult.PARTIAL, "stopped": AuditResult.FAILED}


class Kind(StrEnum):
    """What is done: proving the backup's contents, or making manifest and checkpoint again."""

    VERIFY = "verify"
    REBUILD = "rebuild"


class UnknownMaintenance(BackupError):
    """There is no {kind} {id}. Start one with `./backup {kind}`."""

    code = "unknown_maintenance"


class MaintenanceStore:
    """Rows by kind and id. A row's `status` is `queued`, `running`, `passed`, `failed` or `stopped`."""

    def __init__(
        self,
        tables: Tables,
        queue: Queue,
        findings: FindingStore,
        clock: Clock,
        recorder: Recorder,
        entropy: Callable[[], str] = lambda: secrets.token_hex(2),
    ) -> None:
        self._tables, self._queue, self._findings = tables, queue, findings
        self._clock, self._recorder, self._entropy = clock, recorder, entropy

    def start(self, kind: Kind, trigger: str, who: str = "", origin: str = "") -> str:
        """Enqueue a verification or rebuild that `who` asked for, from `origin`; returns its id."""
        identity = make_run_id(self._clock.now(), self._entropy())
        row: Row = {"status": "queued", "trigger": trigger, "started_at": self._now()}
        row |= {"requested_by": who or None, "requested_from": origin or None}
        self._tables.upsert(MAINTENANCE, kind.value, identity, row)
        self.enqueue(kind, identity)
        return identity

    def enqueue(self, kind: Kind, identity: str) -> None:
        """Send the message that asks for a step."""
        self._queue.send(MAINTENANCE_QUEUE, json.dumps({"kind": kind.value, "id": identity}))

    def is_over(self, kind: Kind, identity: str) -> bool:
        """Whether there is nothing more to do; an id that nobody knows is over."""
        found = self._tables.get(MAINTENANCE, kind.value, identity)
        return found is None or found.row["status"] in ("passed", "failed", "stopped")

    def finish(
        self,
        kind: Kind,
        identity: str,
        failures: Sequence[Failure],
        notices: Sequence[Notice],
        counts: dict[str, int],
    ) -> None:
        """Store the outcome: findings, then the audit record, then the row that says `passed` or `failed`."""
        self._findings.record_failures(identity, kind.value, failures)
        self._findings.record_notices(identity, kind.value, notices)
        status = "failed" if failures else "passed"
        row: Row = {"status": status, "finished_at": self._now(), "failed": len(failures), **counts}
        self._record(kind, identity, row)
        self._tables.upsert(MAINTENANCE, kind.value, identity, row)

    def stop(self, kind: Kind, identity: str, reason: str) -> None:
        """End one that could not be done."""
        row: Row = {"status": "stopped", "finished_at": self._now(), "error": reason}
        self._record(kind, identity, row)
        self._tables.upsert(MAINTENANCE, kind.value, identity, row)

    def get(self, kind: Kind, identity: str) -> dict[str, Any]:
        """One with what it found. Raises `UnknownMaintenance`."""
        found = self._tables.get(MAINTENANCE, kind.value, identity)
        if found is None:
            raise UnknownMaintenance(kind=kind.value, id=identity)
        failures, notices = self._findings.failures(identity), self._findings.notices(identity)
        return {
            "id": identity,
            **found.row,
            "failures": [asdict(f) for f in failures],
            "notices": [asdict(n) for n in notices],
        }

    def recent(self, kind: Kind) -> list[dict[str, Any]]:
        """The newest first, without their findings."""
        rows = sorted(self._tables.query(MAINTENANCE, kind.value), key=lambda r: r.key, reverse=True)
        return [{"id": row.key, **row.row} for row in rows[:_MOST_SHOWN]]

    def _record(self, kind: Kind, identity: str, row: Row) -> None:
        found = self._tables.get(MAINTENANCE, kind.value, identity)
        asked: Row = found.row if found else {}
        entry = AuditEntry(
            action=AuditAction.VERIFIED if kind is Kind.VERIFY else AuditAction.REBUILT,
            actor=actor_of(asked),
            object="backup",
            result=_RESULT[str(row["status"])],
            correlation=identity,
            detail={**row, "trigger": asked.get("trigger"), **asked_from(asked)},
            key=f"ended {row['status']}",
        )
        self._recorder.record_all([entry])
        self._recorder.anchor()

    def _now(self) -> str:
        return self._clock.now().isoformat()
