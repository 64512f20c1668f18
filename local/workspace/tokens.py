"""Who may call: personal access tokens (`/api/2.0/token/...`), kept by their hash, and Entra ID identities.

https://docs.databricks.com/api/azure/workspace/tokens. A token's id is the SHA-256 of its value.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.azure.entra import DATABRICKS, Entra
from local.workspace.model import ApiError

MOST_TOKENS = 600
DEFAULT_SECONDS = 2 * 365 * 86_400
"""What a token without a lifetime gets, as databricks-sdk says of `tokens.create`."""
NO_END = -1
type Json = dict[str, Any]


class Access:
    """Valid tokens of the one user, and identities with what each may do: `read` or `write`.

    `first` is the token that the workspace began with; once revoked, it stays so.
    """

    def __init__(
        self,
        user: str,
        first: str,
        stored: Path,
        now_ms: Callable[[], int],
        entra: Entra | None = None,
        identities: Mapping[str, str] | None = None,
    ) -> None:
        self._user, self._stored, self._now_ms = user, stored, now_ms
        self._entra, self._identities = entra, dict(identities or {})
        known = json.loads(stored.read_text()) if stored.exists() else {"tokens": [], "revoked": []}
        self._tokens: dict[str, Json] = {t["token_id"]: t for t in known["tokens"]}
        self._revoked: list[str] = known["revoked"]
        if _id(first) not in (*self._tokens, *self._revoked):
            self._add(first, "made by hand", NO_END)

    def who(self, authorization: str, password: str | None) -> tuple[str, bool]:
        """The caller's name, and whether it may write. Raises `ApiError` as the workspace answers."""
        claims = self._entra.claims(authorization, DATABRICKS) if self._entra else None
        if claims is not None:
            caller = str(claims.get("appid"))
            if caller not in self._identities:
                raise ApiError(403, "PERMISSION_DENIED", f"This user is not authorized in this workspace: {caller}")
            return caller, self._identities[caller] == "write"
        token = password if password is not None else authorization.removeprefix("Bearer ")
        if self._is_valid(self._tokens.get(_id(token))):
            return self._user, True
        if token.startswith("dapi"):
            raise ApiError(403, "403", "Invalid access token.")
        raise ApiError(401, "401", "Credential was not sent or was of an unsupported type")

    def list(self, _: Mapping[str, Any]) -> Json:
        """GET token/list: the valid ones."""
        found = [t for t in self._tokens.values() if self._is_valid(t)]
        return {"token_infos": found} if found else {}

    def create(self, body: Mapping[str, Any]) -> Json:
        """POST token/create."""
        if len(self._tokens) >= MOST_TOKENS:
            raise ApiError(400, "QUOTA_EXCEEDED", f"The quota of {MOST_TOKENS} tokens is exceeded")
        seconds = int(body.get("lifetime_seconds", DEFAULT_SECONDS))
        if seconds <= 0:
            raise ApiError(400, "INVALID_PARAMETER_VALUE", "lifetime_seconds must be positive")
        value = f"dapi{secrets.token_hex(16)}-2"
        info = self._add(value, str(body.get("comment", "")), self._now_ms() + seconds * 1000)
        return {"token_value": value, "token_info": info}

    def delete(self, body: Mapping[str, Any]) -> Json:
        """POST token/delete."""
        token_id = str(body.get("token_id", ""))
        if not self._is_valid(self._tokens.get(token_id)):
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Token with ID {token_id} does not exist")
        del self._tokens[token_id]
        self._revoked.append(token_id)
        self._save()
        return {}

    def expire(self, seconds: int) -> None:
        """Have every token end in `seconds`."""
        for token in self._tokens.values():
            token["expiry_time"] = self._now_ms() + seconds * 1000
        self._save()

    def _add(self, value: str, comment: str, expiry: int) -> Json:
        times = {"creation_time": self._now_ms(), "expiry_time": expiry}
        self._tokens[_id(value)] = {"token_id": _id(value), "comment": comment, **times}
        self._save()
        return self._tokens[_id(value)]

    def _is_valid(self, token: Json | None) -> bool:
        return token is not None and (token["expiry_time"] == NO_END or token["expiry_time"] > self._now_ms())

    def _save(self) -> None:
        self._stored.write_text(json.dumps({"tokens": [*self._tokens.values()], "revoked": self._revoked}))


def _id(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
