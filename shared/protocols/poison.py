"""Messages that wait in a queue, looked at and moved by a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message as it waits: `inserted_at` is aware, `dequeue_count` how often it was delivered."""

    id: str
    text: str
    inserted_at: datetime | None
    dequeue_count: int


class MessageBox(Protocol):
    """What is in a queue. One that a host has taken is not seen until it is visible again (ten minutes)."""

    def peek(self, queue: str, most: int) -> list[WaitingMessage]:
        """The first visible messages, up to 32, untouched; none where there is no such queue."""
        ...

    def move(self, queue: str, message_id: str, target: str) -> bool:
        """Put a message into another queue, then take it off this one; False where it is not seen (any more).

        A death between the two leaves it in both: whoever handles it has to bear it twice.
        """
        ...

    def remove(self, queue: str, message_id: str) -> bool:
        """Take a message off; False where it is not seen (any more)."""
        ...
