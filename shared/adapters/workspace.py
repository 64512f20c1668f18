"""The Databricks workspace over its REST API (`/api/2.0/workspace/...`)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from shared.adapters.bounded_answer import AnswerTooLarge, bounded_body
from shared.adapters.identity import renewed
from shared.adapters.limiter import AdaptiveLimiter
from shared.clock import Clock
from shared.domain.notebooks import (
    MOST_NOTEBOOK_BYTES,
    MOST_SOURCE_BYTES,
    ExportFormat,
    Language,
    ObjectType,
    WorkspaceObject,
)
from shared.errors import NotFound, PermissionDenied, TooLarge, WorkspaceError, WorkspaceUnavailable

MOST_ATTEMPTS = 6
MOST_REFUSALS = 60
REFUSED_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0
FIRST_BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 8.0
MOST_EXPORT_BYTES = {
    ExportFormat.SOURCE: MOST_SOURCE_BYTES + 2**20,
    ExportFormat.JUPYTER: MOST_NOTEBOOK_BYTES + 2**20,
}
"""The documented limits of an export, and what may come on top. A larger source is asked for as Jupyter."""
MOST_ANSWER_BYTES = 128 * 2**20
"""A listing of some 300,000 notebooks in one folder; every other answer has less."""
_TIMEOUT = urllib3.Timeout(connect=10, read=120)
_TOO_LARGE = ("MAX_NOTEBOOK_SIZE_EXCEEDED", "MAX_READ_SIZE_EXCEEDED")
_TOO_LARGE_WORDS = ("size exceed", "exceeded limit", "exceeded max size", "size limit")
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_THROTTLED = ("REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after_seconds: float | None


class DatabricksWorkspace:
    """See `shared.protocols.Workspace`. `token` is asked before each call; one that is refused is renewed once."""

    def __init__(self, host: str, token: Callable[[], str], limiter: AdaptiveLimiter, clock: Clock) -> None:
        self._host, self._token, self._limiter, self._clock = host.rstrip("/"), token, limiter, clock
        self._http = urllib3.PoolManager(num_pools=2, maxsize=256, timeout=_TIMEOUT, retries=False)

    def list(self, path: str) -> list[WorkspaceObject]:
        """See `Workspace.list`."""
        body = self._json("GET", "workspace/list", path, {"path": path})
        objects = body.get("objects", [])
        if not isinstance(objects, list):
            raise WorkspaceUnavailable(path=path, error_code="BAD_BODY", detail="its listing has no list of objects")
        found = [workspace_object(row, path) for row in objects]
        # A path that is no folder lists itself.
        return [o for o in found if o.path != path]

    def export(self, path: str, fmt: ExportFormat) -> bytes:
        """See `Workspace.export`."""
        query = {"path": path, "format": fmt.value, "direct_download": "true"}
        data = self._call("GET", "workspace/export", path, query, most_bytes=MOST_EXPORT_BYTES[fmt]).body
        if data.startswith(b'{"error_code"'):
            raise_for(path, 200, data)
        return data

    def export_folder(self, path: str, target: Path) -> None:
        """See `Workspace.export_folder`."""
        target.write_bytes(self.export(path, ExportFormat.SOURCE))

    def status(self, path: str) -> WorkspaceObject:
        """See `Workspace.status`."""
        return workspace_object(self._json("GET", "workspace/get-status", path, {"path": path}), path)

    def import_notebook(self, path: str, content: bytes, language: Language, fmt: ExportFormat) -> None:
        """See `Workspace.import_notebook`."""
        body: dict[str, Any] = {"path": path, "format": fmt.value, "overwrite": True}
        body |= {"language": language.value} if fmt is ExportFormat.SOURCE else {}
        body["content"] = base64.b64encode(content).decode()
        self._call("POST", "workspace/import", path, {}, json.dumps(body).encode())

    def make_folder(self, path: str) -> None:
        """See `Workspace.make_folder`."""
        self._call("POST", "workspace/mkdirs", path, {}, json.dumps({"path": path}).encode())

    def delete_notebook(self, path: str) -> None:
        """See `Workspace.delete_notebook`."""
        self._call("POST", "workspace/delete", path, {}, json.dumps({"path": path}).encode())

    def api(self, method: str, endpoint: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A call of another part of the workspace's API, below `/api/2.0/`, that can be repeated."""
        data = json.dumps(body).encode() if body is not None else None
        return _object(endpoint, self._call(method, endpoint, endpoint, {}, data).body)

    def _json(self, method: str, endpoint: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        return _object(path, self._call(method, endpoint, path, query).body)

    def _call(
        self,
        method: str,
        endpoint: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        most_bytes: int = MOST_ANSWER_BYTES,
    ) -> _Answer:
        """One call with its retries. Raises what `Workspace` documents."""
        url = f"{self._host}/api/2.0/{endpoint}" + (f"?{_encoded(query)}" if query else "")
        refusals = failures = 0
        while True:
            answer = self._attempt(method, url, body, most_bytes)
            if isinstance(answer, AnswerTooLarge):
                # Another try would bring as much again.
                raise _too_large(endpoint, path, str(answer))
            if isinstance(answer, _Answer) and answer.status == 200 and not _passing_error_body(answer.body):
                return answer
            if isinstance(answer, _Answer) and _is_throttled(answer):
                refusals += 1
                if refusals <= MOST_REFUSALS:
                    self._clock.sleep(min(answer.retry_after_seconds or REFUSED_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
                    continue
            if isinstance(answer, _Answer) and answer.status not in _PASSING and answer.status != 200:
                raise_for(path, answer.status, answer.body)
            failures += 1
            if failures >= MOST_ATTEMPTS or refusals > MOST_REFUSALS:
                raise WorkspaceUnavailable(path=path, error_code="UNAVAILABLE", detail=_describe(answer))
            self._clock.sleep(min(FIRST_BACKOFF_SECONDS * 2**failures, LONGEST_BACKOFF_SECONDS))

    def _attempt(
        self, method: str, url: str, body: bytes | None, most_bytes: int
    ) -> _Answer | urllib3.exceptions.HTTPError:
        """One call, made again where its token was refused and there is a newer one."""
        token = self._token()
        answer = self._send(method, url, body, token, most_bytes)
        if isinstance(answer, _Answer) and _is_token_refused(answer) and renewed(self._token, token):
            return self._send(method, url, body, self._token(), most_bytes)
        return answer

    def _send(
        self, method: str, url: str, body: bytes | None, token: str, most_bytes: int
    ) -> _Answer | urllib3.exceptions.HTTPError:
        """A transport error, a body that was cut included, is returned. Tells the limiter."""
        self._limiter.acquire()
        try:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            response = self._http.request(
                *(method, url),
                body=body,
                headers=headers,
                redirect=False,
                enforce_content_length=True,
                preload_content=False,
            )
            data = bounded_body(response, most_bytes, self._clock.monotonic)
            answer = _Answer(response.status, data, _retry_after(response.headers))
        except urllib3.exceptions.HTTPError as error:
            return error
        finally:
            self._limiter.release()
        if _is_throttled(answer):
            self._limiter.refused()
        else:
            self._limiter.accepted()
        return answer


def _object(path: str, data: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises `WorkspaceUnavailable` where it is none, and the error that it may be."""
    try:
        body = json.loads(data)
    except ValueError:
        raise WorkspaceUnavailable(path=path, error_code="BAD_BODY", detail="its answer is no JSON") from None
    if not isinstance(body, dict) or "error_code" in body:
        raise_for(path, 200, data)
    answer: dict[str, Any] = body
    return answer


def _encoded(query: Mapping[str, str]) -> str:
    return urlencode(query, safe="/", errors="surrogatepass")


def _is_throttled(answer: _Answer) -> bool:
    return answer.status == 429 or (answer.status != 200 and any(c.encode() in answer.body[:300] for c in _THROTTLED))


def _is_token_refused(answer: _Answer) -> bool:
    """401, or the 403 that a revoked or expired personal access token gets (databricks-sdk-go#917)."""
    return answer.status == 401 or (answer.status == 403 and b"nvalid access token" in answer.body[:300])


def _passing_error_body(body: bytes) -> bool:
    """Whether an answer with status 200 is an error that may pass (seen by users of the API)."""
    if not body.startswith(b'{"error_code"'):
        return False
    code, _ = _error(body)
    return code in ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR", "DEADLINE_EXCEEDED", *_THROTTLED)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    # A header may hold any byte: `²` is a digit, too, and no number.
    return float(text) if text.isascii() and text.isdigit() else None


def _too_large(endpoint: str, path: str, detail: str) -> WorkspaceError:
    fields = {"path": path, "error_code": "ANSWER_TOO_LARGE", "detail": detail}
    return TooLarge(**fields) if endpoint == "workspace/export" else WorkspaceError(**fields)


def _describe(answer: _Answer | Exception) -> str:
    if isinstance(answer, _Answer):
        code, message = _error(answer.body)
        return f"HTTP {answer.status} {code} {message}".strip()
    return type(answer).__name__


def _error(body: bytes) -> tuple[str, str]:
    try:
        parsed = json.loads(body)
        return str(parsed.get("error_code", "")), str(parsed.get("message", ""))[:300]
    except (ValueError, AttributeError):
        return "", ""


def raise_for(path: str, status: int, body: bytes) -> None:
    """Raise what `Workspace` documents for an answer in the API's error shape."""
    code, message = _error(body)
    fields = {"path": path, "error_code": code or f"HTTP {status}", "detail": message or f"HTTP {status}"}
    if code in _TOO_LARGE or any(words in message.lower() for words in _TOO_LARGE_WORDS):
        raise TooLarge(**fields)
    if status == 404 or code == "RESOURCE_DOES_NOT_EXIST":
        raise NotFound(**fields)
    if status in (401, 403) or code == "PERMISSION_DENIED":
        raise PermissionDenied(**fields)
    raise WorkspaceError(**fields)


def workspace_object(row: Any, listed: str) -> WorkspaceObject:
    """A row of a listing. Raises `WorkspaceUnavailable` where it is cut."""
    try:
        kind = str(row["object_type"])
        language = row.get("language")
        return WorkspaceObject(
            path=str(row["path"]),
            object_type=ObjectType(kind) if kind in ObjectType else ObjectType.OTHER,
            object_id=int(row.get("object_id", 0)),
            language=Language(language) if language in Language else None,
            modified_at=int(row.get("modified_at", 0)),
            size=int(row["size"]) if row.get("size") is not None else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WorkspaceUnavailable(path=listed, error_code="BAD_BODY", detail="a row of its listing is cut") from None
