"""Driving a run to its end: commit what is staged as it comes, then finish the run.

One call is one time slice of the durable single instance. It holds no state of its own: all of it is in
the batch rows, so a slice that dies is simply followed by the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from shared.clock import Clock
from shared.domain.batches import Failure
from shared.domain.runs import BatchTotals, Phase, RunStatus, run_day
from shared.protocols import BlobStore
from shared.services.commit import CommitService
from shared.services.runs import RunStore, parse_time

SHORTEST_POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Slice:
    """What a time slice came to: `done` when the run is over or there is none."""

    done: bool
    run_id: str | None


class DriveService:
    """Commits a run's staged batches and finishes it."""

    def __init__(
        self,
        *,
        commits: CommitService,
        runs: RunStore,
        blobs: BlobStore,
        clock: Clock,
        chunk_notebooks: int,
        retention_days: int,
        read_batch_failures: Callable[[str, str], list[Failure]],
        budget_seconds: float,
    ) -> None:
        self._commits, self._runs, self._blobs, self._clock = commits, runs, blobs, clock
        self._chunk, self._retention_days, self._budget = chunk_notebooks, retention_days, budget_seconds
        self._read_batch_failures = read_batch_failures

    def drive(self) -> Slice:
        """Work on the active run until it is over or the time slice ends."""
        run_id = self._runs.active()
        if run_id is None:
            return Slice(True, None)
        deadline = self._clock.monotonic() + self._budget
        while self._clock.monotonic() < deadline:
            row = self._runs.get(run_id)
            if RunStatus(str(row["status"])).final:
                self._runs.release(run_id)
                return Slice(True, run_id)
            totals = self._runs.totals(run_id)
            if row["phase"] in (Phase.EXPORTING, Phase.FINISHING) and self._advance(run_id, totals):
                return Slice(True, run_id)
            self._clock.sleep(_poll_seconds(totals))
        return Slice(False, run_id)

    def _advance(self, run_id: str, totals: BatchTotals) -> bool:
        if totals.queued and totals.notebooks_staged < self._chunk:
            return False
        if totals.staged or not totals.queued:
            self._commit(run_id)
        if totals.queued:
            return False
        if self._runs.totals(run_id).unsettled:
            return False
        self._finish(run_id)
        return True

    def _commit(self, run_id: str) -> None:
        began = self._clock.monotonic()
        outcome = self._commits.commit_staged(run_id)
        spent = float(self._runs.get(run_id).get("commit_seconds") or 0) + self._clock.monotonic() - began
        values: dict[str, str | int | float] = {"commit_seconds": round(spent, 3)}
        if outcome.conflicts:
            values["conflicts"] = len(outcome.conflicts)
        if outcome.commit:
            values["commit"] = outcome.commit
        self._runs.update(run_id, **values)
        if outcome.failures:
            self._runs.record_failures(run_id, f"commit-{outcome.sequence:04}", list(outcome.failures))

    def _finish(self, run_id: str) -> None:
        self._runs.update(run_id, phase=Phase.FINISHING.value)
        for batch_id, row in self._runs.batch_rows(run_id).items():
            if int(row.get("failed") or 0):
                self._runs.record_failures(run_id, batch_id, self._read_batch_failures(run_id, batch_id))
        failures = self._runs.failures(run_id)
        row = self._runs.get(run_id)
        held = int(row.get("held") or 0)
        status = RunStatus.PARTIAL if failures or held else RunStatus.SUCCEEDED
        now = self._clock.now()
        self._runs.update(
            run_id,
            status=status.value,
            phase=Phase.DONE.value,
            failed=len(failures),
            finished_at=now.isoformat(),
            seconds=round((now - parse_time(row["started_at"])).total_seconds(), 3),
        )
        self._runs.release(run_id)
        self._clean(run_id)

    def _clean(self, run_id: str) -> None:
        """Remove staged archives, batches and plans of runs older than the retention."""
        today = self._clock.now().date()
        for prefix in ("staging/", "batches/", "plans/", "failures/"):
            for name in list(self._blobs.names(prefix)):
                owner = name.split("/")[1]
                if owner != run_id and _age_days(owner, f"{today:%Y%m%d}") > self._retention_days:
                    self._blobs.delete(name)


def _poll_seconds(totals: BatchTotals) -> float:
    """A poll reads every batch row, so its interval follows their number."""
    rows = totals.queued + totals.staged + totals.committed + totals.failed
    return min(max(SHORTEST_POLL_SECONDS, rows / 200), LONGEST_POLL_SECONDS)


def _age_days(run_id: str, today: str) -> int:
    day = run_day(run_id)
    return (date.fromisoformat(today) - date.fromisoformat(day)).days
