"""An issuer of tokens in memory."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.domain.credentials import IssuedToken, NewToken
from shared.errors import IssuerRefused


@dataclass
class MemoryIssuer:
    """See `shared.protocols.TokenIssuer`. `issued` holds the valid tokens by value.

    `users` are credentials that may list, make and revoke tokens; None: any valid token may, as in Databricks, and
    a token's id follows from its value. Values in `broken` are issued, and open nothing.
    """

    clock: Clock
    users: set[str] | None = None
    issued: dict[str, IssuedToken] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    breaks: bool = False

    def add(self, value: str, comment: str, expires_at: datetime | None) -> IssuedToken:
        """A token that somebody made by hand."""
        made = IssuedToken(self.id_of(value) or uuid.uuid4().hex, comment, expires_at)
        self.issued[value] = made
        return made

    def tokens(self, using: str) -> list[IssuedToken]:
        """See `TokenIssuer.tokens`."""
        self._check(using, "list")
        return [token for value, token in self.issued.items() if self._is_valid(value)]

    def create(self, using: str, comment: str, days: int) -> NewToken:
        """See `TokenIssuer.create`."""
        self._check(using, "create")
        value = f"token-{uuid.uuid4().hex}"
        made = self.add(value, comment, self.clock.now() + timedelta(days=days))
        if self.breaks:
            self.broken.add(value)
        return NewToken(made.id, value, made.expires_at)

    def revoke(self, using: str, token_id: str) -> None:
        """See `TokenIssuer.revoke`."""
        self._check(using, "revoke")
        self.issued = {value: token for value, token in self.issued.items() if token.id != token_id}

    def works(self, value: str) -> bool:
        """See `TokenIssuer.works`."""
        return self._is_valid(value) and value not in self.broken

    def id_of(self, value: str) -> str | None:
        """See `TokenIssuer.id_of`."""
        return hashlib.sha256(value.encode()).hexdigest() if self.users is None else None

    def _is_valid(self, value: str) -> bool:
        token = self.issued.get(value)
        return token is not None and (token.expires_at is None or token.expires_at > self.clock.now())

    def _check(self, using: str, action: str) -> None:
        if not (self._is_valid(using) if self.users is None else using in self.users):
            raise IssuerRefused(name="the token", action=action, detail="HTTP 403")
