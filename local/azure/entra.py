"""Entra ID access tokens, version 1.0: issued by the identity endpoint, checked by those who take them.

The claims are those of https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference. They are
signed with a key that the stand-ins share, where Entra ID has a pair of keys.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from typing import Any

import jwt

TENANT = "11111111-2222-4333-8444-555555555555"
ISSUER = f"https://sts.windows.net/{TENANT}/"
DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
AZURE_DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"
VAULT = "https://vault.azure.net"
STORAGE = "https://storage.azure.com"
RESOURCES = (DATABRICKS, AZURE_DEVOPS, VAULT, STORAGE)
_ALGORITHM = "HS256"


class Entra:
    """Issues and checks tokens with one key."""

    def __init__(self, key: str, now: Callable[[], float] = time.time) -> None:
        self._key, self._now = key, now

    def app_token(self, resource: str, client_id: str, seconds: int) -> tuple[str, int]:
        """A token of a managed identity, and when it expires (Unix seconds)."""
        return self._issue(resource, seconds, {"appid": client_id, "oid": client_id, "idtyp": "app"})

    def user_token(self, resource: str, user: str, seconds: int = 3600) -> str:
        """A token of a person."""
        claims = {"appid": str(uuid.uuid5(uuid.NAMESPACE_DNS, "az")), "upn": user, "scp": "user_impersonation"}
        return self._issue(resource, seconds, claims)[0]

    def claims(self, authorization: str, audience: str) -> dict[str, Any] | None:
        """What a `Bearer` header says, where it holds a valid token for `audience`."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or token.count(".") != 2:
            return None
        try:
            audiences = [audience, f"{audience}/"]
            found: dict[str, Any] = jwt.decode(token, self._key, [_ALGORITHM], audience=audiences, issuer=ISSUER)
        except jwt.InvalidTokenError:
            return None
        return found

    def _issue(self, resource: str, seconds: int, claims: dict[str, str]) -> tuple[str, int]:
        now = int(self._now())
        times = {"iat": now, "nbf": now, "exp": now + seconds}
        body = {
            "aud": resource,
            "iss": ISSUER,
            "tid": TENANT,
            "ver": "1.0",
            "sub": str(uuid.uuid4()),
            **times,
            **claims,
        }
        return jwt.encode(body, self._key, _ALGORITHM), now + seconds


def known(resource: str, resources: Collection[str] = RESOURCES) -> str | None:
    """The resource as it is registered, with or without a slash at its end."""
    return next((r for r in resources if r == resource.rstrip("/")), None)
