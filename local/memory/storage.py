"""Blobs, tables and queues in memory. Each operation is atomic, as the service's are."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.clock import Clock
from shared.domain.seal import seal
from shared.errors import DamagedBlob, LeaseLost, StateConflict
from shared.protocols import BlobLease, Row, StoredRow, WaitingMessage

type Keys = tuple[str, str, str]


@dataclass
class MemoryBlobs:
    """See `shared.protocols.BlobStore`. `stored` holds bytes and seal by name: damage it to try a reader."""

    clock: Clock
    stored: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    leases: dict[str, tuple[str, float, int]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, name: str, data: bytes) -> None:
        """See `BlobStore.put`."""
        with self._lock:
            self.stored[name] = (data, seal(name, [data]))

    def create(self, name: str, data: bytes) -> bool:
        """See `BlobStore.create`."""
        with self._lock:
            if name in self.stored:
                return False
            self.put(name, data)
            return True

    def put_file(self, name: str, source: Path) -> None:
        """See `BlobStore.put_file`."""
        self.put(name, source.read_bytes())

    def get(self, name: str) -> bytes:
        """See `BlobStore.get`."""
        with self._lock:
            data, sealed = self.stored[name]
        if seal(name, [data]) != sealed:
            raise DamagedBlob(name=name)
        return data

    def get_file(self, name: str, target: Path) -> None:
        """See `BlobStore.get_file`."""
        target.write_bytes(self.get(name))

    def names(self, prefix: str) -> Iterator[str]:
        """See `BlobStore.names`."""
        with self._lock:
            found = sorted(name for name in self.stored if name.startswith(prefix))
        yield from found

    def delete(self, name: str) -> None:
        """See `BlobStore.delete`."""
        with self._lock:
            self.stored.pop(name, None)

    def acquire_lease(self, name: str, seconds: int) -> BlobLease | None:
        """See `BlobStore.acquire_lease`."""
        with self._lock:
            if self._holder(name) is not None:
                return None
            lease = BlobLease(name, str(uuid.uuid4()))
            self.leases[name] = (lease.lease_id, self.clock.monotonic() + seconds, seconds)
            return lease

    def renew_lease(self, lease: BlobLease) -> None:
        """See `BlobStore.renew_lease`. An expired lease that nobody took since is renewed, as the service does."""
        with self._lock:
            held = self.leases.get(lease.name)
            if held is None or held[0] != lease.lease_id:
                raise LeaseLost(name=lease.name)
            self.leases[lease.name] = (held[0], self.clock.monotonic() + held[2], held[2])

    def release_lease(self, lease: BlobLease) -> None:
        """See `BlobStore.release_lease`."""
        with self._lock:
            if self.leases.get(lease.name, ("",))[0] == lease.lease_id:
                del self.leases[lease.name]

    def _holder(self, name: str) -> str | None:
        held = self.leases.get(name)
        return held[0] if held and held[1] > self.clock.monotonic() else None


@dataclass
class MemoryTables:
    """See `shared.protocols.Tables`. Of OData filters it knows `name op 'text'|number`, joined by `and`."""

    stored: dict[Keys, tuple[Row, str]] = field(default_factory=dict)
    _writes: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def get(self, table: str, partition: str, key: str) -> StoredRow | None:
        """See `Tables.get`."""
        with self._lock:
            found = self.stored.get((table, partition, key))
            return StoredRow(partition, key, dict(found[0]), found[1]) if found else None

    def insert(self, table: str, partition: str, key: str, row: Row) -> str:
        """See `Tables.insert`."""
        with self._lock:
            if (table, partition, key) in self.stored:
                raise StateConflict(name=f"{table}/{partition}/{key}")
            return self._write((table, partition, key), row)

    def replace(self, table: str, partition: str, key: str, row: Row, etag: str) -> str:
        """See `Tables.replace`."""
        with self._lock:
            found = self.stored.get((table, partition, key))
            if found is None or found[1] != etag:
                raise StateConflict(name=f"{table}/{partition}/{key}")
            return self._write((table, partition, key), row)

    def upsert(self, table: str, partition: str, key: str, row: Row) -> None:
        """See `Tables.upsert`."""
        with self._lock:
            before = self.stored.get((table, partition, key), ({}, ""))[0]
            self._write((table, partition, key), {**before, **{k: v for k, v in row.items() if v is not None}})

    def upsert_many(self, table: str, partition: str, rows: Mapping[str, Row]) -> None:
        """See `Tables.upsert_many`."""
        for key, row in rows.items():
            self.upsert(table, partition, key, row)

    def query(self, table: str, partition: str, where: str = "", columns: Iterable[str] = ()) -> Iterator[StoredRow]:
        """See `Tables.query`."""
        with self._lock:
            keys = sorted(k for k in self.stored if k[:2] == (table, partition))
            found = [StoredRow(k[1], k[2], dict(self.stored[k][0]), self.stored[k][1]) for k in keys]
        wanted = set(columns)
        for stored in found:
            if _matches({**stored.row, "RowKey": stored.key}, where):
                row = {k: v for k, v in stored.row.items() if k in wanted} if wanted else stored.row
                yield StoredRow(stored.partition, stored.key, row, stored.etag)

    def delete(self, table: str, partition: str, key: str) -> None:
        """See `Tables.delete`."""
        with self._lock:
            self.stored.pop((table, partition, key), None)

    def _write(self, keys: Keys, row: Row) -> str:
        self._writes += 1
        etag = f'W/"{self._writes}"'
        self.stored[keys] = ({k: v for k, v in row.items() if v is not None}, etag)
        return etag


def _matches(row: Row, where: str) -> bool:
    for clause in filter(None, where.split(" and ")):
        name, operator, text = clause.split(" ", 2)
        value = row.get(name)
        wanted: str | float = text[1:-1] if text.startswith("'") else float(text)
        if value is None or not _holds(value, operator, wanted):
            return False
    return True


def _holds(value: str | float, operator: str, wanted: str | float) -> bool:
    if isinstance(value, str) != isinstance(wanted, str):
        return False
    order = (value > wanted) - (value < wanted)  # type: ignore[operator]
    return {"eq": order == 0, "ne": order != 0, "lt": order < 0, "le": order <= 0, "gt": order > 0, "ge": order >= 0}[
        operator
    ]


@dataclass
class MemoryMessage:
    """A message with its delivery state; times are the clock's `monotonic` seconds."""

    text: str
    visible_at: float
    dequeue_count: int = 0
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class MemoryQueues:
    """See `shared.protocols.Queue`, with what a host does: `receive`, and `delete` when it is done."""

    clock: Clock
    stored: dict[str, list[MemoryMessage]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def send(self, queue: str, text: str, *, delay_seconds: int = 0) -> None:
        """See `Queue.send`."""
        with self._lock:
            message = MemoryMessage(text, self.clock.monotonic() + delay_seconds)
            self.stored.setdefault(queue, []).append(message)

    def length(self, queue: str) -> int:
        """See `Queue.length`."""
        with self._lock:
            return len(self.stored.get(queue, ()))

    def peek(self, queue: str, most: int) -> list[WaitingMessage]:
        """See `MessageBox.peek`."""
        with self._lock:
            seen = [m for m in self.stored.get(queue, ()) if m.visible_at <= self.clock.monotonic()]
            return [WaitingMessage(m.id, m.text, self.clock.now(), m.dequeue_count) for m in seen[:most]]

    def move(self, queue: str, message_id: str, target: str) -> bool:
        """See `MessageBox.move`."""
        with self._lock:
            for message in self._seen(queue, message_id):
                self.send(target, message.text)
                self.delete(queue, message)
                return True
            return False

    def remove(self, queue: str, message_id: str) -> bool:
        """See `MessageBox.remove`."""
        with self._lock:
            for message in self._seen(queue, message_id):
                self.delete(queue, message)
                return True
            return False

    def _seen(self, queue: str, message_id: str) -> list[MemoryMessage]:
        now = self.clock.monotonic()
        return [m for m in self.stored.get(queue, ()) if m.id == message_id and m.visible_at <= now]

    def receive(self, queue: str, invisible_seconds: float) -> MemoryMessage | None:
        """The first visible message, hidden for a while and counted."""
        with self._lock:
            for message in self.stored.get(queue, ()):
                if message.visible_at <= self.clock.monotonic():
                    message.visible_at = self.clock.monotonic() + invisible_seconds
                    message.dequeue_count += 1
                    return message
            return None

    def delete(self, queue: str, message: MemoryMessage) -> None:
        """Take a message off the queue; nothing happens where it is gone."""
        with self._lock:
            if message in self.stored.get(queue, ()):
                self.stored[queue].remove(message)
