"""Plans, conversions and rollbacks of Git folders as durable operations: a row each, and what they were asked for."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.clock import Clock
from shared.domain.audit import AuditAction, AuditEntry, AuditResult
from shared.domain.runs import make_run_id
from shared.errors import BackupError
from shared.protocols import BlobStore, Row, Tables
from shared.services.audit.recorder import Recorder
from shared.services.git_folders.store import GIT_FOLDERS, key_of

_OPERATIONS = "operation"
MOST_ERROR_CHARACTERS = 1_000
MOST_KEPT_PATHS = 200
type Json = dict[str, Any]


class UnknownOperation(BackupError):
    """There is no plan, conversion or rollback {id}. `./backup gitfolder status` lists those there are."""

    code = "unknown_operation"


class OperationActive(BackupError):
    """{id} is still under way, and folders are moved by one at a time. Wait for it: `./backup gitfolder status`."""

    code = "operation_active"


class OperationKind(StrEnum):
    """What an operation does."""

    PLAN = "plan"
    CONVERT = "convert"
    ROLLBACK = "rollback"


class OperationStatus(StrEnum):
    """How an operation stands. `PARTIAL`: some folders came to another end than was asked for."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"


class Outcome(StrEnum):
    """What became of one folder in an operation."""

    CONVERTED = "converted"
    ROLLED_BACK = "rolled_back"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    STALE = "stale"  # it changed since the last backup: tried again after the next one
    FAILED = "failed"


