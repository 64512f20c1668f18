"""Tokens for the outside systems: a configured one, one from the vault, or an Entra ID token.

Each is asked for when it is used, so that none outlives its time. azure-identity keeps an Entra ID token until five
minutes before its expiry (`msal.ManagedIdentityClient`); a vault's secret is read again after seconds, or as soon as
a server refuses it.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pydantic import SecretStr

from shared.clock import Clock
from shared.errors import BackupError, VaultUnavailable
from shared.protocols import Vault
from shared.redaction import remember

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

# Resource ids: Microsoft's own for Azure Databricks and for Azure DevOps.
DATABRICKS_SCOPE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"
AZURE_DEVOPS_SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
_log = logging.getLogger("backup.credentials")
type Tokens = Callable[[], str]


class IdentityUnavailable(BackupError):
    """The app's identity got no token for {scope}: {detail}. Assign it, and set AZURE_CLIENT_ID to its client id."""

    code = "identity_unavailable"


@runtime_checkable
class Renewable(Protocol):
    """A source of tokens that may hold a newer one than it gave."""

    def __call__(self) -> str:
        """The token to use now."""
        ...

    def refused(self, token: str) -> bool:
        """A server refused `token`: whether asking again gives another one."""
        ...


def renewed(tokens: Tokens, token: str) -> bool:
    """Whether `tokens` has another one than `token`, which a server refused."""
    return isinstance(tokens, Renewable) and tokens.refused(token)


def azure_credential(client_id: str | None) -> TokenCredential:
    """The user-assigned identity of this client id, else what azure-identity finds: a developer's login, too."""
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=client_id) if client_id else DefaultAzureCredential()


def setting_token(secret: SecretStr) -> Tokens:
    """A token that is configured: it is what it is until the app starts anew."""
    # Known to the logs' redaction before anything is logged.
    value = remember(secret.get_secret_value(), keep=True)
    return lambda: value


def entra_token(scope: str, credential: Callable[[], TokenCredential]) -> Tokens:
    """Tokens of an identity for `scope`. Raises `IdentityUnavailable`."""
    from azure.core.exceptions import ClientAuthenticationError

    def token() -> str:
        try:
            return remember(credential().get_token(scope).token)
        except ClientAuthenticationError as error:
            raise IdentityUnavailable(scope=scope, detail=str(error.message).splitlines()[0]) from None

    return token


class VaultToken:
    """See `Renewable`: the secret `name` of a vault, read again after `seconds`.

    While the vault does not answer, the value that was read last is used on: it may still be good.
    """

    def __init__(self, vault: Vault, name: str, clock: Clock, seconds: float) -> None:
        self._vault, self._name, self._clock, self._seconds = vault, name, clock, seconds
        self._value, self._read_at, self._lock = "", 0.0, threading.Lock()

    def __call__(self) -> str:
        """See `Renewable.__call__`. Raises `VaultError`."""
        with self._lock:
            if not self._value or self._clock.monotonic() - self._read_at >= self._seconds:
                self._read()
            return self._value

    def refused(self, token: str) -> bool:
        """See `Renewable.refused`."""
        with self._lock:
            # Another thread may have met the same refusal, and read again already.
            if self._value == token:
                self._read()
            return self._value != token

    def _read(self) -> None:
        try:
            self._value = remember(self._vault.current(self._name).value, keep=True)
        except VaultUnavailable as error:
            if not self._value:
                raise
            _log.warning("the last known value is used on: %s", error, extra={"action": "credentials.read"})
        self._read_at = self._clock.monotonic()


class GitAuthorization:
    """See `Renewable`: values of the `Authorization` header.

    A personal access token goes as basic, as Azure Repos takes it, an Entra ID token as bearer.
    """

    def __init__(self, tokens: Tokens, *, basic: bool) -> None:
        self._tokens, self._basic = tokens, basic

    def __call__(self) -> str:
        """See `Renewable.__call__`."""
        return self._header(self._tokens())

    def refused(self, token: str) -> bool:
        """See `Renewable.refused`, of a header's value."""
        before = base64.b64decode(token.removeprefix("Basic ")).decode()[1:] if self._basic else token[len("Bearer ") :]
        return renewed(self._tokens, before)

    def _header(self, token: str) -> str:
        if not self._basic:
            return f"Bearer {token}"
        return f"Basic {base64.b64encode(f':{token}'.encode()).decode()}"
