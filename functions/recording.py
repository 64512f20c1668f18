"""Records of what people read, and of what they were refused, before they are answered.

A route that shows the content of a notebook (`CONTENT_READ`, `PREVIEWED`) or a report (`REPORT_READ`) calls
`record_read` before it answers.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import azure.functions as func

from functions.requests import origin_of, who_asks
from shared.domain.audit import AuditAction, AuditResult
from shared.domain.canonical import Scalar
from shared.wiring import services

_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def record_read(req: func.HttpRequest, action: AuditAction, name: str, **detail: Scalar) -> None:
    """Record that somebody reads something: call it before the answer, so that nothing is shown unrecorded.

    Raises `AuditUnavailable`, which is answered with 503.
    """
    _record(req, action, name, AuditResult.DONE, **detail)


def record_refusal(req: func.HttpRequest, code: str) -> None:
    """Record that a request was refused for want of a right. Raises `AuditUnavailable`."""
    _record(req, AuditAction.ACCESS_REFUSED, req.params.get("path") or "", AuditResult.REFUSED, code=code)


def _record(req: func.HttpRequest, action: AuditAction, name: str, result: AuditResult, **detail: Scalar) -> None:
    # The address without its query, where the function key may be.
    told = {"from": origin_of(req), "request": f"{req.method} {urlsplit(req.url).path}", **detail}
    services().recorder.record(action, who_asks(req), name, result, _trace(req), told)


def _trace(req: func.HttpRequest) -> str:
    """The trace that the request belongs to (W3C `traceparent`), where it says so."""
    found = _TRACE.fullmatch(req.headers.get("traceparent", ""))
    return found[1] if found else ""
