"""What lies in a system's storage account and Git repository, as it is charged for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from bench.cost_table import Stored
from local.system import REPOSITORY, LocalSystem

_FIXED_BYTES = {bool: 1, int: 4, float: 8}


def stored_in(system: LocalSystem) -> Stored:
    """Count it, through the account's key."""
    connection = system.settings["AzureWebJobsStorage"]
    blobs: Counter[str] = Counter()
    with BlobServiceClient.from_connection_string(connection) as service:
        for container in service.list_containers():
            for blob in service.get_container_client(container.name).list_blobs():
                blobs[blob.name.partition("/")[0]] += blob.size
    rows = size = 0
    with TableServiceClient.from_connection_string(connection) as tables:
        for table in tables.list_tables():
            for entity in tables.get_table_client(table.name).list_entities():
                rows, size = rows + 1, size + entity_bytes(entity)
    return Stored(dict(sorted(blobs.items())), rows, size, _bytes_below(system.options.data / "git" / REPOSITORY))


def entity_bytes(entity: Mapping[str, Any]) -> int:
    """4, the keys' characters twice, and for each property 8, its name twice and its value.

    https://learn.microsoft.com/archive/blogs/windowsazurestorage/understanding-windows-azure-storage-billing-bandwidth-transactions-and-capacity
    """
    keys = ("PartitionKey", "RowKey")
    own = sum(8 + 2 * len(name) + _value_bytes(value) for name, value in entity.items() if name not in keys)
    return 4 + 2 * sum(len(entity[key]) for key in keys) + own


def _value_bytes(value: Any) -> int:
    if isinstance(value, str):
        return 4 + 2 * len(value)
    if isinstance(value, bytes):
        return 4 + len(value)
    # A date, a GUID or a large whole number takes no more than 16.
    return _FIXED_BYTES.get(type(value), 16)


def _bytes_below(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
