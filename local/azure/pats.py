"""Azure DevOps' personal access tokens: `{organisation}/_apis/tokens/pats`, kept by their hash.

https://learn.microsoft.com/rest/api/azure/devops/tokens/pats. Only an Entra ID token of a person opens it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from local.azure.entra import AZURE_DEVOPS, Entra

ORGANISATION = "organisation"
PATH = f"/{ORGANISATION}/_apis/tokens/pats"
SCOPES = ("app_token", "vso.code", "vso.code_write", "vso.code_manage", "vso.code_full")
_LETTERS = string.ascii_lowercase + "234567"
type Json = dict[str, Any]


class PersonalTokens:
    """The tokens of the one organisation. `first` is the one that the server began with; once revoked it stays so."""

    def __init__(self, first: str, stored: Path, entra: Entra | None = None) -> None:
        self._stored, self._entra = stored, entra
        known = json.loads(stored.read_text()) if stored.exists() else {"tokens": {}, "revoked": []}
        self._tokens: dict[str, Json] = known["tokens"]
        self._revoked: list[str] = known["revoked"]
        if _hash(first) not in (*self._tokens, *self._revoked):
            self._add(first, "made by hand", "vso.code_write", None, "")

    def opens(self, token: str) -> bool:
        """Whether a token is valid."""
        return _is_valid(self._tokens.get(_hash(token)))

    def admits(self, authorization: str) -> bool:
        """Whether a `Bearer` header holds an Entra ID token for Azure DevOps, of a person or an app."""
        return bool(self._entra and self._entra.claims(authorization, AZURE_DEVOPS))

    async def handle(self, request: web.Request) -> web.Response:
        """One call of the API."""
        claims = self._entra.claims(request.headers.get("Authorization", ""), AZURE_DEVOPS) if self._entra else None
        if claims is None:
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        if "upn" not in claims:
            return _refusal(403, "TF400813: The caller is not authorized: service principals cannot use this API.")
        if "api-version" not in request.query:
            return _refusal(400, "No api-version was supplied, and this API is in preview.")
        user = str(claims["upn"])
        if request.method == "POST":
            return self._create(user, await request.json())
        return self._revoke(user, request) if request.method == "DELETE" else self._list(user, request)

    def _list(self, user: str, request: web.Request) -> web.Response:
        mine = [t for t in self._tokens.values() if t["user"] in (user, "") and _is_valid(t)]
        start, top = int(request.query.get("continuationToken") or 0), int(request.query.get("$top", 100))
        following = str(start + top) if start + top < len(mine) else ""
        return web.json_response({"continuationToken": following, "patTokens": list(map(_shown, mine[start:][:top]))})

    def _create(self, user: str, body: Json) -> web.Response:
        if body.get("scope") not in SCOPES:
            return web.json_response({"patToken": None, "patTokenError": "invalidScope"})
        try:
            valid_to = datetime.fromisoformat(str(body["validTo"]))
        except (KeyError, ValueError):
            return web.json_response({"patToken": None, "patTokenError": "invalidValidTo"})
        value = "".join(secrets.choice(_LETTERS) for _ in range(52))
        made = self._add(value, str(body.get("displayName", "")), body["scope"], valid_to, user)
        return web.json_response({"patToken": {**_shown(made), "token": value}, "patTokenError": "none"})

    def _revoke(self, user: str, request: web.Request) -> web.Response:
        wanted = request.query.get("authorizationId", "")
        for digest, token in list(self._tokens.items()):
            if token["authorizationId"] == wanted and token["user"] in (user, ""):
                del self._tokens[digest]
                self._revoked.append(digest)
                self._save()
                return web.json_response({})
        return _refusal(404, "The authorization was not found.")

    def _add(self, value: str, name: str, scope: str, valid_to: datetime | None, user: str) -> Json:
        times = {"validFrom": datetime.now(UTC).isoformat(), "validTo": valid_to.isoformat() if valid_to else None}
        made: Json = {"displayName": name, "scope": scope, "user": user, **times, "targetAccounts": None}
        self._tokens[_hash(value)] = {**made, "authorizationId": str(uuid.uuid4())}
        self._save()
        return self._tokens[_hash(value)]

    def _save(self) -> None:
        self._stored.write_text(json.dumps({"tokens": self._tokens, "revoked": self._revoked}))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _is_valid(token: Json | None) -> bool:
    if token is None:
        return False
    return token["validTo"] is None or datetime.fromisoformat(token["validTo"]) > datetime.now(UTC)


def _shown(token: Json) -> Json:
    return {**{n: v for n, v in token.items() if n != "user"}, "token": None}


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"$id": "1", "message": message, "typeKey": "AuthorizationException"}, status=status)
