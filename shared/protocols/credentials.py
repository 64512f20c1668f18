"""The vault that keeps secrets, and those who issue tokens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from shared.domain.credentials import IssuedToken, NewToken, SecretVersion


class Vault(Protocol):
    """A vault of secrets with versions.

    Errors: `SecretMissing` where there is none of this name and version, or it is disabled; `VaultRefused` for want
    of a right; `VaultUnavailable` after retries.
    """

    def read(self, name: str, version: str = "") -> SecretVersion:
        """One version of a secret; without one, the newest."""
        ...

    def current(self, name: str) -> SecretVersion:
        """The version that is in use: the newest that is not on trial (`shared.domain.credentials.version_in_use`)."""
        ...

    def write(self, name: str, value: str, expires_at: datetime | None, tags: Mapping[str, str]) -> str:
        """Add a version, which is the newest from now on; returns its name."""
        ...

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of a version."""
        ...

    def disable(self, name: str, version: str) -> None:
        """Have a version read no more; nothing happens where it is disabled."""
        ...

    def dates(self) -> dict[str, datetime]:
        """Every secret that has a date of expiry, by name, without its value."""
        ...


class TokenIssuer(Protocol):
    """Who makes, lists and revokes tokens. `using` is the credential that a call is made with.

    Errors: `IssuerRefused` where `using` may not do this, `IssuerUnavailable` after retries.
    """

    def tokens(self, using: str) -> list[IssuedToken]:
        """The valid tokens of whoever `using` belongs to."""
        ...

    def create(self, using: str, comment: str, days: int) -> NewToken:
        """Make a token that is good for `days`. Called twice, it makes two."""
        ...

    def revoke(self, using: str, token_id: str) -> None:
        """End a token; nothing happens where there is none of this id."""
        ...

    def works(self, value: str) -> bool:
        """Whether a token opens what the backup needs, tried by a call. Raises `IssuerUnavailable`."""
        ...

    def id_of(self, value: str) -> str | None:
        """The id of a token by its value; None where the issuer derives none from it."""
        ...
