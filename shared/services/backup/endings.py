"""What follows when a run or a verification is over: figures first, mail last. Nothing of it can fail a backup."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from shared.clock import Clock
from shared.domain.runs import RunStatus
from shared.protocols import Row, Telemetry
from shared.services.recovery.tags import TagService
from shared.services.reporting.mail import MailService
from shared.services.state.batch_rows import BatchStore
from shared.services.state.maintenance import Kind, MaintenanceStore
from shared.services.state.runs import RunStore, parse_time, time_of

SWEPT = timedelta(days=1)
"""An ending whose process died before it was told of is found for so long."""
_MOST_SWEPT = 50
_OUTCOMES = ("created", "changed", "renamed", "deleted", "conflict", "unchanged", "held", "failed")
_log = logging.getLogger("backup.endings")


class EndingService:
    """Measures what ended and tells people of it; an ending that was missed is found by `sweep`."""

    def __init__(
        self,
        *,
        runs: RunStore,
        batches: BatchStore,
        maintenance: MaintenanceStore,
        mail: MailService,
        clock: Clock,
        telemetry: Telemetry,
        tags: TagService,
    ) -> None:
        self._runs, self._batches, self._maintenance, self._mail = runs, batches, maintenance, mail
        self._tags = tags
        self._clock, self._telemetry = clock, telemetry

    def run_ended(self, run_id: str) -> None:
        """Measure a run that is over, then tell of it; nothing happens for one that was told of. Raises nothing."""
        self._quietly(lambda: self._run_ended(run_id), f"run {run_id}")

    def verification_ended(self, identity: str) -> None:
        """Measure a verification that is over, then tell of it. Raises nothing."""
        self._quietly(lambda: self._verification_ended(identity), f"verification {identity}")

    def sweep(self) -> None:
        """Catch up with what ended in the last day and was not told of. Raises nothing."""
        self._quietly(self._sweep_runs, "the runs of the last day")
        self._quietly(self._sweep_verifications, "the verifications of the last day")

    def _run_ended(self, run_id: str) -> None:
        row = self._runs.get(run_id)
        if not RunStatus(str(row["status"])).final or row.get("told"):
            return
        self._measure(run_id, row)
        self._mail.run_ended(run_id)
        self._tags.run_ended(run_id)
        self._runs.update(run_id, told=True)

    def _measure(self, run_id: str, row: Row) -> None:
        status, t = str(row["status"]), self._telemetry
        seconds, planned = float(row.get("seconds") or 0), int(row.get("planned") or 0)
        t.count("backup.runs", status=status)
        t.record("backup.run.seconds", seconds, status=status)
        t.gauge("backup.run.rate", planned / seconds if seconds else 0.0)
        for phase, spent in _phases(row).items():
            t.record("backup.run.phase.seconds", spent, phase=phase)
        for outcome in _OUTCOMES:
            t.count("backup.run.notebooks", int(row.get(outcome) or 0), outcome=outcome)
        for code, number in Counter(f.code for f in self._batches.failures(run_id)).items():
            t.count("backup.run.failures", number, code=code)
        _log.info("run %s ended: %s", run_id, status, extra={"run_id": run_id, "action": "run.end", "status": status})
        t.flush()

    def _verification_ended(self, identity: str) -> None:
        status = str(self._maintenance.get(Kind.VERIFY, identity)["status"])
        self._telemetry.count("backup.verifications", status=status)
        self._mail.verification_ended(identity)

    def _sweep_runs(self) -> None:
        for found in self._runs.recent(_MOST_SWEPT):
            if self._is_of_the_last_day(found.row) and not found.row.get("told"):
                self.run_ended(found.key)

    def _sweep_verifications(self) -> None:
        for found in self._maintenance.recent(Kind.VERIFY):
            if self._is_of_the_last_day(found) and found["status"] != "passed":
                # The outbox knows those that were told of.
                self._mail.verification_ended(str(found["id"]))

    def _is_of_the_last_day(self, row: Row) -> bool:
        ended = time_of(row, "finished_at")
        return ended is not None and self._clock.now() - ended < SWEPT

    @staticmethod
    def _quietly(call: Callable[[], None], what: str) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the backup is done: what fails here is caught up with
            told = {"action": "ending.tell"}
            _log.warning("%s was not told of, and will be tried again: %s", what, error, extra=told)


def _phases(row: Row) -> dict[str, float]:
    """Seconds by phase. Planning begins with the run; committing goes on within exporting."""
    marks = [row.get(name) for name in ("started_at", "exporting_at", "finishing_at", "finished_at")]
    committing = row.get("commit_seconds")
    found = {} if committing is None else {"committing": float(committing)}
    for phase, begin, end in zip(("planning", "exporting", "finishing"), marks, marks[1:], strict=False):
        if begin and end:
            found[phase] = (parse_time(end) - parse_time(begin)).total_seconds()
    return found
