"""Reliability: how many runs of the last 30 days succeeded, and on which days a backup was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.domain.runs import RunStatus

TARGET = 0.999
DAYS = 30
CHANGES = ("created", "changed", "renamed", "deleted")


@dataclass(frozen=True, slots=True)
class RunFact:
    """What counts of one run. `seconds` is None while it runs; `changes` are notebooks by kind.

    `failed` are notebooks that it could not bring in, `held` deletions that it kept back, `error` why it failed.
    """

    run_id: str
    started: datetime
    status: RunStatus
    seconds: float | None
    notebooks: int
    planned: int
    failed: int
    changes: dict[str, int]
    held: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Runs that ended within the last days, by how; notebooks that they had to bring in, and did not.

    `days` are those since the first run, at most 30, `days_backed_up` those with a run that succeeded or was
    partial.
    """

    runs: int
    succeeded: int
    partial: int
    failed: int
    notebooks: int
    notebooks_failed: int
    days: int
    days_backed_up: int

    @property
    def rate(self) -> float | None:
        """The share of runs that succeeded; None before one ended."""
        return self.succeeded / self.runs if self.runs else None

    @property
    def notebook_rate(self) -> float | None:
        """The share of notebooks that were brought in; None where there was none to bring in."""
        return 1 - self.notebooks_failed / self.notebooks if self.notebooks else None

    @property
    def on_target(self) -> bool:
        """Whether the share of runs is at the target."""
        return self.rate is not None and self.rate >= TARGET


def reliability(runs: Iterable[RunFact], now: datetime, days: int = DAYS) -> Reliability:
    """Over the runs that began within the last `days` days, and ended."""
    within = [r for r in runs if r.started > now - timedelta(days) and r.status.final]
    by = {status: sum(r.status is status for r in within) for status in RunStatus}
    backed_up = {r.started.date() for r in within if r.status is not RunStatus.FAILED}
    first = min((r.started.date() for r in within), default=now.date())
    planned = [(max(r.planned, r.failed), r.failed) for r in within if r.status is not RunStatus.FAILED]
    return Reliability(
        runs=len(within),
        succeeded=by[RunStatus.SUCCEEDED],
        partial=by[RunStatus.PARTIAL],
        failed=by[RunStatus.FAILED],
        notebooks=sum(p for p, _ in planned),
        notebooks_failed=sum(f for _, f in planned),
        days=min((now.date() - first).days + 1, days) if within else 0,
        days_backed_up=min(len(backed_up), days),
    )


@dataclass(frozen=True, slots=True)
class DayChanges:
    """Notebooks that the runs of one UTC day changed, by kind."""

    day: date
    counts: dict[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


def changes_a_day(runs: Sequence[RunFact], today: date, days: int = DAYS) -> list[DayChanges]:
    """One entry for each of the last `days` days, today the last; a day without runs has zeros."""
    wanted = [today - timedelta(days - 1 - n) for n in range(days)]
    counts = {day: dict.fromkeys(CHANGES, 0) for day in wanted}
    for run in runs:
        of_day = counts.get(run.started.date())
        if of_day is not None:
            for kind in CHANGES:
                of_day[kind] += run.changes.get(kind, 0)
    return [DayChanges(day, counts[day]) for day in wanted]
