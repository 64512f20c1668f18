"""Databricks' token API: `/api/2.0/token/create`, `/list` and `/delete`, of whoever calls.

https://docs.databricks.com/api/azure/workspace/tokens. A token's id is the SHA-256 of its value, as databricks-sdk
says of `tokens.update(token_id)`; where that finds nothing in the list, nothing is concluded from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from shared.adapters.token_calls import TokenCalls
from shared.domain.credentials import IssuedToken, NewToken
from shared.redaction import remember

_DAY_SECONDS = 86_400
_NOT_THERE = "RESOURCE_DOES_NOT_EXIST"
_REFUSED = (401, 403)


class DatabricksTokens:
    """See `shared.protocols.TokenIssuer`. A token works where it may see `root`."""

    def __init__(self, host: str, root: str, calls: TokenCalls) -> None:
        self._api, self._root, self._calls = f"{host.rstrip('/')}/api/2.0", root, calls

    def tokens(self, using: str) -> list[IssuedToken]:
        """See `TokenIssuer.tokens`."""
        action = "list its tokens"
        found = self._calls.done(action, "GET", f"{self._api}/token/list", _bearer(using))
        return self._calls.read(action, lambda: [_issued(row) for row in found.get("token_infos") or []])

    def create(self, using: str, comment: str, days: int) -> NewToken:
        """See `TokenIssuer.create`."""
        body = {"comment": comment, "lifetime_seconds": days * _DAY_SECONDS}
        made = self._calls.done("make a token", "POST", f"{self._api}/token/create", _bearer(using), body)
        return self._calls.read("make a token", lambda: _made(made))

    def revoke(self, using: str, token_id: str) -> None:
        """See `TokenIssuer.revoke`."""
        action, url = "revoke a token", f"{self._api}/token/delete"
        answer = self._calls.call(action, "POST", url, _bearer(using), {"token_id": token_id})
        if answer.status != 200 and answer.body.get("error_code") != _NOT_THERE:
            raise self._calls.refusal(action, answer)

    def works(self, value: str) -> bool:
        """See `TokenIssuer.works`."""
        action, url = "try a token", f"{self._api}/workspace/get-status?path={quote(self._root)}"
        answer = self._calls.call(action, "GET", url, _bearer(value))
        if answer.status == 200 or answer.status in _REFUSED:
            return answer.status == 200
        raise self._calls.refusal(action, answer)

    def id_of(self, value: str) -> str | None:
        """See `TokenIssuer.id_of`."""
        return hashlib.sha256(value.encode()).hexdigest()


def _made(body: Mapping[str, Any]) -> NewToken:
    info = _issued(body["token_info"])
    return NewToken(info.id, remember(str(body["token_value"]), keep=True), info.expires_at)


def _issued(row: Any) -> IssuedToken:
    expiry = int(row.get("expiry_time", -1))
    expires_at = datetime.fromtimestamp(expiry / 1000, UTC) if expiry >= 0 else None
    return IssuedToken(str(row["token_id"]), str(row.get("comment") or ""), expires_at)


def _bearer(token: str) -> str:
    return f"Bearer {remember(token)}"
