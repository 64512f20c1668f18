"""Queue Storage: messages as base64, the Functions host's default encoding."""

from __future__ import annotations

import contextlib
import threading

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy


class AzureQueues:
    """See `shared.protocols.Queue`."""

    def __init__(self, service: QueueServiceClient) -> None:
        self._service = service
        self._clients: dict[str, QueueClient] = {}
        self._lock = threading.Lock()

    def send(self, queue: str, text: str, *, delay_seconds: int = 0) -> None:
        """See `Queue.send`."""
        self._client(queue).send_message(text, visibility_timeout=delay_seconds)

    def length(self, queue: str) -> int:
        """See `Queue.length`."""
        client = self._service.get_queue_client(queue)
        try:
            return int(client.get_queue_properties().approximate_message_count or 0)
        except ResourceNotFoundError:
            return 0

    def _client(self, queue: str) -> QueueClient:
        with self._lock:
            if queue not in self._clients:
                client = self._service.get_queue_client(
                    queue,
                    message_encode_policy=TextBase64EncodePolicy(),
                    message_decode_policy=TextBase64DecodePolicy(),
                )
                with contextlib.suppress(ResourceExistsError):
                    client.create_queue()
                self._clients[queue] = client
            return self._clients[queue]