_ACTION = {
    OperationKind.PLAN: AuditAction.GIT_FOLDERS_PLANNED,
    OperationKind.CONVERT: AuditAction.GIT_FOLDERS_CONVERTED,
    OperationKind.ROLLBACK: AuditAction.GIT_FOLDERS_ROLLED_BACK,
}
_RESULT = {
    OperationStatus.SUCCEEDED: AuditResult.DONE,
    OperationStatus.PARTIAL: AuditResult.PARTIAL,
    OperationStatus.FAILED: AuditResult.FAILED,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: folders by path, or all that the plan has. `accept` names kinds of losses."""

    kind: OperationKind
    folders: tuple[str, ...] = ()
    all: bool = False
    accept_losses: bool = False
    requested_by: str = ""
    requested_from: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is worked on: what was asked for, and its row as of the last write."""

    id: str
    request: Request
    row: Row = field(default_factory=dict)


class OperationStore:
    """Rows of the table `gitfolders`, and blobs `gitfolders/{id}/...`."""

    def __init__(
        self,
        tables: Tables,
        blobs: BlobStore,
        clock: Clock,
        recorder: Recorder,
        entropy: Callable[[], str] = lambda: secrets.token_hex(2),
    ) -> None:
        self._tables, self._blobs, self._clock, self._recorder, self._entropy = tables, blobs, clock, recorder, entropy

    def open(self, request: Request) -> Operation:
        """Keep a request, then the row that makes it known. Raises `OperationActive`."""
        if request.kind is not OperationKind.PLAN:
            for other in self.running():
                if self.load(other).request.kind is not OperationKind.PLAN:
                    raise OperationActive(id=other)
        identity = make_run_id(self._clock.now(), self._entropy())
        body = {"kind": request.kind.value, "folders": list(request.folders), "all": request.all}
        body |= {"accept_losses": request.accept_losses}
        body |= {"requested_by": request.requested_by, "requested_from": request.requested_from}
        self.put(identity, "request", body)
        row: Row = {"kind": request.kind.value, "status": OperationStatus.RUNNING.value, "created_at": self._now()}
        self._tables.insert(GIT_FOLDERS, _OPERATIONS, identity, {**row, "updated_at": self._now()})
        return Operation(identity, request, row)

    def load(self, identity: str) -> Operation:
        """An operation as it stands. Raises `UnknownOperation`."""
        found = self._tables.get(GIT_FOLDERS, _OPERATIONS, identity)
        if found is None:
            raise UnknownOperation(id=identity)
        body = self.get(identity, "request")
        kind, folders = OperationKind(body["kind"]), tuple(body["folders"])
        return Operation(identity, Request(**{**body, "kind": kind, "folders": folders}), found.row)

    def running(self) -> list[str]:
        """Operations that are under way."""
        condition = f"status eq '{OperationStatus.RUNNING.value}'"
        return [row.key for row in self._tables.query(GIT_FOLDERS, _OPERATIONS, condition)]

    def recent(self, limit: int) -> list[Json]:
        """The newest first."""
        rows = sorted(
            self._tables.query(GIT_FOLDERS, _OPERATIONS), key=lambda r: (str(r.row["created_at"]), r.key), reverse=True
        )
        return [{"id": row.key, **row.row} for row in rows[:limit]]

    def update(self, operation: Operation, **values: str | int | float | bool | None) -> None:
        """Merge values into the row; None empties one."""
        changed: Row = {name: "" if value is None else value for name, value in values.items()}
        changed["updated_at"] = self._now()
        self._tables.upsert(GIT_FOLDERS, _OPERATIONS, operation.id, changed)
        operation.row.update(changed)

    def outcome(self, operation: Operation, path: str, outcome: Outcome, reason: str = "") -> None:
        """Enter what became of one folder."""
        row: Row = {"path": path, "outcome": outcome.value, "reason": reason[:MOST_ERROR_CHARACTERS]}
        self._tables.upsert(GIT_FOLDERS, f"of-{operation.id}", key_of(path), {**row, "at": self._now()})

    def outcomes(self, identity: str) -> list[Json]:
        """What became of each folder, in path order."""
        rows = [dict(row.row) for row in self._tables.query(GIT_FOLDERS, f"of-{identity}")]
        return sorted(rows, key=lambda row: str(row["path"]))

    def end(self, operation: Operation, status: OperationStatus, **values: str | int | float | bool | None) -> None:
        """Record how an operation ended, then write it. Raises `AuditUnavailable`: it goes on then."""
        outcomes = self.outcomes(operation.id)
        counts = {o.value: sum(row["outcome"] == o for row in outcomes) for o in Outcome}
        request = operation.request
        detail: dict[str, Any] = {"from": request.requested_from, "accept_losses": request.accept_losses, **counts}
        detail |= {"folders": "\n".join(str(row["path"]) for row in outcomes), **values}
        entry = AuditEntry(
            action=_ACTION[request.kind],
            actor=request.requested_by or "system",
            object=request.folders[0] if len(request.folders) == 1 else f"{len(outcomes)} folders",
            result=_RESULT[status],
            correlation=operation.id,
            detail=detail,
            key=f"ended {status.value}",
        )
        self._recorder.record_all([entry])
        self.update(operation, status=status.value, finished_at=self._now(), **counts, **values)

    def record(self, operation: Operation, action: AuditAction, path: str, result: AuditResult, **detail: Any) -> None:
        """Record one folder's end; again changes nothing."""
        actor = operation.request.requested_by or "system"
        key = f"{action.value} {key_of(path)} {result.value}"
        self._recorder.record(action, actor, path, result, operation.id, detail, key)

    def put(self, identity: str, name: str, body: Any) -> None:
        """Keep something of an operation."""
        self._blobs.put(f"gitfolders/{identity}/{name}.json", json.dumps(body).encode())

    def get(self, identity: str, name: str) -> Any:
        """What was kept. Raises `KeyError`, `DamagedBlob`."""
        return json.loads(self._blobs.get(f"gitfolders/{identity}/{name}.json"))

    def find(self, identity: str, name: str) -> Any:
        """What was kept, None where there is nothing."""
        try:
            return self.get(identity, name)
        except KeyError:
            return None

    def drop(self, identity: str, names: Iterable[str]) -> None:
        """Remove what was kept."""
        for name in names:
            self._blobs.delete(f"gitfolders/{identity}/{name}.json")

    def _now(self) -> str:
        return self._clock.now().isoformat()
