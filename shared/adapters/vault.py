"""Azure Key Vault, through the vendor's client: it answers the vault's challenge, and caches the token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import KeyVaultSecret, SecretClient, SecretProperties

from shared.domain.addresses import is_loopback
from shared.domain.credentials import SecretVersion, VersionInfo, version_in_use
from shared.errors import SecretMissing, VaultError, VaultRefused, VaultUnavailable
from shared.redaction import remember

_RETRIES: Mapping[str, Any] = {
    "retry_total": 3,
    "retry_backoff_factor": 0.5,
    "connection_timeout": 10,
    "read_timeout": 30,
}
_DISABLED = "SecretDisabled"
"""The inner code of the 403 that a disabled version is answered with (Azure/azure-sdk-for-java#17991)."""


class KeyVault:
    """See `shared.protocols.Vault`."""

    def __init__(self, client: SecretClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, uri: str, credential: TokenCredential, **options: Any) -> KeyVault:
        """A vault at `https://NAME.vault.azure.net`; nothing is contacted yet."""
        return cls(vault_client(uri, credential, **options))

    def read(self, name: str, version: str = "") -> SecretVersion:
        """See `Vault.read`."""
        with _told(name):
            return _version(self._client.get_secret(name, version or None))

    def current(self, name: str) -> SecretVersion:
        """See `Vault.current`."""
        newest = self.read(name)
        if newest.stands_aside_for is None:
            return newest
        with _told(name):
            listed = [_info(p) for p in self._client.list_properties_of_secret_versions(name)]
        found = version_in_use(listed, newest.stands_aside_for)
        if found is None:
            raise SecretMissing(name=name)
        return self.read(name, found)

    def write(self, name: str, value: str, expires_at: datetime | None, tags: Mapping[str, str]) -> str:
        """See `Vault.write`."""
        with _told(name):
            made = self._client.set_secret(
                name, remember(value, keep=True), expires_on=expires_at, tags=dict(tags), content_type="token"
            )
            return str(made.properties.version)

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """See `Vault.tag`."""
        with _told(name):
            self._client.update_secret_properties(name, version, tags=dict(tags))

    def disable(self, name: str, version: str) -> None:
        """See `Vault.disable`."""
        with _told(name):
            self._client.update_secret_properties(name, version, enabled=False)

    def dates(self) -> dict[str, datetime]:
        """See `Vault.dates`."""
        with _told("its list of secrets"):
            found = list(self._client.list_properties_of_secrets())
        return {str(p.name): p.expires_on for p in found if p.expires_on is not None and p.enabled}


def vault_client(uri: str, credential: TokenCredential, **options: Any) -> SecretClient:
    """The vendor's client, with a few short retries."""
    # The vault's own domain must be in its challenge, so that a token reaches no other host. One on this machine has
    # no such domain.
    checked = not is_loopback(urlsplit(uri).hostname or "")
    return SecretClient(uri, credential, verify_challenge_resource=checked, **{**_RETRIES, **options})


def _version(secret: KeyVaultSecret) -> SecretVersion:
    properties = secret.properties
    return SecretVersion(
        name=str(secret.name),
        version=str(properties.version),
        value=remember(str(secret.value), keep=True),
        expires_at=properties.expires_on,
        tags=dict(properties.tags or {}),
    )


def _info(properties: SecretProperties) -> VersionInfo:
    created = properties.created_on or datetime.min.replace(tzinfo=UTC)
    return VersionInfo(str(properties.version), created, bool(properties.enabled), dict(properties.tags or {}))


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        raise _told_error(name, error) from None


def _told_error(name: str, error: AzureError) -> VaultError:
    status, code = _answer(error)
    fields = {"name": name, "detail": f"HTTP {status} {code}".strip() if status else type(error).__name__}
    if isinstance(error, ResourceNotFoundError) or code == _DISABLED:
        return SecretMissing(**fields)
    if isinstance(error, ClientAuthenticationError) or status in (400, 401, 403, 409):
        return VaultRefused(**fields)
    return VaultUnavailable(**fields)


def _answer(error: AzureError) -> tuple[int | None, str]:
    """The status and the innermost code of the vault's answer, which quotes nothing of the request."""
    if not isinstance(error, HttpResponseError):
        return None, ""
    found: Any = error.error
    inner = getattr(found, "innererror", None) or {}
    return error.status_code, str(inner.get("code") or getattr(found, "code", "") or "")
