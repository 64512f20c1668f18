"""The vendor's storage clients, by connection string or by identity, and the adapters over them."""

from __future__ import annotations

from dataclasses import dataclass

from azure.core.credentials import TokenCredential
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from shared.adapters.blobs import AzureBlobs
from shared.adapters.queues import AzureQueues
from shared.adapters.tables import AzureTables


@dataclass(frozen=True, slots=True)
class StorageClients:
    """Clients of one storage account."""

    blob: BlobServiceClient
    queue: QueueServiceClient
    table: TableServiceClient

    @classmethod
    def from_connection_string(cls, text: str) -> StorageClients:
        """With an account key: Azurite's, or an account that still allows keys."""
        return cls(
            BlobServiceClient.from_connection_string(text),
            QueueServiceClient.from_connection_string(text),
            TableServiceClient.from_connection_string(text),
        )

    @classmethod
    def from_identity(cls, blob: str, queue: str, table: str, credential: TokenCredential) -> StorageClients:
        """With an Entra ID credential, one address a service."""
        return cls(
            BlobServiceClient(blob, credential),
            QueueServiceClient(queue, credential),
            TableServiceClient(table, credential=credential),
        )

    def blobs(self, container: str) -> AzureBlobs:
        """Blobs of one container."""
        return AzureBlobs(self.blob, container)

    def queues(self) -> AzureQueues:
        """Queues of the account."""
        return AzureQueues(self.queue)

    def tables(self) -> AzureTables:
        """Tables of the account."""
        return AzureTables(self.table)
