"""Azure DevOps' API of pull requests: `{repository}/pullrequests`.

https://learn.microsoft.com/rest/api/azure/devops/git/pull-requests. `repository` is the address that
`shared.domain.devops_addresses.repository_api` makes of the remote's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import certifi
import urllib3

from shared.adapters.bounded_answer import LONGEST_PAUSE_SECONDS, bounded_body
from shared.errors import PullRequestRefused, RepositoryError
from shared.protocols.pull_requests import PullRequest, RequestStatus
from shared.redaction import redact

API_VERSION = "7.1"
MOST_DESCRIPTION_CHARACTERS = 4_000
"""What the server takes of a description."""
_HEADS = "refs/heads/"
_PAGE = 100
_MOST_PAGES = 20
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_KNOWN = "TF401179"
"""An active pull request for the source and target branch already exists."""
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_RETRY = urllib3.Retry(
    total=3,
    redirect=0,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    # What a POST made is found again by its source branch.
    allowed_methods=("GET", "PATCH", "POST"),
    raise_on_status=False,
    respect_retry_after_header=True,
    retry_after_max=LONGEST_PAUSE_SECONDS,
)
MOST_ANSWER_BYTES = 16 * 2**20
"""A page of pull requests, each with its description of up to 4,000 characters, is the largest."""
type Json = Mapping[str, Any]


class DevOpsPullRequests:
    """See `shared.protocols.pull_requests.PullRequests`; `authorization` gives the `Authorization` header's value."""

    def __init__(
        self, repository: str, page: str, authorization: Callable[[], str], *, ca_file: Path | None = None
    ) -> None:
        self._base, self._page, self._authorization = f"{repository}/pullrequests", page.rstrip("/"), authorization
        certificates = ca_file or certifi.where()
        self._pool = urllib3.PoolManager(num_pools=1, retries=_RETRY, timeout=_TIMEOUT, ca_certs=certificates)

    def active(self, target: str) -> list[PullRequest]:
        """See `PullRequests.active`."""
        return self._search({"status": "active", "targetRefName": _HEADS + target})

    def get(self, number: int) -> PullRequest | None:
        """See `PullRequests.get`."""
        status, body = self._call("read a pull request", "GET", f"/{number}")
        if status == 404:
            return None
        return self._read("read a pull request", status, body)

    def create(self, source: str, target: str, title: str, description: str) -> PullRequest:
        """See `PullRequests.create`."""
        text = description[:MOST_DESCRIPTION_CHARACTERS]
        body = {"sourceRefName": _HEADS + source, "targetRefName": _HEADS + target, "title": title, "description": text}
        status, answer = self._call("open a pull request", "POST", "", body)
        if status == 409 or _KNOWN in str(answer.get("message")):
            known = self._search(
                {"status": "active", "sourceRefName": _HEADS + source, "targetRefName": _HEADS + target}
            )
            if known:
                return known[0]
        return self._read("open a pull request", status, answer)

    def complete_by_itself(self, request: PullRequest, message: str) -> None:
        """See `PullRequests.complete_by_itself`."""
        # A merge commit keeps the backup's commits as they are: their authors, ids and audit trailers.
        options = {"mergeStrategy": "noFastForward", "deleteSourceBranch": True, "mergeCommitMessage": message}
        body = {"autoCompleteSetBy": {"id": request.creator}, "completionOptions": options}
        self._done("have a pull request completed", "PATCH", f"/{request.id}", body)

    def abandon(self, request: PullRequest, comment: str) -> None:
        """See `PullRequests.abandon`."""
        said = {"comments": [{"parentCommentId": 0, "content": comment, "commentType": "text"}], "status": "closed"}
        self._done("comment on a pull request", "POST", f"/{request.id}/threads", said)
        status, body = self._call("abandon a pull request", "PATCH", f"/{request.id}", {"status": "abandoned"})
        if status != 200:
            now = self.get(request.id)
            if now is None or now.status is RequestStatus.ACTIVE:
                raise _refusal("abandon a pull request", status, body)

    def _search(self, criteria: Mapping[str, str]) -> list[PullRequest]:
        found: list[PullRequest] = []
        action = "list pull requests"
        for page in range(_MOST_PAGES):
            query = {f"searchCriteria.{name}": value for name, value in criteria.items()}
            query |= {"$top": str(_PAGE), "$skip": str(page * _PAGE)}
            status, body = self._call(action, "GET", "", query=query)
            if status != 200:
                raise _refusal(action, status, body)
            rows = body.get("value")
            if not isinstance(rows, list):
                raise RepositoryError(action=action, detail="its answer is cut")
            found += [self._parsed(action, row) for row in rows]
            if len(rows) < _PAGE:
                break
        return sorted(found, key=lambda r: r.id, reverse=True)

    def _done(self, action: str, method: str, path: str, body: object) -> None:
        status, answer = self._call(action, method, path, body)
        if status != 200:
            raise _refusal(action, status, answer)

    def _read(self, action: str, status: int, body: Json) -> PullRequest:
        if status not in (200, 201):
            raise _refusal(action, status, body)
        return self._parsed(action, body)

    def _parsed(self, action: str, row: Any) -> PullRequest:
        try:
            number = int(row["pullRequestId"])
            return PullRequest(
                id=number,
                status=RequestStatus(str(row["status"])),
                source=str(row["sourceRefName"]).removeprefix(_HEADS),
                target=str(row["targetRefName"]).removeprefix(_HEADS),
                creator=str(row["createdBy"]["id"]),
                page=f"{self._page}/pullrequest/{number}",
                conflicts=row.get("mergeStatus") == "conflicts",
            )
        except (KeyError, TypeError, ValueError):
            raise RepositoryError(action=action, detail="its answer is cut") from None

    def _call(
        self, action: str, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> tuple[int, Json]:
        url = f"{self._base}{path}?{urlencode({**(query or {}), 'api-version': API_VERSION}, quote_via=quote)}"
        headers = {
            "Authorization": self._authorization(),
            "Accept": "application/json",
            "Content-Type": "application/json",
        }
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = self._pool.request(method, url, body=data, headers=headers, redirect=False, preload_content=False)
            told = bounded_body(answer, MOST_ANSWER_BYTES)
        except urllib3.exceptions.HTTPError as error:
            raise RepositoryError(action=action, detail=type(error).__name__) from None
        if answer.status in _PASSING:
            raise RepositoryError(action=action, detail=f"HTTP {answer.status}")
        return answer.status, _object(told)


def _refusal(action: str, status: int, body: Json) -> PullRequestRefused:
    # 203 and 302: the sign-in page, for a caller that Azure DevOps does not know.
    said = str(body.get("message") or ("it does not accept the credential" if status in (203, 302, 401) else ""))
    return PullRequestRefused(action=action, detail=redact(f"HTTP {status} {said}".strip())[:500])


def _object(data: bytes) -> Json:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
