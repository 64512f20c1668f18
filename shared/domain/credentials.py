"""Credentials: what opens an outside system, when it expires, and how tokens that the backup made are recognised."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

PROVING, CURRENT = "proving", "current"
STATE_TAG, PREVIOUS_TAG, ROTATION_TAG = "backup-state", "backup-previous", "backup-rotation"
TOKEN_TAG, REPLACES_TAG = "backup-token-id", "backup-replaces"
"""Tags of a secret's version in the vault: how far it is, the version before, and the ids of both tokens."""
_DAY_SECONDS = 86_400
_MARK_CHARACTERS = 12


class CredentialKind(StrEnum):
    """Where a credential comes from."""

    IDENTITY = "identity"
    SETTING = "setting"
    VAULT = "vault"


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of a vault's secret. `value` is shown by nothing that prints the object; `expires_at` is aware."""

    name: str
    version: str
    value: str = field(repr=False)
    expires_at: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def stands_aside_for(self) -> str | None:
        """The version that is to be used instead, while this one is not proved to work."""
        return self.tags.get(PREVIOUS_TAG) if self.tags.get(STATE_TAG) == PROVING else None


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What a vault's list says of one version; `created_at` is aware, and exact to the second."""

    version: str
    created_at: datetime
    enabled: bool
    tags: Mapping[str, str]


def version_in_use(versions: Iterable[VersionInfo], named: str | None) -> str | None:
    """The newest version that is proved or was stored by hand; of two of one second, the one that is `named`.

    Not simply the one that a version on trial names: a process that was held up may add one when that is over.
    """
    usable = [v for v in versions if v.enabled and v.tags.get(STATE_TAG) != PROVING]
    return max(usable, key=lambda v: (v.created_at, v.version == named)).version if usable else None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as its issuer lists it, without its value; `expires_at` is None where it never expires."""

    id: str
    comment: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. Its value is told this once."""

    id: str
    value: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CredentialState:
    """How a credential stands.

    `source` says where the date comes from; `missing` says why there is none, and what would give one.
    `rotation` says who renews it: nobody has to, the backup by itself, or a person.
    """

    name: str
    label: str
    kind: CredentialKind
    rotation: str
    expires_at: datetime | None = None
    source: str = ""
    missing: str = ""
    checked_at: datetime | None = None

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, below zero after that; None where no date is known."""
        return None if self.expires_at is None else days_until(self.expires_at, now)


def days_until(expires_at: datetime, now: datetime) -> int:
    """Whole days until a time, rounded down."""
    return math.floor((expires_at - now).total_seconds() / _DAY_SECONDS)


def comment_start(vault: str, secret: str) -> str:
    """How the comments of all tokens begin that rotations of one secret made.

    It is of this vault and secret alone: another installation's tokens of the same principal are not touched.
    """
    mark = hashlib.sha256(f"{vault.rstrip('/').lower()}\n{secret}".encode()).hexdigest()[:_MARK_CHARACTERS]
    return f"notebook-backup {mark} "
