"""The watch over credentials: when each expires, who is told, and which are rotated in time.

A date comes from the vault's attributes, and from the issuer where it tells one; the earlier one counts. Where there
is none, the state says what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.clock import Clock
from shared.domain.audit import AuditAction
from shared.domain.credentials import TOKEN_TAG, CredentialKind, CredentialState, SecretVersion
from shared.errors import BackupError, VaultError
from shared.protocols import Telemetry, Vault
from shared.redaction import remember
from shared.services.audit.export import SYSTEM
from shared.services.audit.recorder import Recorder
from shared.services.credentials.rotation import RotationService
from shared.services.credentials.secrets import BY_ITSELF, CredentialSpec, CredentialStore, RotationStep, state_of
from shared.services.reporting.dashboard import Credential
from shared.services.reporting.mail import CREDENTIAL_DAYS
from shared.services.state.runs import time_of

AFTER_FAILURE = timedelta(days=1)
"""A rotation that failed is not begun again by itself before."""
_NOT_YET = "it was not looked up yet: `./backup credentials --check`"
_NO_END = "its issuer gives it no end: make one that expires"
_NO_DATE = "the vault's secret has no expiry date: set one with `az keyvault secret set-attributes --expires`"
_USERS_ONLY = "; Azure DevOps tells the date to its user alone: `./backup credentials --check --user-token`"
_NOT_AMONG = "; the issuer does not say which of its tokens this is"
_DAY_SECONDS = 86_400
_log = logging.getLogger("backup.credentials")
type Json = dict[str, Any]


class CredentialWatch:
    """Looks up when credentials expire, and has it known: rows, gauge, mail, audit trail."""

    def __init__(
        self,
        *,
        specs: Mapping[str, CredentialSpec],
        vault: Vault | None,
        store: CredentialStore,
        rotation: RotationService,
        recorder: Recorder,
        warn: Callable[[str, datetime], None],
        telemetry: Telemetry,
        clock: Clock,
        rotate_days: int,
    ) -> None:
        self._specs, self._vault, self._store, self._rotation = specs, vault, store, rotation
        self._recorder, self._warn, self._telemetry, self._clock = recorder, warn, telemetry, clock
        self._rotate_days = rotate_days

    def look(self, user_token: str = "", *, who: str = SYSTEM, origin: str = "") -> None:
        """Look every credential up, tell what is near its end, and begin the rotations that are due.

        Somebody who asks for it is recorded. A credential that cannot be looked up keeps none of the others waiting.
        """
        remember(user_token)
        if who != SYSTEM:
            self._recorder.record(AuditAction.CREDENTIALS_CHECKED, who, detail={"from": origin})
        states = [self._looked_up(spec, user_token) for spec in self._specs.values()]
        for state in states:
            self._tidy(state.name)
        states = [self._renewed(state) if self._is_due(state) else state for state in states] + self._others()
        self._store.found(states)
        for state in states:
            self._tell(state)

    def _renewed(self, state: CredentialState) -> CredentialState:
        """The state after its rotation was begun: as a rule it is switched by then."""
        try:
            self._rotation.start(state.name, SYSTEM)
        except BackupError as error:
            _log.error("%s is not rotated: %s", state.name, error, extra={"action": "credentials.rotate"})
        return self._looked_up(self._specs[state.name], "")

    def _tidy(self, name: str) -> None:
        if self._specs[name].rotation == BY_ITSELF:
            try:
                self._rotation.tidy(name)
            except BackupError as error:
                _log.warning("%s was not tidied up: %s", name, error, extra={"action": "credentials.watch"})

    def states(self) -> list[CredentialState]:
        """What was found last; a credential that was not looked up yet says so."""
        last = {name: state_of(name, stored.row) for name, stored in self._store.last_found().items()}
        specs = [last.pop(name) if name in last else self._unknown(spec) for name, spec in self._specs.items()]
        return [self._same_kind(state) for state in specs] + list(last.values())

    def shown(self) -> list[Json]:
        """The states with days left, and how the last rotation stands."""
        now = self._clock.now()
        return [
            {
                "name": s.name,
                "label": s.label,
                "kind": s.kind.value,
                "renewed_by": s.rotation,
                "expires_at": s.expires_at.isoformat() if s.expires_at else None,
                "days_left": s.days_left(now),
                "source": s.source or None,
                "missing": s.missing or None,
                "checked_at": s.checked_at.isoformat() if s.checked_at else None,
                "last_rotation": self._rotation.shown(s.name),
            }
            for s in self.states()
        ]

    def for_dashboard(self) -> Sequence[Credential]:
        """The states as the dashboard takes them."""
        return [
            Credential(s.label, s.kind is CredentialKind.IDENTITY, s.expires_at and s.expires_at.date(), s.missing)
            for s in self.states()
        ]

    def _unknown(self, spec: CredentialSpec) -> CredentialState:
        missing = "" if spec.kind is CredentialKind.IDENTITY else _NOT_YET
        return CredentialState(spec.name, spec.label, spec.kind, spec.rotation, missing=missing)

    def _same_kind(self, state: CredentialState) -> CredentialState:
        """What was found before the settings changed says nothing of what they name now."""
        spec = self._specs[state.name]
        return state if (state.kind, state.label) == (spec.kind, spec.label) else self._unknown(spec)

    def _looked_up(self, spec: CredentialSpec, user_token: str) -> CredentialState:
        state = replace(self._unknown(spec), missing="", checked_at=self._clock.now())
        try:
            if spec.kind is CredentialKind.IDENTITY:
                return state
            return self._dated(state, spec, self._secret(spec), user_token)
        except BackupError as error:
            _log.warning("%s was not looked up: %s", spec.name, error, extra={"action": "credentials.watch"})
            return replace(state, missing=f"it could not be looked up: {error}")

    def _secret(self, spec: CredentialSpec) -> SecretVersion:
        if spec.kind is CredentialKind.VAULT and self._vault is not None:
            return self._vault.current(spec.secret)
        return SecretVersion(spec.setting, "", spec.value() if spec.value else "")

    def _dated(
        self, state: CredentialState, spec: CredentialSpec, secret: SecretVersion, user_token: str
    ) -> CredentialState:
        """The earlier of the dates that vault and issuer tell; one of the two that fails leaves the other."""
        found = {"vault": secret.expires_at} if secret.expires_at else {}
        missing = _NO_DATE if spec.kind is CredentialKind.VAULT else ""
        try:
            issued, reason = self._of_issuer(spec, secret, user_token)
            found |= {"issuer": issued} if issued else {}
        except BackupError as error:
            reason = f"; its issuer was asked in vain: {error}"
        if not found:
            return replace(state, missing=(missing + reason).removeprefix("; "))
        source = min(found, key=lambda name: found[name])
        return replace(state, expires_at=found[source], source=source)

    @staticmethod
    def _of_issuer(spec: CredentialSpec, secret: SecretVersion, user_token: str) -> tuple[datetime | None, str]:
        """The date that the issuer tells, or why there is none."""
        if spec.issuer is None:
            return None, f"; nobody tells when {spec.setting} expires: keep it in the vault with an expiry date"
        using = spec.authority(secret.value, user_token)
        if not using:
            return None, _USERS_ONLY
        listed = {token.id: token for token in spec.issuer.tokens(using)}
        known = secret.tags.get(TOKEN_TAG) or spec.issuer.id_of(secret.value)
        token = listed.get(known or "")
        if token is None and len(listed) == 1 and not spec.personal:
            token = next(iter(listed.values()))
        if token is None:
            return None, _NOT_AMONG
        return token.expires_at, "" if token.expires_at else f"; {_NO_END}"

    def _others(self) -> list[CredentialState]:
        """The vault's other secrets that have a date."""
        if self._vault is None:
            return []
        try:
            dates = self._vault.dates()
        except VaultError as error:
            _log.warning("the vault's secrets were not listed: %s", error, extra={"action": "credentials.watch"})
            return []
        ours, now = {spec.secret for spec in self._specs.values()}, self._clock.now()
        return [
            CredentialState(
                f"vault-{name}", f"Secret {name}", CredentialKind.VAULT, "a person", expires, "vault", checked_at=now
            )
            for name, expires in sorted(dates.items())
            if name not in ours
        ]

    def _tell(self, state: CredentialState) -> None:
        if state.expires_at is None:
            return
        now = self._clock.now()
        days = (state.expires_at - now).total_seconds() / _DAY_SECONDS
        self._telemetry.gauge("backup.credential.days_left", days, credential=state.name)
        reached = [mark for mark in CREDENTIAL_DAYS if days < mark + 1]
        if not reached or (self._rotates(state.name) and days >= self._rotate_days):
            return
        detail = {"label": state.label, "expires_at": state.expires_at.isoformat(), "days_left": state.days_left(now)}
        key = f"{state.expires_at:%Y%m%d} {reached[-1]}"
        self._recorder.record(
            AuditAction.CREDENTIAL_EXPIRES, SYSTEM, state.name, correlation=state.name, detail=detail, key=key
        )
        self._warn(state.label, state.expires_at)

    def _rotates(self, name: str) -> bool:
        """Whether the backup rotates it in time, without being asked."""
        return self._rotate_days > 0 and name in self._specs and self._specs[name].rotation == BY_ITSELF

    def _is_due(self, state: CredentialState) -> bool:
        """Whether the backup rotates it by itself now."""
        left = state.days_left(self._clock.now())
        if not self._rotates(state.name) or left is None or left >= self._rotate_days:
            return False
        last = self._store.rotation(state.name)
        if last is None or last.row["step"] != RotationStep.FAILED:
            return True
        ended = time_of(last.row, "ended_at")
        return ended is None or self._clock.now() - ended >= AFTER_FAILURE
