"""Run rows and the run's lease: who may start, what is stored about a run, how it ends."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable
from datetime import datetime

from shared.clock import Clock
from shared.domain.runs import Phase, RunStatus, make_run_id
from shared.errors import BackupError, RunActive, StateConflict
from shared.protocols import Queue, Row, StoredRow, Tables
from shared.services.state.run_acts import RunActs

RUNS, CHECKPOINTS = "runs", "checkpoints"
PLAN_QUEUE = "backup-plan"
_PARTITION = "run"
_LEASE = ("lease", "run")
MOST_ATTEMPTS = 5
"""Times that somebody else may write the lease first."""


class UnknownRun(BackupError):
    """There is no run {run_id}. `./backup runs` lists those there are."""

    code = "unknown_run"


class NothingHeld(BackupError):
    """The run {run_id} held no deletions back. `./backup status` shows the last one; confirm one that did."""

    code = "nothing_held"


class RunStore:
    """Rows of the table `runs`, one per run, and the lease row that lets one run be active at a time."""

    def __init__(
        self,
        tables: Tables,
        queue: Queue,
        clock: Clock,
        acts: RunActs,
        entropy: Callable[[], str] = lambda: secrets.token_hex(2),
    ) -> None:
        self._tables, self._queue, self._clock, self._acts, self._entropy = tables, queue, clock, acts, entropy

    def start(
        self,
        trigger: str,
        *,
        retry_of: str | None = None,
        confirms: str | None = None,
        who: str = "",
        origin: str = "",
    ) -> str:
        """Take the run's lease and write its row; returns the run id.

        Its planning is asked for by `planning_message`, which leaves with the calling function's answer: one
        that is lost is sent again by the watchdog. `retry_of` names a run whose failures alone are taken again;
        `confirms` names one whose held deletions are meant; `who` asked for it, from `origin`, where that was a person.
        Raises `RunActive` where another run is under way, `UnknownRun`, `NothingHeld`. A lease whose run has ended is
        taken over.
        """
        if retry_of is not None:
            self.get(retry_of)
        if confirms is not None and not int(self.get(confirms).get("held") or 0):
            raise NothingHeld(run_id=confirms)
        run_id = make_run_id(self._clock.now(), self._entropy())
        self._take_lease(run_id)
        asked: Row = {
            "retry_of": retry_of,
            "confirms": confirms,
            "requested_by": who or None,
            "requested_from": origin or None,
        }
        self._tables.insert(RUNS, _PARTITION, run_id, {**self._first_row(trigger), **asked})
        return run_id

    def enqueue_planning(self, run_id: str) -> None:
        """Send the message that asks for a planning step."""
        self._queue.send(PLAN_QUEUE, planning_message(run_id))

    def active(self) -> str | None:
        """The run that holds the lease, or None."""
        lease = self._tables.get(CHECKPOINTS, *_LEASE)
        return str(lease.row["run_id"]) if lease and lease.row.get("run_id") else None

    def release(self, run_id: str) -> None:
        """Give the lease back, if `run_id` still holds it."""
        lease = self._tables.get(CHECKPOINTS, *_LEASE)
        if lease and lease.row.get("run_id") == run_id:
            # The next run may take it over between the two, since this one has ended.
            with contextlib.suppress(StateConflict):
                self._tables.replace(CHECKPOINTS, *_LEASE, {"run_id": ""}, lease.etag)

    def get(self, run_id: str) -> Row:
        """A run's row. Raises `UnknownRun`."""
        found = self._tables.get(RUNS, _PARTITION, run_id)
        if found is None:
            raise UnknownRun(run_id=run_id)
        return found.row

    def update(self, run_id: str, **values: str | int | float | bool | None) -> None:
        """Merge values into a run's row and mark it as moving now; entering a phase is marked with its time."""
        now, phase = self._now(), values.get("phase")
        entered: Row = {f"{phase}_at": now} if phase in (Phase.EXPORTING, Phase.FINISHING) else {}
        self._tables.upsert(RUNS, _PARTITION, run_id, {**values, **entered, "updated_at": now})

    def end(self, run_id: str, status: RunStatus, **values: str | int | float | bool | None) -> None:
        """Write how a run ended, then let the next one begin."""
        now = self._clock.now()
        seconds = (now - parse_time(self.get(run_id)["started_at"])).total_seconds()
        ended: Row = {"phase": Phase.DONE.value, "finished_at": now.isoformat(), "seconds": round(seconds, 3)}
        self.update(run_id, status=status.value, **ended, **values)
        self.close(run_id)

    def close(self, run_id: str) -> None:
        """Record how a run ended, then let the next one begin. Raises `AuditUnavailable`: the lease is kept then."""
        self._acts.ended(run_id, self.get(run_id))
        self.release(run_id)

    def recent(self, limit: int) -> list[StoredRow]:
        """The newest runs first."""
        return sorted(self._tables.query(RUNS, _PARTITION), key=lambda r: r.key, reverse=True)[:limit]

    def _first_row(self, trigger: str) -> Row:
        return {
            "status": RunStatus.RUNNING.value,
            "phase": Phase.QUEUED.value,
            "trigger": trigger,
            "started_at": self._now(),
            "updated_at": self._now(),
        }

    def _take_lease(self, run_id: str) -> None:
        """Take the lease. A run that is just giving it back is not under way: then it is tried again."""
        for _ in range(MOST_ATTEMPTS):
            lease = self._tables.get(CHECKPOINTS, *_LEASE)
            try:
                if lease is None:
                    self._tables.insert(CHECKPOINTS, *_LEASE, {"run_id": run_id})
                    return
                if holder := str(lease.row.get("run_id") or ""):
                    self._settle(holder)
                self._tables.replace(CHECKPOINTS, *_LEASE, {"run_id": run_id}, lease.etag)
                return
            except StateConflict:
                continue
        raise RunActive(run_id=self.active() or "just started")

    def _settle(self, holder: str) -> None:
        """Record how a run ended that died before it gave back its lease. Raises `RunActive` of one under way."""
        row = self._tables.get(RUNS, _PARTITION, holder)
        if row is None or not RunStatus(str(row.row["status"])).final:
            raise RunActive(run_id=holder)
        self._acts.ended(holder, row.row)

    def _now(self) -> str:
        return self._clock.now().isoformat()


def planning_message(run_id: str) -> str:
    """The text of the message that asks for a planning step."""
    return json.dumps({"run_id": run_id})


def parse_time(value: object) -> datetime:
    """An ISO time of a row as an aware datetime."""
    return datetime.fromisoformat(str(value))


def time_of(row: Row, name: str) -> datetime | None:
    """A time of a row, or None where there is none: for those whom one damaged row must not stop."""
    try:
        return parse_time(row[name])
    except (KeyError, ValueError):
        return None
