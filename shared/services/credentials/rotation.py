"""Rotation of a token: made, kept in the vault, proved, switched to, and only then is the one before revoked.

Each step is repeatable, and its row is written after its effect. At every moment readers find a token that works:
a version of the secret that is not proved yet names the one to be used instead. A token whose value was lost, since
the process died between its making and the vault, is known by its comment, and revoked.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from shared.clock import Clock
from shared.domain.audit import AuditAction, AuditResult
from shared.domain.credentials import (
    CURRENT,
    PREVIOUS_TAG,
    PROVING,
    REPLACES_TAG,
    ROTATION_TAG,
    STATE_TAG,
    TOKEN_TAG,
    CredentialKind,
    IssuedToken,
    SecretVersion,
    comment_start,
)
from shared.domain.runs import make_run_id
from shared.errors import BackupError, LeaseLost, StateConflict
from shared.protocols import BlobStore, Row, StoredRow, TokenIssuer, Vault
from shared.redaction import remember
from shared.services.audit.recorder import Recorder
from shared.services.credentials.secrets import (
    CredentialSpec,
    CredentialStore,
    NotRotatable,
    RotationStep,
    UnknownCredential,
    UserTokenNeeded,
)
from shared.services.state.run_acts import actor_of, asked_from
from shared.services.state.runs import parse_time

GRACE = timedelta(minutes=5)
"""How long the token before stays good after the switch: longer than any reader keeps what it read."""
PROOFS, PROOF_PAUSE_SECONDS = 5, 3.0
"""A new token may take a moment to be known everywhere."""
_LEASE_SECONDS = 60
_SHOWN = ("rotation", "step", "requested_by", "started_at", "ended_at", "expires_at", "error", "note")
_log = logging.getLogger("backup.credentials")
type Json = dict[str, Any]
Step = RotationStep


class RotationService:
    """Rotates the credentials whose issuer lets a program do it."""

    def __init__(
        self,
        *,
        specs: Mapping[str, CredentialSpec],
        vault: Vault | None,
        vault_uri: str,
        blobs: BlobStore,
        store: CredentialStore,
        recorder: Recorder,
        clock: Clock,
        days: int,
    ) -> None:
        self._specs, self._vault_or_none, self._vault_uri = specs, vault, vault_uri
        self._blobs, self._store, self._recorder, self._clock = blobs, store, recorder, clock
        self._days, self._held = days, threading.local()
        self._steps: Mapping[Step, Callable[[StoredRow, CredentialSpec, str], bool]] = {
            Step.STARTED: self._make,
            Step.STORED: self._prove,
            Step.PROVED: self._switch,
            Step.SWITCHED: self._revoke,
            Step.WITHDRAWING: self._withdraw,
        }

    def start(self, name: str, who: str, origin: str = "", user_token: str = "") -> Json:
        """Begin a rotation, or go on with the one under way, as far as it can go now; how it stands then.

        Raises `UnknownCredential`, `NotRotatable`, `UserTokenNeeded`.
        """
        remember(user_token)
        spec = self._rotatable(name)
        if spec.personal and not user_token:
            raise UserTokenNeeded(name=name)
        before = self._store.rotation(name)
        if before is None or Step(str(before.row["step"])).over:
            now = self._clock.now()
            row: Row = {"rotation": make_run_id(now, secrets.token_hex(4)), "step": Step.STARTED.value}
            row |= {"requested_by": who, "requested_from": origin, "started_at": now.isoformat()}
            self._store.begin(name, row, before)
        self.go_on(name, user_token)
        return self.shown(name) or {}

    def go_on_all(self) -> None:
        """Go on with every rotation that is under way; one that fails keeps none of the others waiting."""
        for name in self._specs:
            try:
                self.go_on(name)
            except Exception:  # noqa: BLE001 - whatever one meets, the others go on
                _log.exception("the rotation of %s must wait", name, extra={"action": "credentials.rotate"})

    def go_on(self, name: str, user_token: str = "") -> None:
        """Take the steps of a rotation that can be taken now. What stops it is in its row; the next call goes on."""
        stored = self._store.rotation(name)
        if stored is None or Step(str(stored.row["step"])).over:
            return
        with self._leased(name) as is_ours:
            while is_ours and self._take_step(name, user_token):
                continue

    def tidy(self, name: str) -> None:
        """Undo what a process left that was held up until its rotation was over: a version on trial, and its token."""
        with self._leased(name) as is_ours:
            stored = self._store.rotation(name) if is_ours else None
            if stored is not None and Step(str(stored.row["step"])).over:
                self._tidy(self._rotatable(name))

    @contextmanager
    def _leased(self, name: str) -> Iterator[bool]:
        """Whether this thread is the only one that turns to a credential now."""
        lease = self._blobs.acquire_lease(f"leases/rotation-{name}", _LEASE_SECONDS)
        if lease is None:
            yield False
            return
        self._held.lease = lease
        try:
            yield True
        finally:
            self._blobs.release_lease(lease)

    def _still_alone(self) -> None:
        """Called before what cannot be taken back. Raises `LeaseLost` where another has taken over since."""
        self._blobs.renew_lease(self._held.lease)

    def _tidy(self, spec: CredentialSpec) -> None:
        newest, current = self._vault.read(spec.secret), self._vault.current(spec.secret)
        if newest.version != current.version:
            self._vault.write(spec.secret, current.value, current.expires_at, current.tags)
            self._vault.disable(spec.secret, newest.version)
        using = spec.authority(current.value, "")
        if using:
            self._revoke_others(spec, current, using, old="")

    def shown(self, name: str) -> Json | None:
        """How the last rotation of a credential stands; None where there was none."""
        stored = self._store.rotation(name)
        return {n: stored.row.get(n) or None for n in _SHOWN} if stored else None

    def _take_step(self, name: str, user_token: str) -> bool:
        """One step; whether another can follow at once."""
        stored = self._store.rotation(name)
        step = Step(str(stored.row["step"])) if stored else Step.DONE
        if stored is None or step.over:
            return False
        try:
            return self._steps[step](stored, self._rotatable(name), user_token)
        except (StateConflict, LeaseLost):
            # Another process has gone on with it: its row says how far.
            return False
        except BackupError as error:
            _log.warning("the rotation of %s waits: %s", name, error, extra={"action": "credentials.rotate"})
            return self._stopped(stored, self._specs[name], user_token, error)

    def _stopped(self, stored: StoredRow, spec: CredentialSpec, user_token: str, error: BackupError) -> bool:
        """Keep the reason; where nothing was stored yet and nothing is going to be, end."""
        waits = error.retriable or isinstance(error, UserTokenNeeded)
        if stored.row["step"] != Step.STARTED or waits:
            with suppress(StateConflict):
                self._store.move(stored, {"error": str(error)})
            return False
        note = ""
        try:
            self._drop_lost(stored, spec, spec.authority(self._vault.current(spec.secret).value, user_token))
        except BackupError as other:
            if other.retriable or self._is_moved(stored):
                return False
            note = f"look among the tokens for one whose comment is '{self._comment(stored, spec)}', and revoke it"
        if not self._is_moved(stored):
            self._end(stored, Step.FAILED, AuditResult.FAILED, error=str(error), note=note)
        return False

    def _is_moved(self, stored: StoredRow) -> bool:
        """Whether another process has gone on since the row was read."""
        now = self._store.rotation(stored.key)
        return now is None or now.etag != stored.etag

    def _make(self, stored: StoredRow, spec: CredentialSpec, user_token: str) -> bool:
        """Make a token and keep it in the vault, aside."""
        self._record(stored, "asked", AuditResult.DONE)
        newest = self._vault.read(spec.secret)
        if newest.tags.get(ROTATION_TAG) != stored.row["rotation"]:
            newest = self._made(stored, spec, user_token)
        row: Row = {"step": Step.STORED.value, "new_version": newest.version, "error": None}
        row |= {"new_id": newest.tags[TOKEN_TAG], "old_id": newest.tags.get(REPLACES_TAG, "")}
        row |= {"old_version": newest.tags[PREVIOUS_TAG]}
        row |= {"expires_at": newest.expires_at.isoformat() if newest.expires_at else None}
        self._store.move(stored, row)
        return True

    def _made(self, stored: StoredRow, spec: CredentialSpec, user_token: str) -> SecretVersion:
        current = self._vault.current(spec.secret)
        using = spec.authority(current.value, user_token)
        if not using:
            raise UserTokenNeeded(name=spec.name)
        self._drop_lost(stored, spec, using)
        replaced = _id_in_use(spec, current, _issuer(spec).tokens(using))
        self._still_alone()
        new = _issuer(spec).create(using, self._comment(stored, spec), self._days)
        self._record(stored, "made", AuditResult.DONE, token_id=new.id)
        tags = {STATE_TAG: PROVING, PREVIOUS_TAG: current.version, ROTATION_TAG: str(stored.row["rotation"])}
        tags |= {TOKEN_TAG: new.id, **({REPLACES_TAG: replaced} if replaced else {})}
        self._still_alone()
        version = self._vault.write(spec.secret, new.value, new.expires_at, tags)
        return SecretVersion(spec.secret, version, new.value, new.expires_at, tags)

    def _prove(self, stored: StoredRow, spec: CredentialSpec, _: str) -> bool:
        """Try the new token."""
        secret = self._vault.read(spec.secret, str(stored.row["new_version"]))
        for attempt in range(PROOFS):
            if attempt:
                self._clock.sleep(PROOF_PAUSE_SECONDS)
            if _issuer(spec).works(secret.value):
                self._store.move(stored, {"step": Step.PROVED.value, "error": None})
                return True
        error = "the new token does not open what the backup needs: the one before stays in use"
        self._store.move(stored, {"step": Step.WITHDRAWING.value, "error": error})
        return True

    def _switch(self, stored: StoredRow, spec: CredentialSpec, _: str) -> bool:
        """Have readers use the new token."""
        version = str(stored.row["new_version"])
        tags = self._vault.read(spec.secret, version).tags
        self._still_alone()
        self._vault.tag(spec.secret, version, {**tags, STATE_TAG: CURRENT})
        self._record(stored, "switched", AuditResult.DONE, version=version)
        now = self._clock.now().isoformat()
        self._store.move(stored, {"step": Step.SWITCHED.value, "switched_at": now, "error": None})
        return True

    def _revoke(self, stored: StoredRow, spec: CredentialSpec, user_token: str) -> bool:
        """Revoke the token before, and whatever other rotations left; the one in use is known first, or none is."""
        # The user's token is not there later: readers of the old one are refused, and read again.
        if not spec.personal and self._clock.now() < parse_time(stored.row["switched_at"]) + GRACE:
            return False
        current = self._vault.current(spec.secret)
        using = spec.authority(current.value, user_token)
        if not using:
            raise UserTokenNeeded(name=spec.name)
        old = str(stored.row.get("old_id") or "")
        is_known = self._revoke_others(spec, current, using, old)
        if current.version != stored.row["old_version"]:
            self._vault.disable(spec.secret, str(stored.row["old_version"]))
        note = "" if old and is_known else "the token before could not be told from others: revoke it by hand"
        self._end(stored, Step.DONE, AuditResult.PARTIAL if note else AuditResult.DONE, note=note)
        return False

    def _revoke_others(self, spec: CredentialSpec, current: SecretVersion, using: str, old: str) -> bool:
        """Revoke `old`, and what rotations made and nobody uses; nothing where it is not known which one is in use."""
        listed = _issuer(spec).tokens(using)
        in_use = _id_in_use(spec, current, listed)
        for token in listed if in_use else ():
            if token.id != in_use and (token.id == old or token.comment.startswith(self._start(spec))):
                self._still_alone()
                _issuer(spec).revoke(using, token.id)
        return bool(in_use)

    def _withdraw(self, stored: StoredRow, spec: CredentialSpec, user_token: str) -> bool:
        """Put the version before in place again, then revoke the token that was not good."""
        new, old = str(stored.row["new_version"]), self._vault.read(spec.secret, str(stored.row["old_version"]))
        using = spec.authority(old.value, user_token)
        if not using:
            raise UserTokenNeeded(name=spec.name)
        if self._vault.read(spec.secret).version == new:
            self._still_alone()
            self._vault.write(spec.secret, old.value, old.expires_at, old.tags)
        self._drop_lost(stored, spec, using)
        self._vault.disable(spec.secret, new)
        self._end(stored, Step.FAILED, AuditResult.FAILED, error=str(stored.row["error"]))
        return False

    def _drop_lost(self, stored: StoredRow, spec: CredentialSpec, using: str) -> None:
        """Revoke what this rotation made and does not use."""
        if not using:
            raise UserTokenNeeded(name=spec.name)
        comment = self._comment(stored, spec)
        listed = [token for token in _issuer(spec).tokens(using) if token.comment == comment]
        # Looked at after the list: what another process has put into the vault since is not lost.
        kept = {v.tags.get(TOKEN_TAG) for v in (self._vault.read(spec.secret), self._vault.current(spec.secret))}
        for token in listed:
            if token.id not in kept:
                self._still_alone()
                _issuer(spec).revoke(using, token.id)

    def _end(self, stored: StoredRow, step: Step, result: AuditResult, *, error: str = "", note: str = "") -> None:
        self._record(stored, f"ended {step.value}", result, error=error, note=note)
        ended = self._clock.now().isoformat()
        self._store.move(stored, {"step": step.value, "ended_at": ended, "error": error, "note": note})

    def _record(self, stored: StoredRow, step: str, result: AuditResult, **detail: str) -> None:
        told = {"step": step.partition(" ")[0], **{n: v for n, v in detail.items() if v}, **asked_from(stored.row)}
        # A token that is made again after a death is another one: its record has a key of its own.
        key = f"{step} {detail.get('token_id', '')}".strip()
        rotation = str(stored.row["rotation"])
        self._recorder.record(
            AuditAction.CREDENTIAL_ROTATED, actor_of(stored.row), stored.key, result, rotation, told, key
        )

    def _start(self, spec: CredentialSpec) -> str:
        return comment_start(self._vault_uri, spec.secret)

    def _comment(self, stored: StoredRow, spec: CredentialSpec) -> str:
        return f"{self._start(spec)}{stored.row['rotation']}"

    @property
    def _vault(self) -> Vault:
        if self._vault_or_none is None:
            raise NotRotatable(name="a token", detail="there is no vault: set KEY_VAULT_URI")
        return self._vault_or_none

    def _rotatable(self, name: str) -> CredentialSpec:
        spec = self._specs.get(name)
        if spec is None:
            raise UnknownCredential(name=name)
        if spec.kind is CredentialKind.IDENTITY:
            raise NotRotatable(name=name, detail="it is an identity, which renews itself")
        if spec.kind is CredentialKind.SETTING:
            detail = f"{spec.setting} holds it, and an app setting cannot be changed from within: move it to the vault"
            raise NotRotatable(name=name, detail=detail)
        if spec.issuer is None:
            raise NotRotatable(name=name, detail="its issuer has no way for a program: make a new one by hand")
        return spec


def _issuer(spec: CredentialSpec) -> TokenIssuer:
    if spec.issuer is None:
        raise NotRotatable(name=spec.name, detail="its issuer has no way for a program: make a new one by hand")
    return spec.issuer


def _id_in_use(spec: CredentialSpec, current: SecretVersion, listed: list[IssuedToken]) -> str:
    """The id of the token that a version holds: as its tags say, as its value says, or as the only one there is."""
    ids = [token.id for token in listed]
    for known in (current.tags.get(TOKEN_TAG), _issuer(spec).id_of(current.value)):
        if known and known in ids:
            return known
    # A list that was asked for with the token itself holds it.
    return ids[0] if len(ids) == 1 and not spec.personal else ""
