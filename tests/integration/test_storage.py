"""The storage adapters against Azurite, through the vendor's clients."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from shared.adapters.storage import StorageClients
from shared.errors import LeaseLost, StateConflict
from shared.protocols import BlobLease

pytestmark = pytest.mark.xdist_group("azurite")


@pytest.fixture
def clients(azurite: str) -> StorageClients:
    return StorageClients.from_connection_string(azurite)


def _name() -> str:
    return f"t{uuid.uuid4().hex}"


def test_blobs_come_back_and_are_listed_in_order(clients: StorageClients, tmp_path: Path) -> None:
    blobs = clients.blobs(_name())
    blobs.put("p/b", b"2")
    blobs.put("p/a", b"1")
    (tmp_path / "big").write_bytes(b"x" * 9_000_000)
    blobs.put_file("p/c", tmp_path / "big")
    blobs.get_file("p/c", tmp_path / "back")
    assert list(blobs.names("p/")) == ["p/a", "p/b", "p/c"]
    assert (blobs.get("p/a"), (tmp_path / "back").stat().st_size) == (b"1", 9_000_000)
    blobs.delete("p/a")
    blobs.delete("p/a")
    with pytest.raises(KeyError):
        blobs.get("p/a")
    with pytest.raises(KeyError):
        blobs.get_file("p/a", tmp_path / "none")


def test_a_lease_has_one_holder(clients: StorageClients) -> None:
    blobs = clients.blobs(_name())
    lease = blobs.acquire_lease("leases/x", 15)
    assert lease is not None
    assert blobs.acquire_lease("leases/x", 15) is None
    blobs.renew_lease(lease)
    with pytest.raises(LeaseLost):
        blobs.renew_lease(BlobLease("leases/x", str(uuid.uuid4())))
    blobs.release_lease(lease)
    assert blobs.acquire_lease("leases/x", 15) is not None


def test_rows_are_written_once_and_replaced_only_at_their_etag(clients: StorageClients) -> None:
    tables, table = clients.tables(), _name()
    etag = tables.insert(table, "p", "k", {"n": 2**40, "t": "x", "f": 0.5, "b": True})
    with pytest.raises(StateConflict):
        tables.insert(table, "p", "k", {})
    found = tables.get(table, "p", "k")
    assert found is not None
    assert (found.row, found.etag) == ({"n": 2**40, "t": "x", "f": 0.5, "b": True}, etag)
    newer = tables.replace(table, "p", "k", {"n": 1}, etag)
    with pytest.raises(StateConflict):
        tables.replace(table, "p", "k", {"n": 3}, etag)
    tables.upsert(table, "p", "k", {"more": 1})
    after = tables.get(table, "p", "k")
    assert after is not None
    assert after.row == {"n": 1, "more": 1}
    assert after.etag != newer


def test_many_rows_go_in_transactions_and_come_back_in_order(clients: StorageClients) -> None:
    tables, table = clients.tables(), _name()
    tables.upsert_many(table, "p", {f"k{n:04}": {"n": n} for n in range(250)})
    assert [r.row["n"] for r in tables.query(table, "p")] == list(range(250))
    assert [r.key for r in tables.query(table, "p", "n ge 248")] == ["k0248", "k0249"]
    tables.delete(table, "p", "k0000")
    tables.delete(table, "p", "k0000")
    assert tables.get(table, "p", "k0000") is None


def test_messages_are_counted(clients: StorageClients) -> None:
    queues, name = clients.queues(), _name()
    assert queues.length(name) == 0
    queues.send(name, "ümlaut")
    assert queues.length(name) == 1
