"""The report of a period for people who sign it: what was done, by whom, what failed, and whether the trail holds."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import Clock
from shared.domain.audit import AuditAction, AuditRecord, AuditResult
from shared.domain.versions import CommitMark, CommitVersions, VersionKind
from shared.services.audit_export import Pseudonyms, as_json_lines
from shared.services.audit_proof import AuditProof, ProvedPart
from shared.services.manifests import ManifestStore
from shared.services.version_log import VersionLog, VersionLogGap

MOST_SHOWN = 500
"""Records in one section, and notebooks: what is more is counted, and is in the exports."""
MOST_COMMITS = 1_000
PROVING_SECONDS = 60.0
A = AuditAction
_SECTIONS: dict[str, tuple[AuditAction, ...]] = {
    "runs": (A.RUN_ENDED,),
    "restores": (A.RESTORED, A.RESTORE_UNDONE),
    "settled": (A.DELETED, A.DELETION_HELD, A.CONFLICT_SETTLED, A.SECRET_FOUND),
    "verifications": (A.VERIFIED, A.REBUILT, A.AUDIT_PRUNED),
}
_MORE = ("access", "failures", "settings")
_READS = (A.CONTENT_READ, A.PREVIEWED, A.REPORT_READ, A.AUDIT_READ, A.PLANNED)
_BAD = (AuditResult.FAILED, AuditResult.PARTIAL, AuditResult.REFUSED)


@dataclass(slots=True)
class Section:
    """Records of some kinds, the first of them; `count` is of all."""

    records: list[AuditRecord] = field(default_factory=list)
    count: int = 0

    def add(self, record: AuditRecord) -> None:
        """Take a record in."""
        self.count += 1
        if self.count <= MOST_SHOWN:
            self.records.append(record)

    @property
    def left_out(self) -> int:
        """How many are counted only."""
        return self.count - len(self.records)


@dataclass(frozen=True, slots=True)
class Change:
    """A notebook that a backup brought in; times are Unix milliseconds."""

    committed_at: int
    commit: str
    path: str
    kind: VersionKind
    author: str | None
    sha256: str | None


@dataclass(slots=True)
class Changes:
    """The notebooks that changed, the newest first; `gap` says where the history does not reach back to."""

    shown: list[Change] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    gap: str = ""

    @property
    def left_out(self) -> int:
        """How many are counted only."""
        return self.kinds.total() - len(self.shown)


@dataclass(slots=True)
class PeriodReport:
    """A period from `from_ms` to before `to_ms` (Unix milliseconds; None is open).

    `sha256` is of the period's records as JSON lines, as the export with the same period gives them.
    """

    from_ms: int | None
    to_ms: int | None
    made_at: datetime
    proof: ProvedPart
    changes: Changes
    sections: dict[str, Section] = field(default_factory=lambda: {name: Section() for name in (*_SECTIONS, *_MORE)})
    actions: Counter[str] = field(default_factory=Counter)
    readers: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: AuditRecord | None = None
    last: AuditRecord | None = None
    sha256: str = ""


class AuditReports:
    """Makes reports."""

    def __init__(self, *, proof: AuditProof, manifests: ManifestStore, log: VersionLog, clock: Clock) -> None:
        self._proof, self._manifests, self._log, self._clock = proof, manifests, log, clock

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
        for commit in self._commits(from_ms or 0, found):
            if to_ms is not None and commit.committed_at >= to_ms:
                continue
            found.commits += 1
            for version in commit.versions:
                found.kinds[version.kind.value] += 1
                if len(found.shown) < MOST_SHOWN:
                    author = pseudonyms.name(version.author) if pseudonyms and version.author else version.author
                    path = pseudonyms.text(version.path) if pseudonyms else version.path
                    at, name = commit.committed_at, commit.mark.commit
                    found.shown.append(Change(at, name, path, version.kind, author, version.sha256))
        return found

    def _commits(self, from_ms: int, found: Changes) -> Iterator[CommitVersions]:
        """The backups back to the period's beginning, the newest first."""
        mark: CommitMark | None = self._manifests.mark()
        for _ in range(MOST_COMMITS):
            if mark is None:
                return
            try:
                pushed = self._log.load(mark)
            except VersionLogGap:
                found.gap = mark.commit
                return
            if pushed[-1].committed_at < from_ms:
                return
            yield from reversed(pushed)
            mark = pushed[0].before
        found.gap = mark.commit if mark else ""


def _enter(report: PeriodReport, record: AuditRecord) -> None:
    report.first, report.last = report.first or record, record
    report.actions[record.action] += 1
    for name, takes in _TAKES.items():
        if takes(record):
            report.sections[name].add(record)
    if record.action in _READS:
        report.readers[record.actor, record.action] += 1


def _is_one_of(actions: tuple[AuditAction, ...]) -> Callable[[AuditRecord], bool]:
    return lambda record: record.action in actions


_TAKES: dict[str, Callable[[AuditRecord], bool]] = {
    **{name: _is_one_of(actions) for name, actions in _SECTIONS.items()},
    "access": _is_one_of((*_READS, A.ACCESS_REFUSED)),
    "failures": lambda record: record.result in _BAD,
    "settings": lambda record: record.action == A.SETTINGS_SEEN and bool(record.detail.get("changed")),
}
