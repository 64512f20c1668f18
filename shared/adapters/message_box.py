"""Messages of Queue Storage, looked at and moved one by one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient

from shared.adapters.queues import AzureQueues
from shared.protocols import WaitingMessage

MOST_AT_ONCE = 32
"""What the service gives in one answer, at the most."""
_HOLD_SECONDS = 30
_MOST_ROUNDS = 200


class AzureMessageBox:
    """See `shared.protocols.MessageBox`."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service, self._queues = service, AzureQueues(service)

    def peek(self, queue: str, most: int) -> list[WaitingMessage]:
        """See `MessageBox.peek`."""
        try:
            found = self._service.get_queue_client(queue).peek_messages(max_messages=min(most, MOST_AT_ONCE))
        except ResourceNotFoundError:
            return []
        return [WaitingMessage(m.id, _decoded(m.content), m.inserted_on, int(m.dequeue_count or 0)) for m in found]

    def move(self, queue: str, message_id: str, target: str) -> bool:
        """See `MessageBox.move`."""
        client = self._service.get_queue_client(queue)
        for message in self._taken(client, message_id):
            self._queues.send(target, _decoded(message.content))
            client.delete_message(message)
            return True
        return False

    def remove(self, queue: str, message_id: str) -> bool:
        """See `MessageBox.remove`."""
        client = self._service.get_queue_client(queue)
        for message in self._taken(client, message_id):
            client.delete_message(message)
            return True
        return False

    @staticmethod
    def _taken(client: QueueClient, message_id: str) -> Iterator[Any]:
        """The message, taken; those that had to be taken on the way to it are given back."""
        others: list[Any] = []
        try:
            for _ in range(_MOST_ROUNDS):
                some = list(client.receive_messages(max_messages=MOST_AT_ONCE, visibility_timeout=_HOLD_SECONDS))
                others += [m for m in some if m.id != message_id]
                wanted = [m for m in some if m.id == message_id]
                if wanted or not some:
                    yield from wanted
                    return
        except ResourceNotFoundError:
            return
        finally:
            for message in others:
                client.update_message(message, visibility_timeout=0)


def _decoded(content: str) -> str:
    """A message's text; one that is no base64, as the host would refuse it, stays as it is."""
    try:
        return base64.b64decode(content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return content
