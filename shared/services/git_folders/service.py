"""Git folders: planned, converted and rolled back as durable operations, folder by folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import Clock
from shared.domain.runs import RunStatus
from shared.errors import BackupError, RunActive
from shared.protocols import BlobStore
from shared.redaction import redact
from shared.services.git_folders.convert import BackupActive, FolderConverter
from shared.services.git_folders.operations import (
    MOST_ERROR_CHARACTERS,
    Operation,
    OperationKind,
    OperationStatus,
    OperationStore,
    Outcome,
    Request,
)
from shared.services.git_folders.plan import GitFolderPlanner
from shared.services.git_folders.rollback import FolderRollback
from shared.services.git_folders.store import FolderState, GitFolder, GitFolderStore
from shared.services.state.lease import held
from shared.services.state.runs import RunStore, UnknownRun

MOST_BACKUPS = 3
"""Backups that a conversion has made for folders that changed since the last one."""
_GOOD = (Outcome.CONVERTED, Outcome.UNCHANGED)
type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Work:
    """Folders still to do, how many need nothing more, and whether something has to be waited for."""

    left: tuple[str, ...]
    done: int
    waits: bool = False


class GitFolderService:
    """Starts operations and carries them out. All state is stored, so that any process can go on."""

    def __init__(
        self,
        *,
        planner: GitFolderPlanner,
        converter: FolderConverter,
        rollback: FolderRollback,
        store: GitFolderStore,
        operations: OperationStore,
        runs: RunStore,
        blobs: BlobStore,
        clock: Clock,
        budget_seconds: float,
        stall: timedelta,
    ) -> None:
        self._planner, self._converter, self._rollback = planner, converter, rollback
        self._store, self._operations, self._runs = store, operations, runs
        self._blobs, self._clock, self._budget, self._stall = blobs, clock, budget_seconds, stall

    def start(self, request: Request) -> Json:
        """Open an operation; it goes on by `step`. Raises `OperationActive`, `ValueError`."""
        if request.kind is not OperationKind.PLAN and not (request.folders or request.all):
            raise ValueError("name folders, or all of them")
        return self.get(self._operations.open(request).id)

    def get(self, identity: str) -> Json:
        """An operation with what became of each folder, or with its plan. Raises `UnknownOperation`."""
        operation = self._operations.load(identity)
        request = operation.request
        asked = {"folders": list(request.folders), "all": request.all, "accept_losses": request.accept_losses}
        plan = self._operations.find(identity, "plan") if request.kind is OperationKind.PLAN else None
        return {
            **summary(identity, operation.row),
            **asked,
            "outcomes": self._operations.outcomes(identity),
            "plan": plan,
        }

    def status(self) -> Json:
        """Every folder that has a branch, and the newest operations."""
        folders = [_shown(folder) for folder in self._store.folders()]
        counts = Counter(folder["state"] for folder in folders)
        recent = [summary(str(row["id"]), row) for row in self._operations.recent(10)]
        return {"folders": folders, "counts": dict(counts), "operations": recent}

    def abandoned(self) -> list[str]:
        """Operations whose steps stopped: each is to be gone on with."""
        now = self._clock.now()
        rows = ((identity, self._operations.load(identity).row) for identity in self._operations.running())
        return [i for i, row in rows if now - datetime.fromisoformat(str(row["updated_at"])) >= self._stall]

    def step(self, identity: str) -> bool:
        """Work on an operation until it is over, has to wait, or the time slice ends; whether it is over.

        Raises `LeaseLost` where another works on it, and what the adapters raise: the step is run again.
        """
        operation = self._operations.load(identity)
        if operation.row["status"] != OperationStatus.RUNNING:
            return True
        with held(self._blobs, f"leases/gitfolders-{identity}"):
            try:
                return self._step(operation)
            except BackupError as error:
                if error.retriable:
                    raise
                reason = redact(str(error))[:MOST_ERROR_CHARACTERS]
                self._operations.end(operation, OperationStatus.FAILED, error=reason)
                return True
            finally:
                self._converter.forget()

    def _step(self, operation: Operation) -> bool:
        deadline = self._clock.monotonic() + self._budget
        kind = operation.request.kind
        if kind is not OperationKind.ROLLBACK and not self._planner.make(operation.id):
            return False
        if kind is OperationKind.PLAN:
            self._operations.end(operation, OperationStatus.SUCCEEDED)
            return True
        if kind is OperationKind.CONVERT and self._is_blocked(operation):
            return True
        work = self._work(operation)
        if work.waits:
            return False
        for number, path in enumerate(work.left):
            if number and self._clock.monotonic() > deadline:
                return False
            try:
                self._do(operation, path)
            except BackupActive:
                self._operations.update(operation, waiting="the backup that is under way")
                return False
            self._operations.update(operation, done=work.done + number + 1, waiting=None)
        return self._finish(operation)

    def _is_blocked(self, operation: Operation) -> bool:
        """Whether something has to be put right first: nothing is touched then."""
        plan = self._planner.plan(operation.id)
        if not plan["blocks"] or operation.row.get("begun"):
            return False
        reason = "; ".join(str(block["text"]) for block in plan["blocks"])
        self._operations.end(operation, OperationStatus.FAILED, error=reason[:MOST_ERROR_CHARACTERS])
        return True

    def _work(self, operation: Operation) -> _Work:
        """What is left to do. Folders that changed since the last backup wait for the next, which is asked for."""
        outcomes = {str(row["path"]): Outcome(str(row["outcome"])) for row in self._operations.outcomes(operation.id)}
        wanted = self._wanted(operation)
        if not operation.row.get("begun"):
            self._operations.update(operation, begun=True, total=len(wanted))
        left = [path for path in wanted if outcomes.get(path, Outcome.STALE) is Outcome.STALE]
        untried = [path for path in left if path not in outcomes]
        if untried or not left:
            return _Work(tuple(untried), len(wanted) - len(untried))
        return _Work(tuple(left), len(wanted) - len(left), waits=not self._is_backed_up(operation))

    def _wanted(self, operation: Operation) -> list[str]:
        request = operation.request
        if request.kind is OperationKind.CONVERT:
            every = [str(folder["path"]) for folder in self._planner.plan(operation.id)["folders"]]
        else:
            back = (FolderState.CONVERTED, FolderState.ROLLING_BACK)
            every = self._kept(operation, [f.path for f in self._store.folders() if f.state in back])
        return every if request.all else list(dict.fromkeys(request.folders))

    def _kept(self, operation: Operation, found: Iterable[str]) -> list[str]:
        """What the first step found: later ones find fewer."""
        known = self._operations.find(operation.id, "wanted")
        if known is None:
            known = list(found)
            self._operations.put(operation.id, "wanted", known)
        return list(known)

    def _do(self, operation: Operation, path: str) -> None:
        row = self._store.find(path)
        if operation.request.kind is OperationKind.ROLLBACK:
            if row is None:
                self._operations.outcome(operation, path, Outcome.REFUSED, "it is no Git folder of the backup")
                return
            self._enter(operation, path, self._rollback.roll_back(operation, path))
            return
        outcome, reason = Outcome.ROLLED_BACK, ""
        if row is None or row.state is not FolderState.ROLLING_BACK:
            outcome, reason = self._converter.convert(operation, path)
        if outcome is Outcome.ROLLED_BACK:
            outcome = self._rollback.roll_back(operation, path)
        self._enter(operation, path, outcome, reason)

    def _enter(self, operation: Operation, path: str, outcome: Outcome, reason: str = "") -> None:
        row = self._store.find(path)
        # Of a folder without a branch there is no row.
        reason = (row.text("problem") or row.text("error") or reason) if row else reason
        self._operations.outcome(operation, path, outcome, "" if outcome in _GOOD else reason)

    def _is_backed_up(self, operation: Operation) -> bool:
        """Whether the backup that folders wait for is over; it is started where there is none."""
        run_id = str(operation.row.get("backup") or "")
        if run_id:
            try:
                over = RunStatus(str(self._runs.get(run_id)["status"])).final
            except UnknownRun:
                over = True
            if over:
                self._operations.update(operation, backup=None, waiting=None)
            return over
        if int(operation.row.get("backups") or 0) >= MOST_BACKUPS:
            return True
        try:
            run_id = self._runs.start("git folders", who=operation.request.requested_by)
            self._runs.enqueue_planning(run_id)
        except RunActive as active:
            run_id = str(active.fields["run_id"])
        backups = int(operation.row.get("backups") or 0) + 1
        self._operations.update(operation, backup=run_id, backups=backups, waiting=f"the backup {run_id}")
        return False

    def _finish(self, operation: Operation) -> bool:
        outcomes = self._operations.outcomes(operation.id)
        stale = [row for row in outcomes if row["outcome"] == Outcome.STALE]
        if stale and int(operation.row.get("backups") or 0) < MOST_BACKUPS:
            return False
        wanted = Outcome.ROLLED_BACK if operation.request.kind is OperationKind.ROLLBACK else Outcome.CONVERTED
        good = sum(row["outcome"] in (wanted, Outcome.UNCHANGED) for row in outcomes)
        status = OperationStatus.SUCCEEDED if good == len(outcomes) else OperationStatus.PARTIAL
        if outcomes and not good:
            status = OperationStatus.FAILED
        self._operations.end(operation, status, done=len(outcomes))
        return True


def summary(identity: str, row: Json) -> Json:
    """An operation's row as an answer."""
    over = row["status"] != OperationStatus.RUNNING
    total, done = int(row.get("total") or 0), int(row.get("done") or 0)
    return {
        "id": identity,
        "kind": row["kind"],
        "status": row["status"],
        "created_at": row["created_at"],
        "finished_at": row.get("finished_at") or None,
        "percent": 100.0 if over else round(100 * done / total, 1) if total else 0.0,
        "waiting_for": row.get("waiting") or None,
        "error": row.get("error") or None,
        "counts": {outcome.value: int(row.get(outcome.value) or 0) for outcome in Outcome},
    }


def _shown(folder: GitFolder) -> Json:
    names = ("step", "aside", "moved", "error", "problem", "updated_at", "advanced_at")
    standing = ("standing", "standing_detail", "standing_since")
    numbers = ("notebooks", "kept_edits", "conflicts")
    return {
        "path": folder.path,
        "branch": folder.branch,
        "state": folder.state.value,
        "head": folder.head,
        "shows": folder.at,
        **{name: folder.text(name) for name in (*names, *standing)},
        **{name: folder.number(name) for name in numbers},
    }
