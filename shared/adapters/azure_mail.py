"""Mail by Azure Communication Services, with the app's identity."""

from __future__ import annotations

import uuid
from typing import Any, Protocol

from azure.communication.email import EmailClient
from azure.core.credentials import AzureKeyCredential, TokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

from shared.domain.mail import Mail, subject_line
from shared.protocols import Delivered, Delivery
from shared.redaction import redact

WAIT_SECONDS = 60.0
"""How long the service is asked what became of a mail that it took."""
_NOT_TAKEN = frozenset({408, 429, 503})
_MOST_REASON_CHARACTERS = 500


class _Client(Protocol):
    """What is used of the vendor's client."""

    def begin_send(self, message: Any, *, operation_id: str) -> Any: ...


class AzureMailer:
    """See `shared.protocols.Mailer`."""

    def __init__(self, client: _Client, sender: str) -> None:
        self._client, self._sender = client, sender

    @classmethod
    def connect(
        cls, endpoint: str, credential: TokenCredential | AzureKeyCredential, sender: str, **options: Any
    ) -> AzureMailer:
        """A mailer for a Communication Services resource. The client repeats nothing by itself."""
        return cls(EmailClient(endpoint, credential, retry_total=0, permit_redirects=False, **options), sender)

    def send(self, mail: Mail) -> Delivered:
        """See `Mailer.send`. The operation's id is the event's: the service knows a repeated request by it."""
        operation = str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:notebook-backup:mail:{mail.key}"))
        try:
            poller = self._client.begin_send(self._message(mail), operation_id=operation)
        except ClientAuthenticationError as error:
            # A role that was just granted takes minutes to be seen.
            return Delivered(Delivery.LATER, _reason(error))
        except HttpResponseError as error:
            return Delivered(_refused(error.status_code or 500), _reason(error))
        except ServiceRequestError as error:
            return Delivered(Delivery.LATER, _reason(error))
        except AzureError as error:
            return Delivered(Delivery.UNSURE, _reason(error))
        return self._outcome(poller)

    def _message(self, mail: Mail) -> dict[str, Any]:
        return {
            "senderAddress": self._sender,
            "recipients": {"to": [{"address": to} for to in mail.to]},
            "content": {"subject": subject_line(mail.subject), "plainText": mail.text, "html": mail.html},
            "headers": {"Auto-Submitted": "auto-generated"},
        }

    @staticmethod
    def _outcome(poller: Any) -> Delivered:
        """What became of a mail that was taken: one that is still on its way is as good as sent."""
        try:
            poller.wait(WAIT_SECONDS)
            if not poller.done():
                return Delivered(Delivery.SENT)
            result = poller.result()
        except HttpResponseError as error:
            return Delivered(Delivery.REFUSED, _reason(error))
        except AzureError:
            return Delivered(Delivery.SENT)
        if result.get("status") == "Succeeded":
            return Delivered(Delivery.SENT)
        return Delivered(Delivery.REFUSED, redact(str(result.get("error") or result.get("status"))))


def _refused(status: int) -> Delivery:
    """A server that failed may have taken the mail before."""
    if status in _NOT_TAKEN:
        return Delivery.LATER
    return Delivery.UNSURE if status >= 500 else Delivery.REFUSED


def _reason(error: Exception) -> str:
    return redact(str(error))[:_MOST_REASON_CHARACTERS]
