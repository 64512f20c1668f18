"""Figures that stand between runs: queues, success over 30 days beside its targets, and the heartbeat."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.domain.restores import RestoreStatus
from shared.domain.runs import RunStatus
from shared.errors import StateConflict
from shared.protocols import Queue, StoredRow, Tables, Telemetry
from shared.services.reporting.mail import MailService
from shared.services.reporting.outbox import MAILS
from shared.services.state.restore_store import RestoreStore
from shared.services.state.runs import RunStore, parse_time, time_of

WINDOW = timedelta(days=30)
_MOST_ROWS = 2_000
_FIRST_SEEN = ("heartbeat", "since")
_log = logging.getLogger("backup.gauges")


@dataclass(frozen=True, slots=True)
class Targets:
    """Shares that are meant to succeed, 0 to 1."""

    backups: float
    restores: float


class GaugeService:
    """Looks at what is stored, and sets gauges; tells of a backup that has not succeeded for too long."""

    def __init__(
        self,
        *,
        runs: RunStore,
        restores: RestoreStore,
        queue: Queue,
        queues: Iterable[str],
        tables: Tables,
        mail: MailService,
        clock: Clock,
        telemetry: Telemetry,
        targets: Targets,
    ) -> None:
        self._runs, self._restores, self._queue, self._queues = runs, restores, queue, tuple(queues)
        self._tables, self._mail, self._clock = tables, mail, clock
        self._telemetry, self._targets = telemetry, targets

    def look(self) -> None:
        """Set every gauge, then tell where no run succeeded for too long. Raises what the stores raise."""
        t = self._telemetry
        for name in self._queues:
            t.gauge("backup.queue.depth", self._queue.length(name), queue=name)
        runs = self._runs.recent(_MOST_ROWS)
        self._set_rate("backup", self._share(runs, "started_at", RunStatus.SUCCEEDED), self._targets.backups)
        restores = [r for r in self._restores.recent(_MOST_ROWS) if not r.row.get("dry_run")]
        share = self._share(restores, "created_at", RestoreStatus.SUCCEEDED)
        self._set_rate("restore", share, self._targets.restores)
        succeeded = [time_of(r.row, "finished_at") for r in runs if r.row.get("status") == RunStatus.SUCCEEDED]
        last = max((at for at in succeeded if at), default=None)
        if last:
            t.gauge("backup.success.age", (self._clock.now() - last).total_seconds())
        self._mail.heartbeat(last, self._first_seen())

    def repository_size(self, size: int) -> None:
        """Set the repository's size in bytes, for whoever measures it."""
        self._telemetry.gauge("backup.repository.size", size)

    def _set_rate(self, of: str, share: float | None, target: float) -> None:
        """A rate of nothing is not set: it would read as none succeeded, or all."""
        self._telemetry.gauge("backup.success.target", target, of=of)
        if share is None:
            return
        self._telemetry.gauge("backup.success.rate", share, of=of)
        if share < target:
            told = {"action": "success.below_target", "of": of}
            _log.warning("%.1f %% of each %s succeeded in 30 days, under the target", 100 * share, of, extra=told)

    def _share(self, rows: Iterable[StoredRow], since: str, good: str) -> float | None:
        """The share that succeeded, of those in the window that are over."""
        begin = self._clock.now() - WINDOW
        ended = [r.row for r in rows if time_of(r.row, "finished_at") and (time_of(r.row, since) or begin) >= begin]
        return sum(row.get("status") == good for row in ended) / len(ended) if ended else None

    def _first_seen(self) -> datetime:
        """When the app was first here: before that no run was due."""
        found = self._tables.get(MAILS, *_FIRST_SEEN)
        if found:
            return parse_time(found.row["since"])
        now = self._clock.now()
        try:
            self._tables.insert(MAILS, *_FIRST_SEEN, {"since": now.isoformat()})
        except StateConflict:
            return self._first_seen()
        return now
