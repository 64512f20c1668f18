"""The report of a period for people who sign it: what was done, by whom, what failed, and whether the trail holds."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import Clock
from shared.domain.audit import AuditAction, AuditRecord, AuditResult
from shared.domain.versions import Version
from shared.protocols import IndexedCommit
from shared.services.audit.export import Pseudonyms, as_json_lines
from shared.services.audit.proof import AuditProof, ProvedPart
from shared.services.audit.rows import UNREADABLE
from shared.services.recovery.history import HistoryService

MOST_LISTED = 50_000
"""Records, and changes of notebooks, in one report: what is more is counted, and the report says that it is a part."""
PROVING_SECONDS = 60.0
_EVER_MS = 2**62
A = AuditAction
_READS = (A.CONTENT_READ, A.PREVIEWED, A.REPORT_READ, A.AUDIT_READ, A.PLANNED)
_SECTIONS: dict[str, tuple[AuditAction, ...]] = {
    "runs": (A.RUN_ENDED,),
    "restores": (A.RESTORED, A.RESTORE_UNDONE),
    "settled": (A.DELETED, A.DELETION_HELD, A.CONFLICT_SETTLED, A.SECRET_FOUND),
    "access": (*_READS, A.ACCESS_REFUSED),
    "verifications": (A.VERIFIED, A.REBUILT, A.AUDIT_PRUNED),
    "settings": (A.SETTINGS_SEEN,),
}
OTHERS = "others"
"""The section of what is in no other."""
_HOME: dict[str, str] = {action: name for name, actions in _SECTIONS.items() for action in actions}
_BAD = (AuditResult.FAILED, AuditResult.PARTIAL, AuditResult.REFUSED, UNREADABLE)


@dataclass(frozen=True, slots=True)
class Change:
    """A notebook that a commit brought in; times are Unix milliseconds. `restore` is the restore that it is of."""

    committed_at: int
    commit: str
    path: str
    kind: str
    author: str | None
    sha256: str | None
    restore: str | None


@dataclass(slots=True)
class Listing[Entry]:
    """Entries in order of time, the first `MOST_LISTED`; `more_from_ms` is when the first of the others was."""

    shown: list[Entry] = field(default_factory=list)
    count: int = 0
    more_from_ms: int | None = None

    def has_room(self, at_ms: int) -> bool:
        """Count an entry; whether it can be shown."""
        self.count += 1
        fits = self.count <= MOST_LISTED
        if not fits and not self.more_from_ms:
            self.more_from_ms = at_ms
        return fits

    @property
    def left_out(self) -> int:
        """How many are counted only."""
        return self.count - len(self.shown)


@dataclass(slots=True)
class Changes:
    """The changes of notebooks, how many of each kind, and the commits that they are in."""

    listing: Listing[Change] = field(default_factory=Listing)
    kinds: Counter[str] = field(default_factory=Counter)
    commits: set[str] = field(default_factory=set)


@dataclass(slots=True)
class PeriodReport:
    """A period from `from_ms` to before `to_ms` (Unix milliseconds; None is open).

    Each record is in one section of `sections`; those that say that something went wrong are in `failures`, too.
    `sha256` is of the period's records as JSON lines, as the export with the same period gives them.
    """

    from_ms: int | None
    to_ms: int | None
    made_at: datetime
    proof: ProvedPart
    changes: Changes
    listing: Listing[AuditRecord] = field(default_factory=Listing)
    sections: dict[str, list[AuditRecord]] = field(default_factory=lambda: {n: [] for n in (*_SECTIONS, OTHERS)})
    failures: list[AuditRecord] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    readers: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: AuditRecord | None = None
    last: AuditRecord | None = None
    sha256: str = ""

    @property
    def more_from_ms(self) -> int | None:
        """From when on another report is needed, since this one is full; None where it lists everything."""
        ends = (self.listing.more_from_ms, self.changes.listing.more_from_ms)
        return min((end for end in ends if end is not None), default=None)


class AuditReports:
    """Makes reports."""

    def __init__(self, *, proof: AuditProof, history: HistoryService, clock: Clock) -> None:
        self._proof, self._history, self._clock = proof, history, clock

    def make(
        self, records: Iterable[AuditRecord], from_ms: int | None, to_ms: int | None, pseudonyms: Pseudonyms | None
    ) -> PeriodReport:
        """The report over a period's records, which are read once. Raises what the storage and repository raise."""
        deadline = self._clock.monotonic() + PROVING_SECONDS
        report = PeriodReport(
            from_ms=from_ms,
            to_ms=to_ms,
            made_at=self._clock.now(),
            proof=self._proof.whole(lambda: self._clock.monotonic() < deadline),
            changes=self._changes(from_ms, to_ms, pseudonyms),
        )
        digest = hashlib.sha256()
        for record in records:
            shown = pseudonyms.of(record) if pseudonyms else record
            for line in as_json_lines([record], pseudonyms):
                digest.update(line)
            _enter(report, shown)
        report.sha256 = digest.hexdigest()
        return report

    def _changes(self, from_ms: int | None, to_ms: int | None, pseudonyms: Pseudonyms | None) -> Changes:
        found = Changes()
        for change in self._history.changes(from_ms or 0, _EVER_MS if to_ms is None else to_ms):
            commit, version = change.found.commit, change.found.version
            found.commits.add(commit.commit)
            found.kinds[version.kind.value] += 1
            if found.listing.has_room(commit.committed_at):
                found.listing.shown.append(_change(commit, version, pseudonyms))
        return found


def _change(commit: IndexedCommit, version: Version, pseudonyms: Pseudonyms | None) -> Change:
    return Change(
        commit.committed_at,
        commit.commit,
        pseudonyms.text(version.path) if pseudonyms else version.path,
        version.kind.value,
        pseudonyms.name(version.author) if pseudonyms and version.author else version.author,
        version.sha256,
        version.restore,
    )


def _enter(report: PeriodReport, record: AuditRecord) -> None:
    report.first, report.last = report.first or record, record
    report.actions[record.action] += 1
    if record.action in _READS:
        report.readers[record.actor, record.action] += 1
    if report.listing.has_room(record.at_ms):
        report.listing.shown.append(record)
        report.sections[_HOME.get(record.action, OTHERS)].append(record)
        if record.result in _BAD:
            report.failures.append(record)
