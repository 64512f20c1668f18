"""The trail's daily care: it is proved, then what is past its retention is removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.clock import Clock
from shared.domain.audit_check import AuditFault
from shared.domain.batches import Failure, Notice
from shared.services.audit.export import SYSTEM
from shared.services.audit.proof import AuditProof, Contradiction
from shared.services.audit.retention import AuditBroken, AuditRetention
from shared.services.audit.rows import AUDIT, AuditDamaged

MOST_REMOVALS = 20
"""Calls that each remove some thousands of rows: what is left goes another day."""


MOST_NAMED = 5
"""Commits that contradict the trail, in the reason of a failure."""


@dataclass(frozen=True, slots=True)
class Care:
    """What was found, and how many records were proved."""

    records: int
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()


class AuditCare:
    """Proves the chain, and removes what is older than `keep_days` (0: nothing) from one that holds."""

    def __init__(
        self, *, proof: AuditProof, retention: AuditRetention, clock: Clock, keep_days: int, budget_seconds: float
    ) -> None:
        self._proof, self._retention, self._clock = proof, retention, clock
        self._keep_days, self._budget = keep_days, budget_seconds

    def care(self) -> Care:
        """Raises what the storage and the repository raise: the step is run again."""
        deadline = self._clock.monotonic() + self._budget
        try:
            found = self._proof.whole(lambda: self._clock.monotonic() < deadline)
            if found.verdict.fault:
                return Care(found.verdict.records, failures=(_failure(found.verdict.fault, found.against),))
            self._remove()
        except (AuditDamaged, AuditBroken) as error:
            return Care(0, failures=(Failure(AUDIT, error.code, str(error)),))
        lost = self._proof.lost
        if lost:
            reason = f"an earlier trail, up to record {lost.sequence}, was lost: BACKUP_AUDIT_LOST says so"
            return Care(found.verdict.records, notices=(Notice(AUDIT, "audit_trail_lost", reason),))
        if found.complete:
            return Care(found.verdict.records)
        reason = f"proved up to record {found.verdict.head.sequence} of {found.end.sequence}: `./backup audit --verify`"
        return Care(found.verdict.records, notices=(Notice(AUDIT, "audit_partly_proved", reason),))

    def _remove(self) -> None:
        if not self._keep_days:
            return
        day = (self._clock.now() - timedelta(days=self._keep_days)).date().isoformat()
        for _ in range(MOST_REMOVALS):
            if self._retention.remove_before(day, SYSTEM).done:
                return


def _failure(fault: AuditFault, against: tuple[Contradiction, ...]) -> Failure:
    reason = f"the audit trail is {fault.kind.value} at record {fault.sequence}: keep the table `{AUDIT}` as evidence"
    commits = [commit for one in against for commit in one.commits]
    named = f"; contradicted by the commits {', '.join(commits[:MOST_NAMED])}" if commits else ""
    return Failure(AUDIT, "audit_broken", reason + named)
