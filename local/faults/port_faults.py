"""Faults that every adapter method can meet, as the adapters' own callers see them after the adapters' retries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from azure.core.exceptions import HttpResponseError, ServiceResponseTimeoutError

from local.faults.taps import Call
from shared.errors import DamagedBlob, RemoteMoved, RepositoryError, WorkspaceUnavailable


class Fault(StrEnum):
    """What goes wrong."""

    ERROR_BEFORE = "error before the effect"
    ERROR_AFTER = "error after the effect"
    TIMEOUT = "timeout after the effect"
    THROTTLED = "throttled"
    THROTTLED_RETRY_AFTER = "throttled with Retry-After"
    CUT_BODY = "cut body"
    STALE = "stale answer"


@dataclass(frozen=True, slots=True)
class Declared:
    """One fault of one method. It meets the `nth` call, or as many as `times`."""

    port: str
    method: str
    fault: Fault
    nth: int = 1
    times: int = 1

    def __str__(self) -> str:
        return f"{self.port}.{self.method}: {self.fault}"


def _storage_error(fault: Fault) -> Exception:
    if fault is Fault.TIMEOUT:
        return ServiceResponseTimeoutError("the service did not answer in time")
    error = HttpResponseError("the service refused")
    throttled = fault in (Fault.THROTTLED, Fault.THROTTLED_RETRY_AFTER)
    error.status_code = 503 if throttled else 500
    error.reason = "Server Busy" if throttled else "Internal Server Error"
    return error


def _repository_error(fault: Fault) -> Exception:
    said = {
        Fault.TIMEOUT: "Operation timed out",
        Fault.THROTTLED: "HTTP 429",
        Fault.THROTTLED_RETRY_AFTER: "HTTP 429, Retry-After: 1",
        Fault.CUT_BODY: "early EOF",
    }
    return RepositoryError(action="talk to the remote", detail=said.get(fault, "HTTP 503"))


def _workspace_error(fault: Fault, path: str) -> Exception:
    code = "BAD_BODY" if fault is Fault.CUT_BODY else "UNAVAILABLE"
    return WorkspaceUnavailable(path=path, error_code=code, detail=fault.value)


class FaultTap:
    """Gives one declared fault; `fired` counts. A stale answer is the one before of the same call."""

    def __init__(self, declared: Declared) -> None:
        self.declared, self.fired = declared, 0
        self._seen, self._lock = 0, threading.Lock()
        self._answers: dict[str, Any] = {}

    def before(self, call: Call) -> None:
        """See `Tap.before`."""
        early = (Fault.ERROR_BEFORE, Fault.THROTTLED, Fault.THROTTLED_RETRY_AFTER)
        if self.declared.fault in early and self._is_due(call):
            self._raise(call)

    def after(self, call: Call, answer: Any) -> Any:
        """See `Tap.after`."""
        fault = self.declared.fault
        if fault is Fault.STALE and self._matches(call):
            return self._stale(call, answer)
        if fault in (Fault.ERROR_AFTER, Fault.TIMEOUT, Fault.CUT_BODY) and self._is_due(call):
            return self._cut(call) if fault is Fault.CUT_BODY else self._raise(call)
        return answer

    def _matches(self, call: Call) -> bool:
        return (call.port, call.method) == (self.declared.port, self.declared.method)

    def _is_due(self, call: Call) -> bool:
        if not self._matches(call):
            return False
        with self._lock:
            self._seen += 1
            due = self.declared.nth <= self._seen < self.declared.nth + self.declared.times
            self.fired += due
            return due

    def _stale(self, call: Call, answer: Any) -> Any:
        """The first time that an answer differs from the one before, the one before."""
        with self._lock:
            before = self._answers.get(str(call), answer)
            self._answers[str(call)] = answer
            if before == answer or self.fired >= self.declared.times:
                return answer
            self.fired += 1
            return before

    def _cut(self, call: Call) -> Any:
        """A file that was half written where the method writes one; else the adapter's own finding."""
        if call.method == "export_folder":
            target = call.arguments[1]
            target.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
            return None
        if call.port == "blobs" and call.method in ("get", "get_file"):
            raise DamagedBlob(name=call.arguments[0])
        return self._raise(call)

    def _raise(self, call: Call) -> Any:
        errors: dict[str, Callable[[], Exception]] = {
            "workspace": lambda: _workspace_error(self.declared.fault, str(call.arguments[0])),
            "changes": lambda: _workspace_error(self.declared.fault, "system.access.audit"),
            "repository": lambda: self._of_repository(call),
            "reader": lambda: self._of_repository(call),
        }
        raise errors.get(call.port, lambda: _storage_error(self.declared.fault))()

    def _of_repository(self, call: Call) -> Exception:
        if call.method == "push" and self.declared.fault is Fault.ERROR_AFTER:
            return RemoteMoved(action="push", detail="the answer was lost, and the branch has moved: by this push")
        return _repository_error(self.declared.fault)
