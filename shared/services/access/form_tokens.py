"""Tokens in the forms of our own pages: a page of another site can send a form, but cannot read the token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from datetime import timedelta

from shared.clock import Clock
from shared.domain.access import Caller
from shared.errors import BackupError, DamagedBlob
from shared.protocols import BlobStore

KEY = "access/form-key"
_KEY_BYTES = 32


class FormOutdated(BackupError):
    """The form is not of a page that you opened here today or yesterday. Open the page again, and press the button."""

    code = "form_outdated"


class FormTokens:
    """Makes and checks tokens, each for one person, one act, and this day or the next, in UTC.

    They are HMAC-SHA256 with a key that all instances share, in the backup's container.
    """

    def __init__(self, blobs: BlobStore, clock: Clock) -> None:
        self._blobs, self._clock = blobs, clock
        self._lock, self._kept = threading.Lock(), b""

    def make(self, caller: Caller, act: str) -> str:
        """The token for a form of today. `act` names what the form does, and to what."""
        return self._token(caller, act, days_ago=0)

    def check(self, caller: Caller, act: str, token: str) -> None:
        """Raises `FormOutdated` unless the token is one that `make` gave for the same caller and act."""
        known = [self._token(caller, act, days_ago=days) for days in (0, 1)]
        if not any(hmac.compare_digest(one.encode(), token.encode("utf-8", "replace")) for one in known):
            raise FormOutdated

    def _token(self, caller: Caller, act: str, *, days_ago: int) -> str:
        day = (self._clock.now() - timedelta(days=days_ago)).date().isoformat()
        text = "\0".join((caller.subject, act, day))
        return hmac.new(self._key(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        with self._lock:
            if not self._kept:
                self._kept = self._stored()
            return self._kept

    def _stored(self) -> bytes:
        """The key, made where it is missing; one that was changed is replaced, which outdates open forms."""
        made = secrets.token_bytes(_KEY_BYTES)
        self._blobs.create(KEY, made)
        try:
            return self._blobs.get(KEY)
        except DamagedBlob:
            self._blobs.put(KEY, made)
            return made
