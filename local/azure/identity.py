"""The token endpoint that App Service gives an app with a managed identity (`IDENTITY_ENDPOINT`).

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference. Its errors have
`statusCode`, `message` and `correlationId` (Azure/azure-sdk-for-net#43691).
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from local.azure.entra import Entra, known

API_VERSION = "2019-08-01"
PATH = "/msi/token"


class IdentityEndpoint:
    """Tokens for the identities that are assigned to the app, for whoever knows the header's secret."""

    def __init__(self, entra: Entra, header: str, client_ids: Sequence[str], control_token: str) -> None:
        self._entra, self._header, self._client_ids, self._control = entra, header, tuple(client_ids), control_token
        self.lifetime_seconds, self.fails_with = 86_400, 0
        self.asked: Counter[str] = Counter()

    def add_routes(self, app: web.Application) -> None:
        """The endpoint, and how a test changes and watches it."""
        app.router.add_get(PATH, self._token)
        app.router.add_post("/control/identity", self._control_identity)
        app.router.add_get("/control/identity", self._control_identity)
        app.router.add_post("/control/user-token", self._control_user_token)

    async def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != self._header:
            return _error(401, "No X-IDENTITY-HEADER was sent, or a wrong one.")
        if request.query.get("api-version") != API_VERSION:
            return _error(400, "The api-version is not supported.")
        if self.fails_with:
            return _error(self.fails_with, "The managed identity service is not available.")
        client_id = request.query.get("client_id", self._client_ids[0] if self._client_ids else "")
        if client_id not in self._client_ids:
            return _error(400, "Unable to load the proper Managed Identity.")
        resource = known(request.query.get("resource", ""))
        if resource is None:
            return _error(500, "AADSTS500011: The resource principal was not found in the tenant.")
        self.asked[f"{client_id} {resource}"] += 1
        token, expires_on = self._entra.app_token(resource, client_id, self.lifetime_seconds)
        body = {"access_token": token, "expires_on": str(expires_on), "resource": resource, "token_type": "Bearer"}
        return web.json_response({**body, "client_id": client_id})

    async def _control_identity(self, request: web.Request) -> web.Response:
        self._check(request)
        if request.method == "POST":
            body = await request.json()
            self.lifetime_seconds = int(body.get("lifetime_seconds", self.lifetime_seconds))
            self.fails_with = int(body.get("fails_with", self.fails_with))
        return web.json_response({"asked": dict(self.asked)})

    async def _control_user_token(self, request: web.Request) -> web.Response:
        self._check(request)
        body = await request.json()
        return web.json_response({"token": self._entra.user_token(str(body["resource"]), str(body["user"]))})

    def _check(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self._control}":
            raise web.HTTPUnauthorized


def _error(status: int, message: str) -> web.Response:
    body: dict[str, Any] = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return web.json_response(body, status=status)
