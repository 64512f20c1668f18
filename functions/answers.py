"""Answers of the HTTP API: JSON, and errors as RFC 9457 problem+json."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import azure.functions as func

from shared.errors import BackupError
from shared.services.status import Json

type Handler = Callable[..., func.HttpResponse]

_STATUS_BY_CODE = {
    "unknown_run": 404,
    "unknown_maintenance": 404,
    "not_found": 404,
    "run_active": 409,
    "state_conflict": 409,
    "too_large": 413,
}
_log = logging.getLogger("backup.http")


def answer(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """A JSON answer."""
    text = json.dumps(body)
    return func.HttpResponse(text, status_code=status, headers=dict(headers or {}), mimetype="application/json")


def problem(status: int, code: str, detail: str) -> func.HttpResponse:
    """An RFC 9457 answer: `code` is stable, `detail` says what went wrong and what to do."""
    body = {"type": f"urn:notebook-backup:{code}", "title": code.replace("_", " "), "status": status, "detail": detail}
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/problem+json")


def guarded(handler: Handler) -> Handler:
    """Turn errors into problem answers; an unexpected one is logged and answered without its text."""

    @functools.wraps(handler)
    def run(req: func.HttpRequest, **bindings: Any) -> func.HttpResponse:
        try:
            return handler(req, **bindings)
        except BackupError as error:
            return problem(_STATUS_BY_CODE.get(error.code, 503 if error.retriable else 500), error.code, str(error))
        except ValueError as error:
            return problem(400, "invalid_request", f"{error}. Correct the request and send it again.")
        except Exception:  # noqa: BLE001 - the last line of defence of an HTTP answer
            _log.exception("request failed", extra={"action": handler.__name__})
            return problem(500, "internal_error", "The request failed. The function app's log has the reason.")

    return run
