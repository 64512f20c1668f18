"""Change reports as HTML that mail programs show, and as text beside it."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.domain.change_report import Change, ChangeReport, Tally, team_name
from shared.domain.line_counts import LineCount
from shared.domain.times import iso
from shared.domain.versions import VersionKind
from shared.services.reporting.reports import LinkedReport

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).with_name("templates")
_SET, _STYLE = re.compile(r"""{% set \w+ = "[^"]*" %}"""), re.compile(r'style="([^"]*)"')
MOST_GROUPS = 20
MOST_TEXT_CHANGES = 50
KINDS: Mapping[VersionKind, str] = {
    VersionKind.CREATED: "created",
    VersionKind.CHANGED: "changed",
    VersionKind.RENAMED: "moved or renamed",
    VersionKind.MOVED_AWAY: "moved away",
    VersionKind.DELETED: "deleted",
    VersionKind.CONFLICT: "written again over an edit on the branch",
    VersionKind.BRANCH_EDIT: "edited on the branch",
}


def report_html(found: LinkedReport) -> str:
    """The report as one HTML document: tables, styles at each element, no script, nothing to load."""
    return _templates().get_template("report.html").render(_context(found)).encode("utf-8", "replace").decode()


@functools.cache
def report_styles() -> tuple[str, ...]:
    """Every value that a `style` attribute of the report has, as a browser reads it: there is no other."""
    source = (FOLDER / "report.html").read_text()
    variables = "".join(_SET.findall(source))
    made = (_templates().from_string(variables + value).render() for value in _STYLE.findall(source))
    return tuple(sorted({unescape(value).strip() for value in made}))


def report_text(found: LinkedReport) -> str:
    """The report as plain text."""
    return _templates().get_template("report.txt").render(_context(found)).encode("utf-8", "replace").decode()


def title(report: ChangeReport) -> str:
    """What a report is about, on one line."""
    about = _about(report)
    return f"Notebook changes, {report.period}" + (f": {', '.join(about)}" if about else "")


def _about(report: ChangeReport) -> list[str]:
    selection = report.selection
    return [printable(value) for value in (selection.folder, selection.team, selection.author) if value]


def printable(value: object) -> str:
    """A text whose characters that do not print, or turn the direction of others, are spelled out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value))


def many(number: int, word: str) -> str:
    """A number of things."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _context(found: LinkedReport) -> dict[str, Any]:
    report = found.report
    groups = {
        "People": [(_person(g.key.name, g.key.team), g.tally) for g in report.people],
        "Teams": [(team_name(g.key), g.tally) for g in report.teams],
        "Folders": [(g.key, g.tally) for g in report.folders],
    }
    shown = {name: (of[:MOST_GROUPS], len(of[MOST_GROUPS:])) for name, of in groups.items()}
    told = {"title": title(report), "about": _about(report), "report": report}
    return {**told, "links": found.links, "groups": shown}


def _person(name: str, team: str | None) -> str:
    return f"{name} ({team})" if team else name


def _kinds(tally: Tally) -> str:
    return ", ".join(f"{count:,} {KINDS[kind]}" for kind, count in tally.kinds.items())


def _moment(milliseconds: int) -> str:
    return (iso(milliseconds) or "")[:16].replace("T", " ")


def _deed(change: Change) -> str:
    """What happened to a notebook, and by whom, in words."""
    version, who = change.version, change.person.name
    done = KINDS[version.kind]
    if version.other_path is not None:
        done += f" {'to' if version.kind.gone else 'from'} {version.other_path}"
    if version.restore is None:
        return f"{done} by {who}"
    if version.kind.gone:
        return f"{done} by {who} in a restore"
    moved = f"{done}, " if version.other_path is not None else ""
    of = f" from {_moment(version.restored_from)}" if version.restored_from else ""
    return f"{moved}restored by {who}{of}"


def _lines(lines: LineCount | None) -> str:
    return f"+{lines.added:,} −{lines.removed:,}" if lines else "lines not counted"


@functools.cache
def _templates() -> Environment:
    # Loaded with the first report: it takes long.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    found = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"printable": printable, "kinds": _kinds, "lines": _lines, "moment": _moment, "deed": _deed}
    found.globals |= {"many": many, "most_text_changes": MOST_TEXT_CHANGES}
    return found
