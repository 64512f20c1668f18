"""HTTP calls to those who issue tokens. Nothing that was sent or answered is quoted but codes: it may hold a token."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import certifi
import urllib3

from shared.adapters.bounded_answer import LONGEST_PAUSE_SECONDS, bounded_body
from shared.errors import IssuerRefused, IssuerUnavailable

_TIMEOUT = urllib3.Timeout(connect=10, read=30)
_RETRY = urllib3.Retry(
    total=3,
    redirect=0,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    # A POST makes a token: what may have had its effect is not sent again by itself.
    allowed_methods=("GET", "DELETE"),
    raise_on_status=False,
    respect_retry_after_header=True,
    retry_after_max=LONGEST_PAUSE_SECONDS,
)
MOST_ANSWER_BYTES = 16 * 2**20
"""A list of tokens is the largest."""
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, and the JSON object that was answered; an empty one where there is none."""

    status: int
    body: Mapping[str, Any]
    text: str


class TokenCalls:
    """Calls on behalf of the credential called `name`."""

    def __init__(self, name: str, retry: urllib3.Retry = _RETRY) -> None:
        self._name = name
        self._pool = urllib3.PoolManager(num_pools=2, retries=retry, timeout=_TIMEOUT, ca_certs=certifi.where())

    def call(self, action: str, method: str, url: str, authorization: str, body: object = None) -> Answer:
        """One call, whatever its answer but a passing error. Raises `IssuerUnavailable`."""
        headers = {"Authorization": authorization, "Accept": "application/json", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = self._pool.request(method, url, body=data, headers=headers, redirect=False, preload_content=False)
            told = bounded_body(answer, MOST_ANSWER_BYTES)
        except urllib3.exceptions.HTTPError as error:
            raise IssuerUnavailable(name=self._name, action=action, detail=type(error).__name__) from None
        if answer.status in _PASSING:
            raise IssuerUnavailable(name=self._name, action=action, detail=f"HTTP {answer.status}")
        return Answer(answer.status, _object(told), told.decode("utf-8", "replace"))

    def done(self, action: str, method: str, url: str, authorization: str, body: object = None) -> Mapping[str, Any]:
        """The object of a call that has to succeed. Raises `IssuerRefused`, `IssuerUnavailable`."""
        answer = self.call(action, method, url, authorization, body)
        if answer.status != 200:
            raise self.refusal(action, answer)
        return answer.body

    def read[T](self, action: str, parse: Callable[[], T]) -> T:
        """What `parse` makes of an answer. Raises `IssuerUnavailable` where the answer is cut."""
        try:
            return parse()
        except (KeyError, TypeError, ValueError, AttributeError):
            raise IssuerUnavailable(name=self._name, action=action, detail="its answer is cut") from None

    def refusal(self, action: str, answer: Answer) -> IssuerRefused:
        """What to raise for an answer that is no success."""
        code = answer.body.get("error_code") or answer.body.get("typeKey") or answer.body.get("patTokenError") or ""
        detail = f"HTTP {answer.status} {code}".strip()
        return IssuerRefused(name=self._name, action=action, detail=detail)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
