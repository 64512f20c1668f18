"""A mail server in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.domain.mail import Mail
from shared.protocols import Delivered, Delivery


@dataclass
class MemoryMailer:
    """See `shared.protocols.Mailer`: takes every mail, or does what `answer` says."""

    sent: list[Mail] = field(default_factory=list)
    attempts: int = 0
    answer: Callable[[Mail], Delivered] = lambda mail: Delivered(Delivery.SENT)  # noqa: ARG005 - any mail

    def send(self, mail: Mail) -> Delivered:
        """See `Mailer.send`."""
        self.attempts += 1
        delivered = self.answer(mail)
        if delivered.outcome is Delivery.SENT:
            self.sent.append(mail)
        return delivered

    def kinds(self) -> list[str]:
        """The keys of what was sent, without the part that names the event."""
        return [mail.key.partition("-20")[0] for mail in self.sent]
