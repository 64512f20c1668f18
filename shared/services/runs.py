"""Run rows and the run's lease: who may start, what is stored about a run, how it ends."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime

from shared.clock import Clock
from shared.domain.batches import Failure
from shared.domain.runs import BatchStatus, BatchTotals, Phase, RunStatus, make_run_id
from shared.errors import BackupError, RunActive, StateConflict
from shared.protocols import BlobStore, Queue, Row, StoredRow, Tables

RUNS, BATCHES, CHECKPOINTS = "runs", "batches", "checkpoints"
PLAN_QUEUE, EXPORT_QUEUE = "backup-plan", "backup-export"
_PARTITION = "run"
_LEASE = ("lease", "run")


class UnknownRun(BackupError):
    """There is no run {run_id}. `./backup runs` lists those there are."""

    code = "unknown_run"


class RunStore:
    """Rows of the table `runs`, one per run, and the lease row that lets one run be active at a time."""

    def __init__(
        self,
        tables: Tables,
        blobs: BlobStore,
        queue: Queue,
        clock: Clock,
        entropy: Callable[[], str] = lambda: secrets.token_hex(2),
    ) -> None:
        self._tables, self._blobs, self._queue, self._clock, self._entropy = tables, blobs, queue, clock, entropy

    def start(self, trigger: str) -> str:
        """Take the run's lease, write its row and enqueue its planning; returns the run id.

        Raises `RunActive` where another run is under way. A lease whose run has ended is taken over.
        """
        run_id = make_run_id(self._clock.now(), self._entropy())
        self._take_lease(run_id)
        self._tables.insert(RUNS, _PARTITION, run_id, self._first_row(trigger))
        self._queue.send(PLAN_QUEUE, json.dumps({"run_id": run_id}))
        return run_id

    def active(self) -> str | None:
        """The run that holds the lease, or None."""
        lease = self._tables.get(CHECKPOINTS, *_LEASE)
        return str(lease.row["run_id"]) if lease and lease.row.get("run_id") else None

    def release(self, run_id: str) -> None:
        """Give the lease back, if `run_id` still holds it."""
        lease = self._tables.get(CHECKPOINTS, *_LEASE)
        if lease and lease.row.get("run_id") == run_id:
            self._tables.replace(CHECKPOINTS, *_LEASE, {"run_id": ""}, lease.etag)

    def get(self, run_id: str) -> Row:
        """A run's row. Raises `UnknownRun`."""
        found = self._tables.get(RUNS, _PARTITION, run_id)
        if found is None:
            raise UnknownRun(run_id=run_id)
        return found.row

    def update(self, run_id: str, **values: str | int | float | bool | None) -> None:
        """Merge values into a run's row and mark it as moving now."""
        self._tables.upsert(RUNS, _PARTITION, run_id, {**values, "updated_at": self._now()})

    def recent(self, limit: int) -> list[StoredRow]:
        """The newest runs first."""
        return sorted(self._tables.query(RUNS, _PARTITION), key=lambda r: r.key, reverse=True)[:limit]

    def totals(self, run_id: str) -> BatchTotals:
        """Sums over the run's batch rows."""
        return total(row.row for row in self._tables.query(BATCHES, run_id))

    def batch_rows(self, run_id: str) -> dict[str, Row]:
        """The run's batch rows by batch id."""
        return {row.key: row.row for row in self._tables.query(BATCHES, run_id)}

    def record_failures(self, run_id: str, source: str, failures: list[Failure]) -> None:
        """Keep failures that one step of a run found, under the step's name; a repeat overwrites its own."""
        payload = [{"path": f.path, "code": f.code, "reason": f.reason} for f in failures]
        self._blobs.put(f"failures/{run_id}/{source}.json", json.dumps(payload).encode())

    def failures(self, run_id: str) -> list[Failure]:
        """All failures of a run, each path once, in path order."""
        found: dict[str, Failure] = {}
        for name in self._blobs.names(f"failures/{run_id}/"):
            for item in json.loads(self._blobs.get(name)):
                found.setdefault(item["path"], Failure(item["path"], item["code"], item["reason"]))
        return [found[path] for path in sorted(found)]

    def _first_row(self, trigger: str) -> Row:
        return {
            "status": RunStatus.RUNNING.value,
            "phase": Phase.QUEUED.value,
            "trigger": trigger,
            "started_at": self._now(),
            "updated_at": self._now(),
        }

    def _take_lease(self, run_id: str) -> None:
        lease = self._tables.get(CHECKPOINTS, *_LEASE)
        try:
            if lease is None:
                self._tables.insert(CHECKPOINTS, *_LEASE, {"run_id": run_id})
                return
            holder = str(lease.row.get("run_id") or "")
            if holder and not self._is_over(holder):
                raise RunActive(run_id=holder)
            self._tables.replace(CHECKPOINTS, *_LEASE, {"run_id": run_id}, lease.etag)
        except StateConflict:
            raise RunActive(run_id=self.active() or "just started") from None

    def _is_over(self, run_id: str) -> bool:
        row = self._tables.get(RUNS, _PARTITION, run_id)
        return row is not None and RunStatus(str(row.row["status"])).final

    def _now(self) -> str:
        return self._clock.now().isoformat()


def total(rows: Iterable[Row]) -> BatchTotals:
    """Sum batch rows; a row's `notebooks` is what was planned, `exported` and `failed` what came of it."""
    batches = dict.fromkeys(BatchStatus, 0)
    planned = staged = exported = committed = failed = 0
    for row in rows:
        status = BatchStatus(str(row["status"]))
        batches[status] += 1
        count = int(row.get("planned") or 0)
        planned += count
        lost = count if status is BatchStatus.FAILED else int(row.get("failed") or 0)
        failed += lost
        exported += count - lost if status in (BatchStatus.STAGED, BatchStatus.COMMITTED) else 0
        staged += count - lost if status is BatchStatus.STAGED else 0
        committed += count - lost if status is BatchStatus.COMMITTED else 0
    return BatchTotals(
        queued=batches[BatchStatus.QUEUED],
        staged=batches[BatchStatus.STAGED],
        committed=batches[BatchStatus.COMMITTED],
        failed=batches[BatchStatus.FAILED],
        notebooks=planned,
        notebooks_staged=staged,
        notebooks_exported=exported,
        notebooks_committed=committed,
        notebooks_failed=failed,
    )


def parse_time(value: object) -> datetime:
    """An ISO time of a row as an aware datetime."""
    return datetime.fromisoformat(str(value))
