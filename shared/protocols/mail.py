"""Sending mail, and making its text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.domain.mail import Mail, MailContent


class Delivery(StrEnum):
    """What became of a mail that was handed over."""

    SENT = "sent"
    LATER = "later"  # certainly not taken, and may be another time
    REFUSED = "refused"  # certainly not taken, and never will be
    UNSURE = "unsure"  # the answer was lost: it may have been taken


@dataclass(frozen=True, slots=True)
class Delivered:
    """The outcome with its reason; after `SENT` the reason names recipients that were refused, if any."""

    outcome: Delivery
    reason: str = ""


class Mailer(Protocol):
    """A mail server."""

    def send(self, mail: Mail) -> Delivered:
        """Hand one mail over, once: nothing is repeated in here. What goes wrong is the outcome, not an error."""
        ...


class MailTemplates(Protocol):
    """Makes a mail's content into text and HTML."""

    def render(self, content: MailContent) -> tuple[str, str]:
        """The text and the HTML. Neither holds what would not encode as UTF-8."""
        ...
