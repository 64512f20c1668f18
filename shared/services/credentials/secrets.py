"""Which credentials the backup has, and where each one's rotation stands: rows of the table `credentials`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.credentials import CredentialKind, CredentialState
from shared.errors import BackupError, StateConflict
from shared.protocols import Row, StoredRow, Tables, TokenIssuer
from shared.services.state.runs import time_of

CREDENTIALS = "credentials"
CREDENTIAL_NAME = re.compile(r"[0-9A-Za-z-]{1,64}")
BY_ITSELF = "the backup"
_ROTATION, _WATCH = "rotation", "watch"


class UnknownCredential(BackupError):
    """There is no credential called {name}. `./backup credentials` lists them."""

    code = "unknown_credential"


class NotRotatable(BackupError):
    """{name} cannot be rotated by the backup: {detail}."""

    code = "not_rotatable"


class UserTokenNeeded(BackupError):
    """{name} takes a token of its user: run `az login`, then `./backup credentials rotate {name} --user-token`."""

    code = "user_token_needed"


@dataclass(frozen=True, slots=True)
class CredentialSpec:
    """One credential as the settings have it.

    `setting` names the setting that holds it, or that names the vault's `secret`. `value` gives it where it is not
    in the vault. `personal`: the issuer acts for a token of the user alone, not for the credential itself.
    """

    name: str
    label: str
    kind: CredentialKind
    setting: str = ""
    secret: str = ""
    issuer: TokenIssuer | None = None
    personal: bool = False
    value: Callable[[], str] | None = None

    def authority(self, value: str, user_token: str) -> str:
        """What the issuer is asked with; empty where the user has to give it."""
        return user_token if self.personal else value

    @property
    def rotation(self) -> str:
        """Who renews it."""
        if self.kind is CredentialKind.IDENTITY:
            return "itself"
        if self.kind is CredentialKind.SETTING or self.issuer is None:
            return "a person"
        return "a person, with a token of its user" if self.personal else BY_ITSELF


class RotationStep(StrEnum):
    """How far a rotation is."""

    STARTED = "started"
    STORED = "stored"
    PROVED = "proved"
    SWITCHED = "switched"
    DONE = "done"
    WITHDRAWING = "withdrawing"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self in (RotationStep.DONE, RotationStep.FAILED)


class CredentialStore:
    """Rows of rotations, one for each credential, and of what the watch found last."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def rotation(self, name: str) -> StoredRow | None:
        """The row of the last rotation, if there was one."""
        return self._tables.get(CREDENTIALS, _ROTATION, name)

    def begin(self, name: str, row: Row, before: StoredRow | None) -> bool:
        """Write the row of a new rotation in place of `before`; False where somebody else was first."""
        try:
            if before is None:
                self._tables.insert(CREDENTIALS, _ROTATION, name, row)
            else:
                self._tables.replace(CREDENTIALS, _ROTATION, name, row, before.etag)
        except StateConflict:
            return False
        return True

    def move(self, stored: StoredRow, row: Row) -> None:
        """Add to a rotation's row. Raises `StateConflict` where somebody else moved it since it was read."""
        self._tables.replace(CREDENTIALS, _ROTATION, stored.key, {**stored.row, **row}, stored.etag)

    def found(self, states: Sequence[CredentialState]) -> None:
        """Keep what the watch found."""
        rows = {state.name: _row(state) for state in states}
        for stored in self._tables.query(CREDENTIALS, _WATCH):
            if stored.key not in rows:
                self._tables.delete(CREDENTIALS, _WATCH, stored.key)
        self._tables.upsert_many(CREDENTIALS, _WATCH, rows)

    def last_found(self) -> dict[str, StoredRow]:
        """What the watch found last, by name."""
        return {stored.key: stored for stored in self._tables.query(CREDENTIALS, _WATCH)}


def _row(state: CredentialState) -> Row:
    # Empty rather than None: a merge leaves what is None as it was.
    return {
        "label": state.label,
        "kind": state.kind.value,
        "rotation": state.rotation,
        "expires_at": state.expires_at.isoformat() if state.expires_at else "",
        "source": state.source,
        "missing": state.missing,
        "checked_at": state.checked_at.isoformat() if state.checked_at else "",
    }


def state_of(name: str, row: Row) -> CredentialState:
    """The reverse of what `CredentialStore.found` keeps."""
    return CredentialState(
        name=name,
        label=str(row["label"]),
        kind=CredentialKind(str(row["kind"])),
        rotation=str(row["rotation"]),
        expires_at=time_of(row, "expires_at"),
        source=str(row.get("source") or ""),
        missing=str(row.get("missing") or ""),
        checked_at=time_of(row, "checked_at"),
    )
