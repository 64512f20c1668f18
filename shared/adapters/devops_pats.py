"""Azure DevOps' API of personal access tokens: `vssps.dev.azure.com/{organisation}/_apis/tokens/pats`.

https://learn.microsoft.com/rest/api/azure/devops/tokens/pats. It takes an Entra ID token of a user alone: neither a
managed identity nor a service principal nor a personal access token may make or revoke one.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from shared.adapters.token_calls import Answer, TokenCalls
from shared.clock import Clock
from shared.domain.credentials import IssuedToken, NewToken
from shared.errors import IssuerRefused
from shared.redaction import remember

API_VERSION = "7.1-preview.1"
SCOPE = "vso.code_write"
"""Code: read and write."""
_PAGE = 100
_MOST_PAGES = 50
_REFUSED = (302, 401, 403, 203)
"""Azure DevOps sends a caller that it does not know to its sign-in page: 302, or 203 with that page."""
_GONE = (200, 204, 404)


class DevOpsTokens:
    """See `shared.protocols.TokenIssuer`; `api` is the address of the organisation's `tokens/pats`.

    A token works where it may push to `remote`.
    """

    def __init__(self, api: str, remote: str, clock: Clock, calls: TokenCalls) -> None:
        self._api, self._remote, self._clock, self._calls = api, remote.rstrip("/"), clock, calls

    def tokens(self, using: str) -> list[IssuedToken]:
        """See `TokenIssuer.tokens`."""
        found: list[IssuedToken] = []
        query = {"displayFilterOption": "active", "$top": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            body = self._pats("list the tokens", "GET", using, query)
            found += self._calls.read("list the tokens", functools.partial(_page, body))
            if not body.get("continuationToken"):
                return found
            query["continuationToken"] = str(body["continuationToken"])
        return found

    def create(self, using: str, comment: str, days: int) -> NewToken:
        """See `TokenIssuer.create`."""
        valid_to = (self._clock.now() + timedelta(days=days)).isoformat(timespec="seconds").replace("+00:00", "Z")
        body = {"displayName": comment, "scope": SCOPE, "validTo": valid_to, "allOrgs": False}
        made = self._pats("make a token", "POST", using, {}, body)
        if made.get("patTokenError", "none") != "none":
            raise IssuerRefused(name="the token", action="make a token", detail=str(made["patTokenError"]))
        return self._calls.read("make a token", lambda: _made(made["patToken"]))

    def revoke(self, using: str, token_id: str) -> None:
        """See `TokenIssuer.revoke`."""
        self._answer("revoke a token", "DELETE", using, {"authorizationId": token_id}, None, _GONE)

    def works(self, value: str) -> bool:
        """See `TokenIssuer.works`."""
        basic = base64.b64encode(f":{remember(value, keep=True)}".encode()).decode()
        url = f"{self._remote}/info/refs?service=git-receive-pack"
        answer = self._calls.call("try a token", "GET", url, f"Basic {basic}")
        if answer.status == 200 or answer.status in _REFUSED:
            return answer.status == 200
        raise self._calls.refusal("try a token", answer)

    def id_of(self, value: str) -> str | None:  # noqa: ARG002 - the protocol's argument
        """See `TokenIssuer.id_of`: an authorization's id does not follow from its token."""
        return None

    def _pats(self, action: str, method: str, using: str, query: dict[str, str], body: object = None) -> Any:
        return self._answer(action, method, using, query, body, (200,)).body

    def _answer(
        self, action: str, method: str, using: str, query: dict[str, str], body: object, good: tuple[int, ...]
    ) -> Answer:
        url = f"{self._api}?{urlencode({**query, 'api-version': API_VERSION})}"
        answer = self._calls.call(action, method, url, f"Bearer {remember(using)}", body)
        if answer.status not in good:
            raise self._calls.refusal(action, answer)
        return answer


def pats_address(remote: str) -> str | None:
    """The API's address for a remote in Azure Repos; None for any other server."""
    parts = urlsplit(remote)
    host = parts.hostname or ""
    organisation = parts.path.strip("/").partition("/")[0] if host == "dev.azure.com" else ""
    if host.endswith(".visualstudio.com"):
        organisation = host.partition(".")[0]
    return f"https://vssps.dev.azure.com/{quote(unquote(organisation))}/_apis/tokens/pats" if organisation else None


def _page(body: Mapping[str, Any]) -> list[IssuedToken]:
    return [_issued(row) for row in body["patTokens"]]


def _made(row: Mapping[str, Any]) -> NewToken:
    issued = _issued(row)
    return NewToken(issued.id, remember(str(row["token"]), keep=True), issued.expires_at)


def _issued(row: Any) -> IssuedToken:
    return IssuedToken(str(row["authorizationId"]), str(row.get("displayName") or ""), _time(row.get("validTo")))


def _time(text: object) -> datetime | None:
    """Its times have seven digits of a second now and then, which `fromisoformat` cuts to six."""
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
