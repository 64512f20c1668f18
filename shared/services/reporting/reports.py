"""Change reports: what backups found changed in a period, by whom, with lines and links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.clock import Clock
from shared.domain.change_report import Change, ChangeReport, Selection, change_report
from shared.domain.folder_scopes import EVERYTHING, Scope
from shared.domain.people import People
from shared.domain.report_period import Period, parse_date
from shared.domain.repository_links import RepositoryLinks
from shared.services.recovery.history import LATEST, HistoryService, UnknownMoment
from shared.services.reporting.line_counter import LineCounter


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
        people: People,
        links: RepositoryLinks,
        clock: Clock,
    ) -> None:
        self._history, self._lines = history, lines
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

    def changes(
        self, period: Period, selection: Selection, most_listed: int, scope: Scope = EVERYTHING
    ) -> LinkedReport:
        """The report of a period. Its first `most_listed` changes are listed, all are counted.

        Of a notebook that came from outside `scope`, or went there, the other place is not named.
        """
        found = self._lines.counted(self._selected(period, selection, scope))
        report = change_report(found, period, selection, root=self._history.root, most_listed=most_listed)
        return LinkedReport(report, self._links)

    def _last_day(self) -> datetime:
        try:
            return datetime.fromtimestamp(self._history.moment(LATEST).committed_at / 1000, UTC)
        except UnknownMoment:
            return self._clock.now().astimezone(UTC)

    def _selected(self, period: Period, selection: Selection, scope: Scope) -> Iterator[Change]:
        for change in self._history.changes(period.from_ms, period.to_ms):
            version, commit = change.found.version, change.found.commit
            person = self._people.of(version.author)
            if not selection.holds(version, person):
                continue
            # What somebody pushed may be of several commits: the last of them need not show the file.
            file = version.file if commit.is_backup else None
            if version.other_path is not None and not scope.holds_notebook(version.other_path):
                version = replace(version, other_path=None)
            yield Change(version, change.before, commit.commit, commit.committed_at, person, file=file)
