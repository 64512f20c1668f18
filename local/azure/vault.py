"""A Key Vault of secrets: https://learn.microsoft.com/rest/api/keyvault/secrets.

Every request has to bring a token of an identity with a role; one without is answered with the challenge that the
vendor's clients wait for. Error shapes are the vault's own (Azure/azure-sdk-for-java#17991, MicrosoftDocs).
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from local.azure.entra import TENANT, VAULT, Entra

MOST_VALUE_BYTES = 25_600
PAGE = 25
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
READ, WRITE = "reader", "officer"
type Json = dict[str, Any]
type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class VaultError(Exception):
    """An answer in the vault's error shape."""

    def __init__(self, status: int, code: str, message: str, inner: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message}}
        if inner:
            self.body["error"]["innererror"] = {"code": inner}  # type: ignore[assignment]


class VaultServer:
    """Secrets by name, each a list of versions, kept in a file that its owner alone may read.

    `roles` are by client id; one that is not named has none.
    """

    def __init__(self, entra: Entra, stored: Path, url: str, roles: dict[str, str], control_token: str) -> None:
        self._entra, self._stored, self._url, self._roles = entra, stored, url.rstrip("/"), roles
        self._control, self.fails_with, self.calls = control_token, 0, 0
        self._secrets: dict[str, list[Json]] = json.loads(stored.read_text()) if stored.exists() else {}

    def seed(self, values: dict[str, str]) -> None:
        """Add secrets that are not there yet."""
        for name, value in values.items():
            if name not in self._secrets:
                self._add(name, {"value": value})

    def add_routes(self, app: web.Application) -> None:
        """The API, and how a test changes and watches it."""
        app.middlewares.append(self._guard)
        app.router.add_get("/secrets", self._list)
        app.router.add_get("/secrets/{name}/versions", self._versions)
        app.router.add_get("/secrets/{name}/", self._get)
        app.router.add_get("/secrets/{name}", self._get)
        app.router.add_get("/secrets/{name}/{version}", self._get)
        app.router.add_put("/secrets/{name}", self._set)
        app.router.add_patch("/secrets/{name}/{version}", self._update)
        app.router.add_post("/control/vault", self._control_vault)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/control/"):
            if request.headers.get("Authorization") != f"Bearer {self._control}":
                raise web.HTTPUnauthorized
            return await handler(request)
        self.calls += 1
        try:
            self._admit(request)
            return await handler(request)
        except VaultError as error:
            headers = {}
            if error.status == 401:
                login = f"https://login.microsoftonline.com/{TENANT}"
                headers["WWW-Authenticate"] = f'Bearer authorization="{login}", resource="{VAULT}"'
            return web.json_response(error.body, status=error.status, headers=headers)

    def _admit(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not given:
            raise VaultError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        claims = self._entra.claims(given, VAULT)
        if claims is None:
            raise VaultError(401, "Unauthorized", "[TokenExpired] Error validating token: 'S2S12086'.")
        if self.fails_with:
            code = "Throttled" if self.fails_with == 429 else "ServiceUnavailable"
            raise VaultError(self.fails_with, code, "Request was not processed.")
        if "api-version" not in request.query:
            raise VaultError(400, "BadParameter", "The request URI is not valid: api-version must be specified.")
        role = self._roles.get(str(claims.get("appid")), "")
        if role != WRITE and not (role == READ and request.method == "GET"):
            raise VaultError(
                403, "Forbidden", "Caller is not authorized to perform action on resource.", "ForbiddenByRbac"
            )

    async def _get(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if not found["attributes"]["enabled"]:
            raise VaultError(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
        return web.json_response(found)

    async def _set(self, request: web.Request) -> web.Response:
        body = await request.json()
        name = request.match_info["name"]
        if not _NAME.fullmatch(name) or not isinstance(body.get("value"), str):
            raise VaultError(400, "BadParameter", "The secret's name or value is not valid.")
        if len(body["value"].encode()) > MOST_VALUE_BYTES:
            raise VaultError(400, "BadParameter", f"The value must have at most {MOST_VALUE_BYTES} bytes.")
        return web.json_response(self._add(name, body))

    async def _update(self, request: web.Request) -> web.Response:
        body, found = await request.json(), self._find(request)
        found["attributes"] |= {**_attributes(body), "updated": int(time.time())}
        found |= {n: body[n] for n in ("tags", "contentType") if n in body}
        self._save()
        return web.json_response({n: v for n, v in found.items() if n != "value"})

    async def _list(self, request: web.Request) -> web.Response:
        """The newest version of each, without value and version, in pages."""
        rows = []
        for name in sorted(self._secrets):
            newest = {n: v for n, v in self._secrets[name][-1].items() if n != "value"}
            rows.append({**newest, "id": f"{self._url}/secrets/{name}"})
        return self._page(request, rows, "/secrets")

    async def _versions(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        rows = [{n: v for n, v in version.items() if n != "value"} for version in self._secrets.get(name, [])]
        return self._page(request, rows, f"/secrets/{name}/versions")

    def _page(self, request: web.Request, rows: list[Json], path: str) -> web.Response:
        start = int(request.query.get("$skiptoken", 0))
        more = start + PAGE < len(rows)
        version = request.query["api-version"]
        link = f"{self._url}{path}?api-version={version}&$skiptoken={start + PAGE}" if more else None
        return web.json_response({"value": rows[start : start + PAGE], "nextLink": link})

    async def _control_vault(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.fails_with = int(body.get("fails_with", self.fails_with))
        self._roles |= body.get("roles", {})
        for name, secret in body.get("set", {}).items():
            self._add(name, secret)
        return web.json_response({"calls": self.calls, "secrets": self._secrets})

    def _find(self, request: web.Request) -> Json:
        name, version = request.match_info["name"], request.match_info.get("version", "")
        versions = [v for v in self._secrets.get(name, []) if not version or v["id"].endswith(f"/{version}")]
        if not versions:
            raise VaultError(
                404, "SecretNotFound", f"A secret with (name/id) {name}/{version} was not found in this key vault."
            )
        return versions[-1]

    def _add(self, name: str, body: Json) -> Json:
        now = int(time.time())
        fixed: Json = {"recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90}
        attributes: Json = {"enabled": True, "created": now, "updated": now, **fixed, **_attributes(body)}
        made: Json = {"value": body["value"], "id": f"{self._url}/secrets/{name}/{uuid.uuid4().hex}"}
        made["attributes"] = attributes
        made |= {n: body[n] for n in ("tags", "contentType") if n in body}
        self._secrets.setdefault(name, []).append(made)
        self._save()
        return made

    def _save(self) -> None:
        self._stored.touch(mode=0o600)
        self._stored.write_text(json.dumps(self._secrets))


def _attributes(body: Json) -> Json:
    given = body.get("attributes") or {}
    return {n: given[n] for n in ("enabled", "exp", "nbf") if given.get(n) is not None}
