"""The report of a period as one file of HTML that prints as it is shown."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import azure.functions as func
from markupsafe import Markup

from shared.domain.audit import AuditRecord
from shared.domain.canonical import Canonical, canonical
from shared.domain.times import iso
from shared.services.reporting.audit_report import PeriodReport

if TYPE_CHECKING:
    from jinja2 import Environment

SECTIONS = {
    "runs": ("Backups", "No backup ended in this period."),
    "restores": ("Restores", "Nothing was restored in this period."),
    "settled": ("Deletions, conflicts, secrets", "There were none in this period."),
    "access": ("Access", "Nobody read anything in this period."),
    "verifications": ("Verifications", "The backup was not verified in this period."),
    "settings": ("Settings, as each process began with them", "No process began in this period."),
    "others": ("All other acts", "There were none in this period."),
}
"""Heading of each section, and what stands there where it is empty."""
_NOTHING = (None, "", 0)
FOLDER = Path(__file__).with_name("templates")


@functools.cache
def _style() -> str:
    return (FOLDER / "audit.css").read_text()


@functools.cache
def _templates() -> Environment:
    # Loaded with the first report: it takes long.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found.filters["time"] = lambda at_ms: (iso(at_ms) or "open")[:19].replace("T", " ")
    found.filters["moment"] = iso
    found.filters["words"] = lambda name: str(name).replace("_", " ")
    found.filters["detail"] = _detail
    found.globals["sections"] = SECTIONS
    found.globals["style"] = Markup(_style())  # noqa: S704 - our own sheet
    return found


def _told_once(records: list[AuditRecord]) -> Iterator[AuditRecord]:
    """Settings of processes: those that are the same as at the beginning before are not listed again."""
    before = None
    for record in records:
        digest = record.detail.get("sha256")
        if digest is not None and digest == before and not record.detail.get("changed"):
            yield replace(record, detail={"the same as before, sha256": digest})
        else:
            yield record
        before = digest


def _detail(record: AuditRecord) -> str:
    """What a record says beside who, what and when: nothing of it is cut here."""
    told = {"correlation": record.correlation, **record.detail}
    return "; ".join(f"{name}: {_text(value)}" for name, value in told.items() if value not in _NOTHING)


def _text(value: Canonical) -> str:
    return value if isinstance(value, str) else canonical(value)


def report_page(report: PeriodReport, asked_by: str, *, pseudonymised: bool) -> func.HttpResponse:
    """A report as the answer."""
    listed = {name: report.sections[name] for name in SECTIONS} | {
        "settings": [*_told_once(report.sections["settings"])]
    }
    given = {"report": report, "listed": listed, "asked_by": asked_by, "pseudonymised": pseudonymised}
    # A report of 50,000 records is made in pieces, so that it is in memory once.
    parts = _templates().get_template("audit_report.html").generate(given)
    body = b"".join(part.encode("utf-8", "replace") for part in parts)
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    closed = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    headers = {"Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; {closed}"}
    return func.HttpResponse(body, headers=headers, mimetype="text/html")
