"""Change reports as JSON objects and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.domain.change_report import Change, Omission, Tally
from shared.domain.people import Person
from shared.domain.repository_links import RepositoryLinks
from shared.domain.spreadsheets import cell, line
from shared.domain.times import iso
from shared.services.reporting.reports import LinkedReport

type Json = dict[str, Any]
COLUMNS = (
    "committed_at",
    "path",
    "kind",
    "other_path",
    "person",
    "mail",
    "team",
    "language",
    "added",
    "removed",
    "modified_at",
    "commit",
    "commit_link",
    "difference_link",
    "restore",
    "restored_from",
)


def report_json(found: LinkedReport) -> Json:
    """The report as one object."""
    report = found.report
    selected = {name: getattr(report.selection, name) for name in ("author", "team", "folder")}
    return {
        "period": str(report.period),
        "from": report.period.start.isoformat(),
        "to": report.period.end.isoformat(),
        **selected,
        "totals": _tally(report.total),
        "people": [{**_person(g.key), **_tally(g.tally)} for g in report.people],
        "teams": [{"team": g.key, **_tally(g.tally)} for g in report.teams],
        "folders": [{"folder": g.key, **_tally(g.tally)} for g in report.folders],
        "changes": [change_json(change, found.links) for change in report.changes],
        "left_out": report.left_out,
        "without_lines": {reason.value: report.omitted.get(reason, 0) for reason in Omission},
    }


def change_json(change: Change, links: RepositoryLinks) -> Json:
    """One change; its times are ISO in UTC, its lines None where they are not counted."""
    version, lines = change.version, change.lines
    person = _person(change.person)
    return {
        "committed_at": iso(change.committed_at),
        "path": version.path,
        "kind": version.kind.value,
        "other_path": version.other_path,
        "person": person.pop("name"),
        **person,
        "language": version.language.value,
        "added": lines.added if lines else None,
        "removed": lines.removed if lines else None,
        "modified_at": iso(version.modified_at),
        "commit": change.commit,
        "commit_link": links.commit(change.commit),
        "difference_link": links.difference(change.commit, change.file),
        "restore": version.restore,
        "restored_from": iso(version.restored_from),
    }


def report_csv(found: LinkedReport) -> Iterator[bytes]:
    """A header and a line for each change, in UTF-8 with the mark that spreadsheets know it by.

    No cell begins as a formula does: such text has a `'` before it. Where changes are left out, a last line says so.
    """
    yield b"\xef\xbb\xbf" + line(list(COLUMNS))
    for change in found.report.changes:
        shown = change_json(change, found.links)
        yield line([cell(_text(shown[column])) for column in COLUMNS])
    if found.report.left_out:
        told = f"{found.report.left_out} more changes are left out: choose a shorter period, a folder, or a team"
        yield line([told, *[""] * (len(COLUMNS) - 1)])


def _person(person: Person) -> Json:
    return {"name": person.name, "mail": person.mail, "team": person.team}


def _tally(tally: Tally) -> Json:
    return {
        "changes": tally.changes,
        "notebooks": tally.notebooks,
        "kinds": {kind.value: count for kind, count in tally.kinds.items()},
        "added": tally.lines.added,
        "removed": tally.lines.removed,
        "without_lines": tally.without_lines,
    }


def _text(value: str | int | None) -> str:
    return "" if value is None else str(value)
