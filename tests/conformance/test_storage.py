"""What blobs, tables and queues promise, kept by the adapters over Azurite and by those in memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from local.memory.clock import ManualClock
from local.memory.storage import MemoryBlobs, MemoryQueues, MemoryTables
from shared.adapters.storage import StorageClients
from shared.domain.seal import seal
from shared.errors import DamagedBlob, LeaseLost, StateConflict
from shared.protocols import BlobLease, BlobStore, Queue, Tables

pytestmark = pytest.mark.xdist_group("azurite")


@dataclass
class Storage:
    """One implementation; `overwrite` changes a blob's bytes behind its back and keeps its seal."""

    blobs: BlobStore
    tables: Tables
    queue: Queue
    overwrite: Callable[[str, bytes], None]


@pytest.fixture(params=["memory", "azurite"])
def storage(request: pytest.FixtureRequest) -> Storage:
    return _azurite(request.getfixturevalue("azurite")) if request.param == "azurite" else _memory()


def _memory() -> Storage:
    clock = ManualClock()
    blobs = MemoryBlobs(clock)

    def overwrite(name: str, data: bytes) -> None:
        blobs.stored[name] = (data, blobs.stored[name][1])

    return Storage(blobs, MemoryTables(), MemoryQueues(clock), overwrite)


def _azurite(connection: str) -> Storage:
    clients, container = StorageClients.from_connection_string(connection), _name()
    service = BlobServiceClient.from_connection_string(connection)

    def overwrite(name: str, data: bytes) -> None:
        blob: Any = service.get_blob_client(container, name)
        blob.upload_blob(data, overwrite=True, metadata=blob.get_blob_properties().metadata)

    return Storage(clients.blobs(container), clients.tables(), clients.queues(), overwrite)


def _name() -> str:
    return f"t{uuid.uuid4().hex}"


def test_blobs_come_back_and_are_listed_in_order(storage: Storage, tmp_path: Path) -> None:
    blobs = storage.blobs
    blobs.put("p/b", b"2")
    blobs.put("p/a", b"0")
    blobs.put("p/a", b"1")
    blobs.put("q/a", b"3")
    (tmp_path / "big").write_bytes(b"x" * 9_000_000)
    blobs.put_file("p/c", tmp_path / "big")
    blobs.get_file("p/c", tmp_path / "back")
    assert list(blobs.names("p/")) == ["p/a", "p/b", "p/c"]
    assert (blobs.get("p/a"), (tmp_path / "back").stat().st_size) == (b"1", 9_000_000)


def test_a_blob_that_is_not_there_is_a_key_error_and_its_deletion_nothing(storage: Storage, tmp_path: Path) -> None:
    storage.blobs.put("p/a", b"1")
    storage.blobs.delete("p/a")
    storage.blobs.delete("p/a")
    with pytest.raises(KeyError):
        storage.blobs.get("p/a")
    with pytest.raises(KeyError):
        storage.blobs.get_file("p/a", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_blob_is_created_once(storage: Storage) -> None:
    assert storage.blobs.create("p/once", b"first")
    assert not storage.blobs.create("p/once", b"second")
    assert storage.blobs.get("p/once") == b"first"


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "swapped"])
def test_a_damaged_blob_is_never_read_as_whole(storage: Storage, tmp_path: Path, damage: str) -> None:
    blobs, data = storage.blobs, b"the bytes that were written"
    blobs.put("p/a", data)
    blobs.put("p/b", b"other bytes")
    changed = {"flipped": b"T" + data[1:], "cut": data[:-1], "emptied": b"", "swapped": b"other bytes"}[damage]
    storage.overwrite("p/a", changed)
    with pytest.raises(DamagedBlob, match="p/a"):
        blobs.get("p/a")
    with pytest.raises(DamagedBlob, match="p/a"):
        blobs.get_file("p/a", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert blobs.get("p/b") == b"other bytes"


def test_a_seal_tells_names_and_bytes_apart() -> None:
    assert len({seal(name, [data]) for name in ("a", "ab") for data in (b"", b"b", b"bc")}) == 6
    assert seal("a", [b"b", b"c"]) == seal("a", [b"bc"])


def test_a_lease_has_one_holder(storage: Storage) -> None:
    blobs = storage.blobs
    lease = blobs.acquire_lease("leases/x", 15)
    assert lease is not None
    assert blobs.acquire_lease("leases/x", 15) is None
    blobs.renew_lease(lease)
    with pytest.raises(LeaseLost):
        blobs.renew_lease(BlobLease("leases/x", str(uuid.uuid4())))
    blobs.release_lease(BlobLease("leases/x", str(uuid.uuid4())))
    assert blobs.acquire_lease("leases/x", 15) is None
    blobs.release_lease(lease)
    assert blobs.acquire_lease("leases/x", 15) is not None


def test_rows_are_written_once_and_replaced_only_at_their_etag(storage: Storage) -> None:
    tables, table = storage.tables, _name()
    etag = tables.insert(table, "p", "k", {"n": 2**40, "t": "x", "f": 0.5, "b": True})
    with pytest.raises(StateConflict):
        tables.insert(table, "p", "k", {})
    found = tables.get(table, "p", "k")
    assert found is not None
    assert (found.row, found.etag) == ({"n": 2**40, "t": "x", "f": 0.5, "b": True}, etag)
    newer = tables.replace(table, "p", "k", {"n": 1}, etag)
    with pytest.raises(StateConflict):
        tables.replace(table, "p", "k", {"n": 3}, etag)
    with pytest.raises(StateConflict):
        tables.replace(table, "p", "nobody", {"n": 3}, newer)
    tables.upsert(table, "p", "k", {"more": 1, "nothing": None})
    after = tables.get(table, "p", "k")
    assert after is not None
    assert after.row == {"n": 1, "more": 1}
    assert after.etag != newer


def test_many_rows_come_back_in_order_filtered_and_by_column(storage: Storage) -> None:
    tables, table = storage.tables, _name()
    assert (tables.get(table, "p", "k"), list(tables.query(table, "p"))) == (None, [])
    tables.upsert_many(table, "p", {f"k{n:04}": {"n": n, "t": f"t{n % 2}"} for n in range(250)})
    tables.upsert(table, "other", "k", {"n": 1})
    assert [r.row["n"] for r in tables.query(table, "p")] == list(range(250))
    assert [r.key for r in tables.query(table, "p", "n ge 248")] == ["k0248", "k0249"]
    assert [r.key for r in tables.query(table, "p", "n lt 4 and t eq 't1'")] == ["k0001", "k0003"]
    assert [r.row for r in tables.query(table, "p", "n eq 7", columns=["t"])] == [{"t": "t1"}]
    tables.delete(table, "p", "k0000")
    tables.delete(table, "p", "k0000")
    assert tables.get(table, "p", "k0000") is None


def test_messages_are_counted(storage: Storage) -> None:
    name = _name()
    assert storage.queue.length(name) == 0
    storage.queue.send(name, "ümlaut")
    storage.queue.send(name, "later", delay_seconds=60)
    assert storage.queue.length(name) == 2
