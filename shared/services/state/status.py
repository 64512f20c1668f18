"""What people are shown of runs: the current one with its progress, and those before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shared.clock import Clock
from shared.domain.runs import Phase, RunStatus, progress, run_start
from shared.protocols import Row
from shared.services.state.batch_rows import BatchStore, total
from shared.services.state.runs import RunStore, UnknownRun, parse_time

type Json = dict[str, Any]

PLAN_COUNTS = ("listed", "folders", "unchanged", "created", "changed", "renamed", "deleted", "conflict", "held")


class StatusService:
    """Reads run rows and batch rows; writes nothing."""

    def __init__(self, runs: RunStore, batches: BatchStore, clock: Clock) -> None:
        self._runs, self._batches, self._clock = runs, batches, clock

    def overview(self) -> Json:
        """The active run, if any, and the last one that ended."""
        ended = [r for r in self._runs.recent(20) if RunStatus(str(r.row["status"])).final]
        return {
            "active": self.active(),
            "last": summary(ended[0].key, ended[0].row) if ended else None,
        }

    def active(self) -> Json | None:
        """The run that holds the lease, in full; None where none does."""
        run_id = self._runs.active()
        if run_id is None:
            return None
        try:
            return self.run(run_id)
        except UnknownRun:
            # Its lease is taken and its row is still to be written.
            started = run_start(run_id).isoformat()
            row: Row = {"status": RunStatus.RUNNING.value, "phase": Phase.QUEUED.value, "started_at": started}
            return summary(run_id, row) | {"failures": [], "notices": [], "progress": self._progress(row, {})}

    def recent(self, limit: int) -> list[Json]:
        """Summaries of the newest runs, newest first."""
        return [summary(row.key, row.row) for row in self._runs.recent(limit)]

    def run(self, run_id: str) -> Json:
        """One run in full: progress while it runs, failures with their reasons. Raises `UnknownRun`."""
        row = self._runs.get(run_id)
        rows = self._batches.rows(run_id)
        answer = summary(run_id, row)
        answer["failures"] = [asdict(failure) for failure in self._batches.failures(run_id, rows)]
        answer["notices"] = [asdict(notice) for notice in self._batches.notices(run_id, rows)]
        answer["progress"] = self._progress(row, rows)
        return answer

    def _progress(self, row: Row, rows: Mapping[str, Row]) -> Json:
        status = RunStatus(str(row["status"]))
        if status.final:
            return {"percent": 100.0, "notebooks_per_second": _rate(row), "remaining_seconds": 0.0}
        if row["phase"] in (Phase.QUEUED, Phase.PLANNING):
            return {"percent": 0.0, "notebooks_per_second": 0.0, "remaining_seconds": None}
        totals = total(rows.values())
        shown = progress(totals, parse_time(row["started_at"]), self._clock.now())
        return {
            "percent": shown.percent,
            "notebooks_per_second": shown.notebooks_per_second,
            "remaining_seconds": shown.remaining_seconds,
            "exported": totals.notebooks_exported,
            "committed": totals.notebooks_committed,
            "planned": totals.notebooks,
        }


def summary(run_id: str, row: Row) -> Json:
    """A run's row as an answer; counts that are not known yet are 0."""
    return {
        "run_id": run_id,
        "status": row["status"],
        "phase": row["phase"],
        "trigger": row.get("trigger"),
        "retry_of": row.get("retry_of"),
        "started_at": row["started_at"],
        "finished_at": row.get("finished_at"),
        "seconds": row.get("seconds"),
        "commit_seconds": row.get("commit_seconds"),
        "notebooks": int(row.get("listed") or 0),
        "planned": int(row.get("planned") or 0),
        "failed": int(row.get("failed") or 0),
        "commit": row.get("commit"),
        "error": row.get("error") or None,
        "notebooks_per_second": _rate(row),
        "counts": {name: int(row.get(name) or 0) for name in PLAN_COUNTS},
    }


def _rate(row: Row) -> float:
    seconds = float(row.get("seconds") or 0)
    return round(int(row.get("planned") or 0) / seconds, 1) if seconds else 0.0
