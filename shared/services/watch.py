"""The watchdog: finds a run that stopped moving, and moves it on.

A step can die, a message can be lost, a poisoned batch can be left behind. Every step is idempotent, so the
remedy is to send again what is still owed and to start the committer again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from shared.clock import Clock
from shared.domain.batches import Failure
from shared.domain.runs import BatchStatus, Phase, RunStatus
from shared.protocols import Queue, Row, Tables
from shared.services.runs import BATCHES, EXPORT_QUEUE, PLAN_QUEUE, RunStore, UnknownRun, parse_time

MOST_REDELIVERIES = 5


class WatchService:
    """Looks after the active run and after batches that export gave up on."""

    def __init__(
        self,
        *,
        runs: RunStore,
        tables: Tables,
        queue: Queue,
        clock: Clock,
        stall: timedelta,
        batch_paths: Callable[[str, str], list[str]],
    ) -> None:
        self._runs, self._tables, self._queue, self._clock, self._stall = runs, tables, queue, clock, stall
        self._batch_paths = batch_paths

    def watch(self) -> str | None:
        """Move a stalled run on; returns the active run's id, whose committer must be running, or None."""
        run_id = self._runs.active()
        if run_id is None:
            return None
        try:
            row = self._runs.get(run_id)
        except UnknownRun:
            # The lease was taken and the starter died before it wrote the run's row.
            self._runs.release(run_id)
            return None
        if RunStatus(str(row["status"])).final:
            self._runs.release(run_id)
            return None
        totals = self._runs.totals(run_id)
        marker = f"{row['phase']}:{totals.queued}:{totals.staged}:{totals.committed}:{totals.failed}"
        if marker != row.get("watch_marker"):
            self._runs.update(run_id, watch_marker=marker, watched_at=self._clock.now().isoformat())
        elif self._clock.now() - parse_time(row["watched_at"]) >= self._stall:
            self._move_on(run_id, row)
        return run_id

    def give_up(self, run_id: str, batch_id: str, reason: str) -> None:
        """Settle a poisoned batch: its notebooks are named as failed. A batch that came through stays."""
        row = self._tables.get(BATCHES, run_id, batch_id)
        if row is None or row.row["status"] != BatchStatus.QUEUED:
            return
        failures = [Failure(path, "batch_poisoned", reason) for path in self._batch_paths(run_id, batch_id)]
        self._runs.record_failures(run_id, batch_id, failures)
        self._tables.replace(BATCHES, run_id, batch_id, {**row.row, "status": BatchStatus.FAILED.value}, row.etag)

    def _move_on(self, run_id: str, row: Row) -> None:
        tries = int(row.get("redeliveries") or 0) + 1
        self._runs.update(run_id, redeliveries=tries, watched_at=self._clock.now().isoformat())
        if row["phase"] in (Phase.QUEUED, Phase.PLANNING):
            self._replan(run_id, tries)
            return
        for batch_id, batch in self._runs.batch_rows(run_id).items():
            if batch["status"] != BatchStatus.QUEUED:
                continue
            if tries > MOST_REDELIVERIES:
                self.give_up(run_id, batch_id, f"its message was lost {MOST_REDELIVERIES} times")
            else:
                self._queue.send(EXPORT_QUEUE, json.dumps({"run_id": run_id, "batch_id": batch_id}))

    def _replan(self, run_id: str, tries: int) -> None:
        if tries <= MOST_REDELIVERIES:
            self._queue.send(PLAN_QUEUE, json.dumps({"run_id": run_id}))
            return
        self.fail(run_id, f"planning did not come to an end in {MOST_REDELIVERIES} attempts")

    def fail(self, run_id: str, reason: str) -> None:
        """End a run whose planning does not succeed as failed. One that is past planning is left to its steps."""
        if self._runs.get(run_id)["phase"] not in (Phase.QUEUED, Phase.PLANNING):
            return
        now = self._clock.now().isoformat()
        self._runs.update(run_id, status=RunStatus.FAILED.value, phase=Phase.DONE.value, error=reason, finished_at=now)
        self._runs.release(run_id)
