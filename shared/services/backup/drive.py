"""Driving a run to its end: commit what is staged as it comes, then finish the run.

One call is one time slice of the durable single instance. It holds no state of its own: all of it is in
the batch rows, so a slice that dies is simply followed by the next.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from shared.clock import Clock
from shared.domain.batches import Failure, Notice
from shared.domain.runs import BatchTotals, Phase, RunStatus
from shared.errors import LeaseLost, RunActive
from shared.protocols import Row
from shared.redaction import redact
from shared.services.backup.commit import CommitService
from shared.services.backup.publish import PublishService
from shared.services.backup.retention import RetentionService
from shared.services.git_folders.sync import FolderSync
from shared.services.state.batch_rows import BatchStore
from shared.services.state.run_acts import RunActs
from shared.services.state.runs import RunStore, parse_time

_log = logging.getLogger("backup.runs")

SHORTEST_POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 2.0
POLL_GROWTH = 1.1
"""While nothing moves, each poll waits longer than the one before."""
MOST_ERROR_CHARACTERS = 1_000


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
        batches: BatchStore,
        retention: RetentionService,
        acts: RunActs,
        folders: FolderSync,
        publication: PublishService | None,
        clock: Clock,
        chunk_notebooks: int,
        budget_seconds: float,
        give_up: timedelta,
    ) -> None:
        self._commits, self._runs, self._batches = commits, runs, batches
        self._retention, self._acts, self._folders, self._clock = retention, acts, folders, clock
        self._publication = publication
        self._chunk, self._budget, self._give_up = chunk_notebooks, budget_seconds, give_up

    def drive(self) -> Slice:
        """Work on the active run until it is over or the time slice ends."""
        run_id = self._runs.active()
        if run_id is None:
            return Slice(True, None)
        deadline = self._clock.monotonic() + self._budget
        before, pause = None, SHORTEST_POLL_SECONDS
        while self._clock.monotonic() < deadline:
            row = self._runs.get(run_id)
            if RunStatus(str(row["status"])).final:
                self._runs.close(run_id)
                return Slice(True, run_id)
            totals = self._batches.totals(run_id)
            if row["phase"] in (Phase.EXPORTING, Phase.FINISHING) and self._try(run_id, row, totals):
                return Slice(True, run_id)
            pause = _poll_seconds(totals) if totals != before else min(pause * POLL_GROWTH, LONGEST_POLL_SECONDS)
            before = totals
            self._clock.sleep(pause)
        return Slice(False, run_id)

    def _try(self, run_id: str, row: Row, totals: BatchTotals) -> bool:
        """Advance the run; one whose commits fail for hours ends as failed, so that the next can begin."""
        try:
            return self._advance(run_id, totals)
        except LeaseLost:
            # Another committer works on it.
            raise
        except Exception as error:
            now = self._clock.now()
            since = parse_time(row["failing_since"]) if row.get("failing_since") else now
            self._runs.update(run_id, failing_since=since.isoformat(), error=redact(str(error))[:MOST_ERROR_CHARACTERS])
            if now - since < self._give_up:
                raise
            reason = f"committing failed for {self._give_up.total_seconds() / 3600:.0f} hours: {redact(str(error))}"
            self._record(run_id, {})
            self._runs.end(run_id, RunStatus.FAILED, error=reason[:MOST_ERROR_CHARACTERS])
            _log.error("run %s is given up: %s", run_id, reason, extra={"run_id": run_id, "action": "run.fail"})
            return True

    def _advance(self, run_id: str, totals: BatchTotals) -> bool:
        if totals.queued and totals.notebooks_staged < self._chunk:
            return False
        if totals.staged or not totals.queued:
            self._commit(run_id)
        if totals.queued:
            return False
        if self._batches.totals(run_id).unsettled:
            return False
        self._finish(run_id)
        return True

    def _commit(self, run_id: str) -> None:
        began = self._clock.monotonic()
        self._acts.exported(run_id, self._batches.rows(run_id))
        self._commits.commit_staged(run_id)
        spent = float(self._runs.get(run_id).get("commit_seconds") or 0) + self._clock.monotonic() - began
        self._runs.update(run_id, commit_seconds=round(spent, 3), failing_since="", error="")

    def _finish(self, run_id: str) -> None:
        self._runs.update(run_id, phase=Phase.FINISHING.value)
        row = self._runs.get(run_id)
        again = self._folders.after_run(run_id)
        if self._publication:
            self._publication.after_run(run_id)
        failures, notices = self._record(run_id, row)
        complete = not failures and not int(row.get("held") or 0)
        self._tell(run_id, failures, notices)
        status = RunStatus.SUCCEEDED if complete else RunStatus.PARTIAL
        self._runs.end(run_id, status, failed=len(failures), notices=len(notices))
        self._retention.clean(run_id)
        if again:
            self._start_another(run_id)

    def _start_another(self, run_id: str) -> None:
        """People's commits have come to the workspace: a backup that takes them in follows at once.

        One that dies before is no loss: the next backup does the same.
        """
        with contextlib.suppress(RunActive):
            following = self._runs.start("git folders")
            self._runs.enqueue_planning(following)
            _log.info("run %s follows on %s", following, run_id, extra={"run_id": following})

    def _record(self, run_id: str, row: Row) -> tuple[list[Failure], list[Notice]]:
        """Record what a run did that commits no more, by its `row` (empty: it was given up); returns what it names."""
        rows = self._batches.rows(run_id)
        failures, notices = self._batches.failures(run_id, rows), self._batches.notices(run_id, rows)
        self._acts.exported(run_id, rows)
        self._acts.settled(run_id, row, failures, notices)
        return failures, notices

    @staticmethod
    def _tell(run_id: str, failures: list[Failure], notices: list[Notice]) -> None:
        """Where alerts look: one line for what was settled, one for what was not."""
        for name, found, level in (("failures", failures, logging.ERROR), ("notices", notices, logging.WARNING)):
            if found:
                codes = ", ".join(f"{count} {code}" for code, count in Counter(f.code for f in found).most_common())
                _log.log(level, "run %s has %s: %s", run_id, name, codes, extra={"run_id": run_id, "action": name})


def _poll_seconds(totals: BatchTotals) -> float:
    """A poll reads every batch row, so its interval follows their number."""
    rows = totals.queued + totals.staged + totals.committed + totals.failed
    return min(max(SHORTEST_POLL_SECONDS, rows / 200), LONGEST_POLL_SECONDS)
