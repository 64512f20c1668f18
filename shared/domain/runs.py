"""A run: one pass over the workspace, its state and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class RunStatus(StrEnum):
    """How a run stands. `PARTIAL`: something is named among its failures, or deletions are held."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen in the run."""
        return self is not RunStatus.RUNNING


class Phase(StrEnum):
    """What a running run is doing."""

    QUEUED = "queued"
    PLANNING = "planning"
    EXPORTING = "exporting"
    FINISHING = "finishing"
    DONE = "done"


class BatchStatus(StrEnum):
    """How far a batch is: each moves only downwards in this list, `FAILED` aside."""

    QUEUED = "queued"
    STAGED = "staged"
    COMMITTED = "committed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """Sums over a run's batch rows: batches by status, and notebooks exported, committed and failed."""

    queued: int = 0
    staged: int = 0
    committed: int = 0
    failed: int = 0
    notebooks: int = 0
    notebooks_staged: int = 0
    notebooks_exported: int = 0
    notebooks_committed: int = 0
    notebooks_failed: int = 0

    @property
    def unsettled(self) -> int:
        """Batches that something must still happen to."""
        return self.queued + self.staged


@dataclass(frozen=True, slots=True)
class Progress:
    """Percentage by notebooks (export and commit count half each), rate, and remaining seconds."""

    percent: float
    notebooks_per_second: float
    remaining_seconds: float | None


def progress(totals: BatchTotals, started: datetime, now: datetime) -> Progress:
    """How far a run is that has planned its batches; a run with nothing to do is at 100 %."""
    seconds = max((now - started).total_seconds(), 0.001)
    if totals.notebooks == 0:
        return Progress(100.0, 0.0, 0.0)
    settled = totals.notebooks_committed + totals.notebooks_failed
    exported = totals.notebooks_exported + totals.notebooks_failed
    share = min((settled + exported) / (2 * totals.notebooks), 1.0)
    remaining = seconds * (1 - share) / share if share > 0 else None
    return Progress(round(100 * share, 1), round(totals.notebooks_exported / seconds, 1), remaining)


def make_run_id(now: datetime, entropy: str) -> str:
    """A run id that sorts by start: `20261124T023000Z-3fa9`; safe as a blob name and a row key."""
    return f"{now:%Y%m%dT%H%M%SZ}-{entropy}"


def run_day(run_id: str) -> str:
    """The UTC day of a run id, `YYYYMMDD`, for retention."""
    return run_id[:8]


def run_start(run_id: str) -> datetime:
    """The time in a run id, aware."""
    return datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
