"""What is promised of messages that are looked at and moved one by one: over Azurite and in memory."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest

from local.memory.clock import ManualClock
from local.memory.storage import MemoryQueues
from shared.adapters.storage import StorageClients
from shared.protocols import MessageBox, Queue

pytestmark = pytest.mark.xdist_group("azurite")


@dataclass
class Queues:
    """One implementation; `poison` and `work` are names of its own."""

    queue: Queue
    box: MessageBox
    work: str
    poison: str

    def texts(self, name: str) -> list[str]:
        return [m.text for m in self.box.peek(name, 32)]


@pytest.fixture(params=["memory", "azurite"])
def queues(request: pytest.FixtureRequest) -> Queues:
    work = f"t{uuid.uuid4().hex}"
    if request.param == "memory":
        both = MemoryQueues(ManualClock())
        return Queues(both, both, work, f"{work}-poison")
    clients = StorageClients.from_connection_string(request.getfixturevalue("azurite"))
    return Queues(clients.queues(), clients.message_box(), work, f"{work}-poison")


def test_what_waits_is_seen_and_stays(queues: Queues) -> None:
    assert queues.texts(queues.poison) == []
    queues.queue.send(queues.poison, "ümlaut")
    queues.queue.send(queues.poison, "second")
    queues.queue.send(queues.poison, "hidden", delay_seconds=600)
    assert queues.texts(queues.poison) == ["ümlaut", "second"]
    assert [m.dequeue_count for m in queues.box.peek(queues.poison, 1)] == [0]
    assert queues.queue.length(queues.poison) == 3


def test_a_message_is_moved_and_its_neighbours_stay_seen(queues: Queues) -> None:
    for n in range(40):
        queues.queue.send(queues.poison, f"m{n}")
    wanted = next(m for m in queues.box.peek(queues.poison, 32) if m.text == "m20")
    assert queues.box.move(queues.poison, wanted.id, queues.work)
    assert not queues.box.move(queues.poison, wanted.id, queues.work)
    assert queues.texts(queues.work) == ["m20"]
    left = set()
    while some := queues.box.peek(queues.poison, 32):
        left |= {m.text for m in some}
        assert all(queues.box.remove(queues.poison, m.id) for m in some)
    assert left == {f"m{n}" for n in range(40)} - {"m20"}


def test_a_message_is_removed_once(queues: Queues) -> None:
    queues.queue.send(queues.poison, "gone")
    (message,) = queues.box.peek(queues.poison, 32)
    assert queues.box.remove(queues.poison, message.id)
    assert not queues.box.remove(queues.poison, message.id)
    assert not queues.box.remove(f"{queues.work}-none", message.id)
    assert queues.queue.length(queues.poison) == 0
