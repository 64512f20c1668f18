"""Adapters over one storage account, by connection string or by identity.

The vendor's clients take long to load: each is loaded when the first adapter over it is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.adapters.blobs import AzureBlobs
    from shared.adapters.message_box import AzureMessageBox
    from shared.adapters.queues import AzureQueues
    from shared.adapters.tables import AzureTables


_OPTIONS = {"permit_redirects": False}
"""What is sent goes to the account, or nowhere."""


@dataclass(frozen=True, slots=True)
class StorageClients:
    """How each service of an account is reached, given the vendor's class of client for it."""

    _blob: Callable[[Any], Any]
    _queue: Callable[[Any], Any]
    _table: Callable[[Any], Any]

    @classmethod
    def from_connection_string(cls, text: str) -> StorageClients:
        """With an account key: Azurite's, or an account that still allows keys."""

        def connected(client: Any) -> Any:
            return client.from_connection_string(text, **_OPTIONS)

        return cls(connected, connected, connected)

    @classmethod
    def from_identity(
        cls, blob: str, queue: str, table: str, credential: Callable[[], TokenCredential]
    ) -> StorageClients:
        """With an Entra ID credential, one address a service."""
        return cls(
            lambda client: client(blob, credential=credential(), **_OPTIONS),
            lambda client: client(queue, credential=credential(), **_OPTIONS),
            lambda client: client(table, credential=credential(), **_OPTIONS),
        )

    def blobs(self, container: str) -> AzureBlobs:
        """Blobs of one container."""
        from azure.storage.blob import BlobServiceClient

        from shared.adapters.blobs import AzureBlobs

        return AzureBlobs(self._blob(BlobServiceClient), container)

    def message_box(self) -> AzureMessageBox:
        """The messages of the account's queues, one by one."""
        from azure.storage.queue import QueueServiceClient

        from shared.adapters.message_box import AzureMessageBox

        return AzureMessageBox(self._queue(QueueServiceClient))

    def queues(self) -> AzureQueues:
        """Queues of the account."""
        from azure.storage.queue import QueueServiceClient

        from shared.adapters.queues import AzureQueues

        return AzureQueues(self._queue(QueueServiceClient))

    def tables(self) -> AzureTables:
        """Tables of the account."""
        from azure.data.tables import TableServiceClient

        from shared.adapters.tables import AzureTables

        return AzureTables(self._table(TableServiceClient))


def blobs_of_account(address: str, container: str, credential: Callable[[], TokenCredential]) -> AzureBlobs:
    """Blobs of one container of another account, by identity; `address` is its blob service's."""
    return StorageClients.from_identity(address, "", "", credential).blobs(container)
