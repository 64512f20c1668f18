"""Blob, queue and table storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

type Row = dict[str, str | int | float | bool | None]
"""The properties of a table row, without its keys and ETag."""


@dataclass(frozen=True, slots=True)
class BlobLease:
    """A held lease: pass `lease_id` to renew or release it."""

    name: str
    lease_id: str


class BlobStore(Protocol):
    """Blobs in one container: batches, staged archives, manifests and leases.

    Each is stored with its seal (`shared.domain.seal`): reading one that was changed, cut or exchanged since
    raises `DamagedBlob`.
    """

    def put(self, name: str, data: bytes) -> None:
        """Write or overwrite a blob whole."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a blob whole unless there is one of this name; whether it was written."""
        ...

    def put_file(self, name: str, source: Path) -> None:
        """Write or overwrite a blob from a file, streamed."""
        ...

    def get(self, name: str) -> bytes:
        """A blob's bytes. Raises `KeyError` where there is none, `DamagedBlob`."""
        ...

    def get_file(self, name: str, target: Path) -> None:
        """Write a blob to a file, streamed. Raises `KeyError` where there is none, `DamagedBlob`; no file then."""
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin with `prefix`, in order."""
        ...

    def delete(self, name: str) -> None:
        """Remove a blob; nothing happens where there is none."""
        ...

    def acquire_lease(self, name: str, seconds: int) -> BlobLease | None:
        """Lease the blob `name`, made where missing, for 15 to 60 seconds. None where another holds it."""
        ...

    def renew_lease(self, lease: BlobLease) -> None:
        """Extend a lease by its own length. Raises `LeaseLost` where it is no longer ours."""
        ...

    def release_lease(self, lease: BlobLease) -> None:
        """Give a lease back; nothing happens where it is no longer ours."""
        ...


class Queue(Protocol):
    """Storage queues by name; messages are text of at most 48 KB before base64."""

    def send(self, queue: str, text: str, *, delay_seconds: int = 0) -> None:
        """Add a message, visible after `delay_seconds`. The queue is made where missing."""
        ...

    def length(self, queue: str) -> int:
        """About how many messages the queue holds; 0 where it does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as read: its keys, its properties, and the ETag that a conditional write needs."""

    partition: str
    key: str
    row: Row
    etag: str


class Tables(Protocol):
    """Rows of Table Storage. Tables are made where missing. Keys must not hold `/ \\ # ?` or controls."""

    def get(self, table: str, partition: str, key: str) -> StoredRow | None:
        """One row, or None."""
        ...

    def insert(self, table: str, partition: str, key: str, row: Row) -> str:
        """Add a row and return its ETag. Raises `StateConflict` where it exists."""
        ...

    def replace(self, table: str, partition: str, key: str, row: Row, etag: str) -> str:
        """Replace a row only at this ETag, and return the new one. Raises `StateConflict` otherwise."""
        ...

    def upsert(self, table: str, partition: str, key: str, row: Row) -> None:
        """Write these properties whatever is there; properties not named stay (a merge)."""
        ...

    def upsert_many(self, table: str, partition: str, rows: Mapping[str, Row]) -> None:
        """`upsert` of many rows of one partition by key, in transactions of at most 100."""
        ...

    def query(self, table: str, partition: str, where: str = "", columns: Iterable[str] = ()) -> Iterator[StoredRow]:
        """Rows of one partition in key order; `where` is an OData filter, `columns` what to read (all)."""
        ...

    def delete(self, table: str, partition: str, key: str) -> None:
        """Remove a row; nothing happens where there is none."""
        ...
