"""Change reports: what backups found changed in a period, by whom, with lines and links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.clock import Clock
from shared.domain.change_report import Change, ChangeReport, Selection, change_report
from shared.domain.people import People
from shared.domain.report_period import Period, parse_date
from shared.domain.repository_links import RepositoryLinks
from shared.domain.versions import CommitMark, VersionKind
from shared.protocols import IndexedCommit
from shared.services.history import LATEST, HistoryService, UnknownMoment
from shared.services.line_counter import LineCounter
from shared.services.version_log import VersionLog, VersionLogGap


@dataclass(frozen=True, slots=True)
class LinkedReport:
    """A report with the links into its repository."""

    report: ChangeReport
    links: RepositoryLinks


class ReportService:
    """Reports are made of the version index, whose authors are the ones that are known by now."""

    def __init__(
        self,
        *,
        history: HistoryService,
        lines: LineCounter,
        log: VersionLog,
        people: People,
        links: RepositoryLinks,
        clock: Clock,
    ) -> None:
        self._history, self._lines, self._log = history, lines, log
        self._people, self._links, self._clock = people, links, clock

    def period(self, first: str | None, last: str | None) -> Period:
        """The days that are meant, in UTC: without any, that of the last backup that changed something.

        Without `first`, the last day alone; without `last`, until today. Raises `ValueError`.
        """
        if first is None and last is None:
            day = self._last_day().date()
            return Period.days(day, day)
        end = parse_date("to", last) if last is not None else self._clock.now().astimezone(UTC).date()
        start = parse_date("from", first) if first is not None else end
        return Period.days(start, end if last is not None else max(start, end))

    def changes(self, period: Period, selection: Selection, most_listed: int) -> LinkedReport:
        """The report of a period. Its first `most_listed` changes are listed, all are counted."""
        found = self._lines.counted(self._selected(period, selection, most_listed))
        report = change_report(found, period, selection, root=self._history.root, most_listed=most_listed)
        return LinkedReport(report, self._links)

    def _last_day(self) -> datetime:
        try:
            return datetime.fromtimestamp(self._history.moment(LATEST).committed_at / 1000, UTC)
        except UnknownMoment:
            return self._clock.now().astimezone(UTC)

    def _selected(self, period: Period, selection: Selection, most_listed: int) -> Iterator[Change]:
        files, number = _Files(self._log), 0
        for change in self._history.changes(period.from_ms, period.to_ms):
            version, commit = change.found.version, change.found.commit
            person = self._people.of(version.author)
            if not selection.holds(version, person):
                continue
            linked = self._links.site is not None and number < most_listed
            file = files.of(commit, version.path) if linked else None
            yield Change(version, change.before, commit.commit, commit.committed_at, person, file=file)
            number += 1


class _Files:
    """The file of a notebook in a commit, which the version log alone tells; it is read once for each commit."""

    def __init__(self, log: VersionLog) -> None:
        self._log = log
        self._sequence, self._files = -1, dict[str, str]()

    def of(self, commit: IndexedCommit, path: str) -> str | None:
        """None for what a person pushed, and where the log does not reach: the history was made again from Git."""
        if not commit.is_backup:
            return None
        if commit.sequence != self._sequence:
            self._sequence, self._files = commit.sequence, self._load(commit)
        return self._files.get(path)

    def _load(self, commit: IndexedCommit) -> dict[str, str]:
        try:
            found = self._log.commit(CommitMark(commit.sequence // 2, commit.commit))
        except VersionLogGap:
            return {}
        return {v.path: v.file for v in found.versions if v.kind is not VersionKind.BRANCH_EDIT}
