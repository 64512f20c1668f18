"""HTTP entry points of reports."""

from __future__ import annotations

import base64
import functools
import hashlib

import azure.functions as func

from functions.answers import answer, guarded
from functions.recording import record_read
from functions.requests import asking, text
from shared.domain.audit import AuditAction
from shared.domain.change_report import Selection
from shared.services.reporting.report_html import report_html, report_styles
from shared.services.reporting.report_views import report_csv, report_json
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]

MOST_LISTED = {"json": 20_000, "csv": 50_000, "html": 500}
MOST_DATE, MOST_NAME, MOST_PATH = 64, 200, 4_096


@blueprint.route("reports/changes", methods=["GET"])
@guarded
def get_change_report(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/reports/changes?from=&to=&author=&team=&folder=&format=`: what backups found changed."""
    form = text(req, "format", 10, default="json")
    if form not in MOST_LISTED:
        raise ValueError("format must be json, csv or html")
    folder = _optional(req, "folder", MOST_PATH)
    if folder is not None and not folder.startswith("/"):
        raise ValueError("folder must be an absolute workspace path, such as /Clients/acme")
    selection = Selection(
        _optional(req, "author", MOST_NAME),
        _optional(req, "team", MOST_NAME),
        (folder.rstrip("/") or "/") if folder else None,
    )
    reports = services().reports
    period = reports.period(_optional(req, "from", MOST_DATE), _optional(req, "to", MOST_DATE))
    found = reports.changes(period, selection, MOST_LISTED[form], services().access.readable(asking(req)))
    asked = {name: getattr(selection, name) for name in ("author", "team", "folder")}
    days = {"start": period.start.isoformat(), "end": period.end.isoformat()}
    record_read(req, AuditAction.REPORT_READ, "changes", format=form, **days, **asked)
    if form == "json":
        return answer(report_json(found))
    if form == "html":
        headers = {"Content-Security-Policy": policy()}
        return func.HttpResponse(report_html(found).encode(), headers=headers, mimetype="text/html")
    name = f"notebook-changes-{period.start:%Y-%m-%d}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return func.HttpResponse(b"".join(report_csv(found)), headers=headers, mimetype="text/csv")


@functools.cache
def policy() -> str:
    """What a browser may do with a report. Its styles stand at each element, since it is a mail, too: each is named."""
    digests = (base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in report_styles())
    named = " ".join(f"'sha256-{digest}'" for digest in digests)
    styles = f"style-src 'unsafe-hashes' {named}"
    return f"default-src 'none'; {styles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _optional(req: func.HttpRequest, name: str, most: int) -> str | None:
    """A query parameter, None where it is empty or not there. Raises `ValueError`."""
    return text(req, name, most) if req.params.get(name) else None
