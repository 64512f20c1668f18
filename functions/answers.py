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

from functions.gate import entered, seal
from functions.recording import record_refusal
from shared.errors import BackupError
from shared.services.state.status import Json

type Handler = Callable[..., func.HttpResponse]
type AsyncHandler = Callable[..., Awaitable[func.HttpResponse]]

_STATUS_BY_CODE = {
    "bad_object_id": 400,
    "unknown_run": 404,
    "unknown_maintenance": 404,
    "unknown_moment": 404,
    "not_compared": 404,
    "not_in_backup": 404,
    "unknown_restore": 404,
    "tag_taken": 409,
    "unknown_credential": 404,
    "not_rotatable": 409,
    "user_token_needed": 409,
    "unknown_message": 404,
    "not_found": 404,
    "permission_denied": 403,
    "workspace_error": 502,
    "content_missing": 502,
    "content_too_large": 413,
    "unusable_plan": 409,
    "nothing_to_undo": 409,
    "restore_expired": 410,
    "unknown_operation": 404,
    "unknown_git_folder": 404,
    "operation_active": 409,
    "run_active": 409,
    "state_conflict": 409,
    "nothing_held": 409,
    "state_too_new": 503,
    "too_large": 413,
    "not_signed_in": 401,
    "principal_not_believed": 401,
    "role_missing": 403,
    "outside_folders": 403,
    "outside_backup": 403,
    "cross_site": 403,
    "unknown_host": 403,
    "form_outdated": 403,
    "route_closed": 403,
    "request_too_large": 413,
    "wrong_media_type": 415,
    "too_many_requests": 429,
}
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_log = logging.getLogger("backup.http")


def answer(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """A JSON answer."""
    text = json.dumps(body)
    return func.HttpResponse(text, status_code=status, headers=dict(headers or {}), mimetype="application/json")


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """An RFC 9457 answer: `code` is stable, `detail` says what went wrong and what to do."""
    body = {"type": f"urn:notebook-backup:{code}", "title": code.replace("_", " "), "status": status, "detail": detail}
    mimetype = "application/problem+json"
    return func.HttpResponse(json.dumps(body), status_code=status, headers=dict(headers or {}), mimetype=mimetype)


def problem_of(error: Exception, action: str) -> func.HttpResponse:
    """The answer to an error; an unexpected one is logged and answered without its text."""
    if isinstance(error, BackupError):
        status = _STATUS_BY_CODE.get(error.code, 503 if error.retriable else 500)
        return problem(status, error.code, str(error), _headers_of(status, error))
    # A `ValidationError` that comes as far as this is of the app's own settings, and quotes them.
    if isinstance(error, ValueError) and not isinstance(error, ValidationError):
        return problem(400, "invalid_request", f"{error}. Correct the request and send it again.")
    _log.error("request failed", exc_info=error, extra={"action": action})
    return problem(500, "internal_error", "The request failed. The function app's log has the reason.")


def _headers_of(status: int, error: BackupError) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": str(error.fields["seconds"])} if status == HTTPStatus.TOO_MANY_REQUESTS else {}


def answer_to(req: func.HttpRequest, error: Exception, action: str) -> func.HttpResponse:
    """The answer to an error of a request; a refusal is recorded before it is answered."""
    found = problem_of(error, action)
    if found.status_code not in _REFUSALS:
        return found
    try:
        record_refusal(req, str(getattr(error, "code", "forbidden")))
    except Exception as unrecorded:  # noqa: BLE001 - the last line of defence of an HTTP answer
        return problem_of(unrecorded, action)
    return found


def guarded(handler: Handler) -> Handler:
    """Let a request in that may, and turn errors into problem answers."""

    @functools.wraps(handler)
    def run(req: func.HttpRequest, **bindings: Any) -> func.HttpResponse:
        try:
            with entered(handler.__name__, req):
                return seal(handler(req, **bindings))
        except Exception as error:  # noqa: BLE001 - the last line of defence of an HTTP answer
            return seal(answer_to(req, error, handler.__name__))

    return run


def guarded_async(handler: AsyncHandler) -> AsyncHandler:
    """The same for a coroutine."""

    @functools.wraps(handler)
    async def run(req: func.HttpRequest, **bindings: Any) -> func.HttpResponse:
        try:
            with entered(handler.__name__, req):
                return seal(await handler(req, **bindings))
        except Exception as error:  # noqa: BLE001 - the last line of defence of an HTTP answer
            return seal(answer_to(req, error, handler.__name__))

    return run
