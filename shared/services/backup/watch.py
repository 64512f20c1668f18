"""The watchdog: finds a run that stopped moving, and moves it on.

A step can die, a message can be lost, a poisoned batch can be left behind. Every step is idempotent, so the
remedy is to send again what is still owed and to start the committer again.
"""

from __future__ import annotations

from datetime import timedelta

from shared.clock import Clock
from shared.domain.runs import Phase, RunStatus, run_start
from shared.protocols import Row
from shared.services.state.batch_rows import BatchStore
from shared.services.state.runs import RunStore, UnknownRun, parse_time

MOST_REDELIVERIES = 5


class WatchService:
    """Looks after the active run."""

    def __init__(
        self,
        *,
        runs: RunStore,
        batches: BatchStore,
        clock: Clock,
        stall: timedelta,
    ) -> None:
        self._runs, self._batches, self._clock, self._stall = runs, batches, clock, stall

    def watch(self) -> str | None:
        """Move a stalled run on; returns the active run's id, whose committer must be running, or None."""
        run_id = self._runs.active()
        if run_id is None:
            return None
        try:
            row = self._runs.get(run_id)
        except UnknownRun:
            # The lease was taken and the run's row is still to be written, or its starter died before that.
            if self._clock.now() - run_start(run_id) >= self._stall:
                self._runs.release(run_id)
            return None
        if RunStatus(str(row["status"])).final:
            self._runs.close(run_id)
            return None
        totals = self._batches.totals(run_id)
        settled = (totals.queued, totals.staged, totals.committed, totals.failed)
        marker = f"{row['phase']}:{row.get('planning_steps') or 0}:{settled}"
        if marker != row.get("watch_marker"):
            self._runs.update(run_id, watch_marker=marker, watched_at=self._clock.now().isoformat())
        elif self._clock.now() - parse_time(row["watched_at"]) >= self._stall:
            self._move_on(run_id, row)
        return run_id

    def _move_on(self, run_id: str, row: Row) -> None:
        tries = int(row.get("redeliveries") or 0) + 1
        self._runs.update(run_id, redeliveries=tries, watched_at=self._clock.now().isoformat())
        if row["phase"] in (Phase.QUEUED, Phase.PLANNING):
            self._replan(run_id, tries)
            return
        for batch_id in self._batches.waiting(run_id):
            if tries > MOST_REDELIVERIES:
                self._batches.give_up(run_id, batch_id, f"its message was lost {MOST_REDELIVERIES} times")
            else:
                self._batches.enqueue(run_id, batch_id)

    def _replan(self, run_id: str, tries: int) -> None:
        if tries <= MOST_REDELIVERIES:
            self._runs.enqueue_planning(run_id)
            return
        self.fail(run_id, f"planning did not come to an end in {MOST_REDELIVERIES} attempts")

    def fail(self, run_id: str, reason: str) -> None:
        """End a run whose planning does not succeed as failed. One that is past planning is left to its steps."""
        if self._runs.get(run_id)["phase"] not in (Phase.QUEUED, Phase.PLANNING):
            return
        self._runs.end(run_id, RunStatus.FAILED, error=reason)
