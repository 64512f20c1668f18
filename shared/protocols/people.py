"""Mail to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DigestMail:
    """A mail to one address. `key` names what it tells: of several with one key, one is sent at most."""

    to: str
    subject: str
    html: str
    text: str
    key: str


class Outbox(Protocol):
    """Takes mails and sends them by itself: whoever hands one over does not wait for the mail server."""

    def took(self, key: str) -> bool:
        """Whether a mail of this key was taken before: it need not be made again."""
        ...

    def send(self, mail: DigestMail) -> None:
        """Take a mail; one whose key was taken before is dropped without a word."""
        ...
