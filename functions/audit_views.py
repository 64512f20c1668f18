"""The report of a period as one file of HTML that prints as it is shown."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path

import azure.functions as func
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from shared.domain.canonical import Canonical, canonical
from shared.domain.times import iso
from shared.services.audit_report import PeriodReport

FOLDER = Path(__file__).with_name("templates")


@functools.cache
def _style() -> str:
    return (FOLDER / "audit.css").read_text()


@functools.cache
def _templates() -> Environment:
    found = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found.filters["time"] = lambda at_ms: (iso(at_ms) or "open")[:19].replace("T", " ")
    found.filters["words"] = lambda name: str(name).replace("_", " ")
    found.filters["text"] = _text
    found.globals["style"] = Markup(_style())  # noqa: S704 - our own sheet
    return found


def _text(value: Canonical) -> str:
    return value if isinstance(value, str) else canonical(value)


def report_page(report: PeriodReport, asked_by: str, *, pseudonymised: bool) -> func.HttpResponse:
    """A report as the answer."""
    given = {"report": report, "asked_by": asked_by, "pseudonymised": pseudonymised}
    body = _templates().get_template("audit_report.html").render(given).encode("utf-8", "replace")
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return func.HttpResponse(body, headers=headers, mimetype="text/html")
