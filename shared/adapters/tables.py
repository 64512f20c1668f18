"""Table Storage: runs, batches, checkpoints."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from itertools import batched
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, TableClient, TableServiceClient, UpdateMode

from shared.errors import StateConflict
from shared.protocols import Row, StoredRow

MOST_ROWS_A_TRANSACTION = 100


class AzureTables:
    """See `shared.protocols.Tables`."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._clients: dict[str, TableClient] = {}
        self._lock = threading.Lock()

    def get(self, table: str, partition: str, key: str) -> StoredRow | None:
        """See `Tables.get`."""
        try:
            return _stored(self._client(table).get_entity(partition, key))
        except ResourceNotFoundError:
            return None

    def insert(self, table: str, partition: str, key: str, row: Row) -> str:
        """See `Tables.insert`."""
        try:
            return _etag(self._client(table).create_entity(_entity(partition, key, row)))
        except ResourceExistsError:
            raise StateConflict(name=f"{table}/{partition}/{key}") from None

    def replace(self, table: str, partition: str, key: str, row: Row, etag: str) -> str:
        """See `Tables.replace`."""
        try:
            answer = self._client(table).update_entity(
                _entity(partition, key, row),
                mode=UpdateMode.REPLACE,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            raise StateConflict(name=f"{table}/{partition}/{key}") from None
        return _etag(answer)

    def upsert(self, table: str, partition: str, key: str, row: Row) -> None:
        """See `Tables.upsert`."""
        self._client(table).upsert_entity(_entity(partition, key, row), mode=UpdateMode.MERGE)

    def upsert_many(self, table: str, partition: str, rows: Mapping[str, Row]) -> None:
        """See `Tables.upsert_many`."""
        for some in batched(rows.items(), MOST_ROWS_A_TRANSACTION, strict=False):
            operations = [("upsert", _entity(partition, key, row), {"mode": UpdateMode.MERGE}) for key, row in some]
            self._client(table).submit_transaction(operations)

    def query(self, table: str, partition: str, where: str = "", columns: Iterable[str] = ()) -> Iterator[StoredRow]:
        """See `Tables.query`."""
        condition = "PartitionKey eq @partition" + (f" and ({where})" if where else "")
        select = [*columns, "PartitionKey", "RowKey"] if columns else None
        found = self._client(table).query_entities(condition, parameters={"partition": partition}, select=select)
        yield from map(_stored, found)

    def delete(self, table: str, partition: str, key: str) -> None:
        """See `Tables.delete`."""
        self._client(table).delete_entity(partition, key)

    def _client(self, table: str) -> TableClient:
        with self._lock:
            if table not in self._clients:
                self._clients[table] = self._service.create_table_if_not_exists(table)
            return self._clients[table]


def _entity(partition: str, key: str, row: Row) -> dict[str, Any]:
    return {"PartitionKey": partition, "RowKey": key, **{k: _value(v) for k, v in row.items() if v is not None}}


def _value(value: str | int | float | bool | None) -> Any:
    """The service keeps plain integers in 32 bits unless told otherwise."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**31) <= value < 2**31:
        return EntityProperty(value, EdmType.INT64)
    return value


def _stored(entity: Any) -> StoredRow:
    row: Row = {
        name: value.value if isinstance(value, EntityProperty) else value
        for name, value in entity.items()
        if name not in ("PartitionKey", "RowKey")
    }
    return StoredRow(entity["PartitionKey"], entity["RowKey"], row, entity.metadata.get("etag") or "")


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer.get("etag") or "")
