"""What happens to a notebook that seems to hold a secret, before it enters history for good."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from shared.domain.batches import Failure, Notice
from shared.protocols import MOST_FOUND_SECRETS, FoundSecret, SecretFinder

MOST_NAMED = 5


class SecretPolicy(StrEnum):
    """`REPORT` backs the notebook up and says so, `HOLD` keeps it out, `IGNORE` does not look."""

    REPORT = "report"
    HOLD = "hold"
    IGNORE = "ignore"


class SecretScreen:
    """Applies the policy; of a secret only its kind and line are kept, and the fingerprint of one that nobody chose."""

    def __init__(self, finder: SecretFinder, policy: SecretPolicy) -> None:
        self._finder, self._policy = finder, policy

    def look_at(self, path: str, data: bytes) -> Failure | Notice | None:
        """A failure where the notebook must not be backed up, a notice where it may, None where nothing was found."""
        if self._policy is SecretPolicy.IGNORE:
            return None
        found = self._finder.find(data)
        if not found:
            return None
        if self._policy is SecretPolicy.HOLD:
            reason = f"held back: {_named(found)}. Move it to a secret scope, then run the backup again"
            return Failure(path, "secret_held", reason)
        reason = f"{_named(found)}. It is in history now: revoke it, and move it to a secret scope"
        return Notice(path, "secret_found", reason)


def _named(found: Sequence[FoundSecret]) -> str:
    some = [f"line {s.line}: {s.kind}{_mark(s)}" for s in found[:MOST_NAMED]]
    least = "at least " if len(found) == MOST_FOUND_SECRETS else ""
    more = [f"{least}{len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return "; ".join(some + more)


def _mark(secret: FoundSecret) -> str:
    return f" (fingerprint {secret.fingerprint})" if secret.fingerprint else ""
