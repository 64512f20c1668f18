"""What an administrator sees at a glance: read from the rows of runs, verifications, restores and capacity."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shared.clock import Clock
from shared.domain.reliability import CHANGES, RunFact
from shared.domain.runs import RunStatus
from shared.errors import BackupError
from shared.services.recovery.restores import RestoreService
from shared.services.reporting.capacity import CapacityService
from shared.services.state.maintenance import Kind, MaintenanceStore
from shared.services.state.runs import RunStore, parse_time
from shared.services.state.status import StatusService, summary

MOST_RUNS = 200
MOST_RESTORES = 5
_log = logging.getLogger("backup.dashboard")

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens an outside system. `expires_on` is None where nobody knows, or where it `renews_itself`.

    `missing` says what would have to be there for a date to be known.
    """

    name: str
    renews_itself: bool
    expires_on: date | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """The last verification with what it found, and when one last passed."""

    last: Json
    passed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything that the page shows. What could not be read is None or empty, and named in `unread`.

    `runs` are the newest first. `last` is the last run that ended, with its failures.
    """

    now: datetime
    active: Json | None
    runs: Sequence[RunFact]
    last: Json | None
    verified: Verified | None
    restores: Sequence[Json]
    capacity: Json | None
    credentials: Sequence[Credential]
    unread: Sequence[str]


class DashboardService:
    """Reads, and changes nothing. One table that does not answer leaves the rest to be seen."""

    def __init__(
        self,
        *,
        status: StatusService,
        runs: RunStore,
        maintenance: MaintenanceStore,
        restores: RestoreService,
        capacity: CapacityService,
        credentials: Callable[[], Sequence[Credential]],
        clock: Clock,
    ) -> None:
        self._status, self._runs, self._maintenance = status, runs, maintenance
        self._restores, self._capacity = restores, capacity
        self._credentials, self._clock = credentials, clock

    def read(self) -> Dashboard:
        """All sections as they stand. Raises nothing."""
        unread: list[str] = []
        runs: Sequence[RunFact] = _guarded(unread, "runs", self._facts, [])
        return Dashboard(
            now=self._clock.now(),
            active=_guarded(unread, "the run under way", self._active, None),
            runs=runs,
            last=_guarded(unread, "the failures of the last run", lambda: self._last(runs), None),
            verified=_guarded(unread, "verifications", self._verified, None),
            restores=_guarded(unread, "restores", self._recent_restores, []),
            capacity=_guarded(unread, "capacity", self._capacity.overview, None),
            credentials=_guarded(unread, "credentials", self._credentials, []),
            unread=unread,
        )

    def _facts(self) -> Sequence[RunFact]:
        found = []
        for stored in self._runs.recent(MOST_RUNS):
            try:
                found.append(_fact(summary(stored.key, stored.row)))
            except (KeyError, ValueError) as error:
                # A row that lost its status or its start is the verification's to name.
                _log.warning("the row of run %s is not whole: %s", stored.key, error, extra={"action": "dashboard"})
        return found

    def _active(self) -> Json | None:
        found = self._status.active()
        return found if found and found["status"] == RunStatus.RUNNING else None

    def _last(self, runs: Sequence[RunFact]) -> Json | None:
        ended = next((r for r in runs if r.status.final), None)
        return self._status.run(ended.run_id) if ended else None

    def _verified(self) -> Verified | None:
        rows = self._maintenance.recent(Kind.VERIFY)
        if not rows:
            return None
        over = [r for r in rows if r.get("status") in ("passed", "failed", "stopped")]
        last = self._maintenance.get(Kind.VERIFY, (over or rows)[0]["id"])
        passed = next((r for r in over if r["status"] == "passed" and r.get("finished_at")), None)
        return Verified(last, parse_time(passed["finished_at"]) if passed else None)

    def _recent_restores(self) -> list[Json]:
        return self._restores.recent(MOST_RESTORES, plans=False)


def _fact(run: Json) -> RunFact:
    seconds = run["seconds"]
    return RunFact(
        run_id=run["run_id"],
        started=parse_time(run["started_at"]),
        status=RunStatus(run["status"]),
        seconds=float(seconds) if seconds is not None else None,
        notebooks=run["notebooks"],
        planned=run["planned"],
        failed=run["failed"],
        changes={kind: run["counts"][kind] for kind in CHANGES},
        held=run["counts"]["held"],
        error=run["error"],
    )


def _guarded[T](unread: list[str], name: str, read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except Exception as error:  # noqa: BLE001 - whatever one table answers, the rest of the page is of use
        told = str(error) if isinstance(error, BackupError) else type(error).__name__
        _log.warning("the dashboard lacks %s: %s", name, told, extra={"action": "dashboard"})
        unread.append(name)
        return otherwise
