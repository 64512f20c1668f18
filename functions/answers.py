"""Answers of the HTTP API: JSON, and errors as RFC 9457 problem+json."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import azure.functions as func
from pydantic import ValidationError

from functions.recording import record_refusal
from functions.tracing import traced_request
from shared.errors import BackupError
from shared.services.status import Json

type Handler = Callable[..., func.HttpResponse]
type AsyncHandler = Callable[..., Awaitable[func.HttpResponse]]

_STATUS_BY_CODE = {
    "unknown_run": 404,
    "unknown_maintenance": 404,
    "unknown_moment": 404,
    "not_in_backup": 404,
    "unknown_restore": 404,
    "unknown_credential": 404,
    "not_rotatable": 409,
    "user_token_needed": 409,
    "not_found": 404,
    "permission_denied": 403,
    "workspace_error": 502,
    "content_missing": 502,
    "unusable_plan": 409,
    "nothing_to_undo": 409,
    "restore_expired": 410,
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


def problem_of(error: Exception, action: str) -> func.HttpResponse:
    """The answer to an error; an unexpected one is logged and answered without its text."""
    if isinstance(error, BackupError):
        return problem(_STATUS_BY_CODE.get(error.code, 503 if error.retriable else 500), error.code, str(error))
    # A `ValidationError` that comes as far as this is of the app's own settings, and quotes them.
    if isinstance(error, ValueError) and not isinstance(error, ValidationError):
        return problem(400, "invalid_request", f"{error}. Correct the request and send it again.")
    _log.error("request failed", exc_info=error, extra={"action": action})
    return problem(500, "internal_error", "The request failed. The function app's log has the reason.")


def answer_to(req: func.HttpRequest, error: Exception, action: str) -> func.HttpResponse:
    """The answer to an error of a request; a refusal is recorded before it is answered."""
    found = problem_of(error, action)
    if found.status_code != HTTPStatus.FORBIDDEN:
        return found
    try:
        record_refusal(req, str(getattr(error, "code", "forbidden")))
    except Exception as unrecorded:  # noqa: BLE001 - the last line of defence of an HTTP answer
        return problem_of(unrecorded, action)
    return found


def guarded(handler: Handler) -> Handler:
    """Turn errors into problem answers."""

    @functools.wraps(handler)
    def run(req: func.HttpRequest, **bindings: Any) -> func.HttpResponse:
        try:
            with traced_request(handler.__name__, req):
                return handler(req, **bindings)
        except Exception as error:  # noqa: BLE001 - the last line of defence of an HTTP answer
            return answer_to(req, error, handler.__name__)

    return run


def guarded_async(handler: AsyncHandler) -> AsyncHandler:
    """The same for a coroutine."""

    @functools.wraps(handler)
    async def run(req: func.HttpRequest, **bindings: Any) -> func.HttpResponse:
        try:
            with traced_request(handler.__name__, req):
                return await handler(req, **bindings)
        except Exception as error:  # noqa: BLE001 - the last line of defence of an HTTP answer
            return answer_to(req, error, handler.__name__)

    return run
