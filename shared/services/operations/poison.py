"""Messages that failed at every delivery: what waits in the poison queues, sent again or dropped by a person.

Each poison queue has a function of its own that settles what comes: it names a batch's notebooks as failed, or
ends a run. A message stays only where that function fails too, or is switched off. The platform leaves it there,
hidden for ten minutes after each attempt, and no more delivers it after five.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from shared.domain.audit import AuditAction, AuditEntry
from shared.errors import BackupError
from shared.protocols import MessageBox, Queue, WaitingMessage
from shared.redaction import redact
from shared.services.audit.recorder import Recorder
from shared.services.state.status import Json

SUFFIX = "-poison"
MOST_SHOWN = 32
"""Of one queue: the service shows no more at once."""
_MOST_TEXT = 500


class UnknownMessage(BackupError):
    """No poison queue shows a message {id}. `./backup poison list` shows those there are.

    One that was just delivered is hidden for ten minutes.
    """

    code = "unknown_message"


class PoisonService:
    """Works on the poison queues of `queues`."""

    def __init__(self, queues: Sequence[str], queue: Queue, box: MessageBox, recorder: Recorder) -> None:
        self._queues, self._queue, self._box, self._recorder = tuple(queues), queue, box, recorder

    def overview(self) -> Json:
        """`messages` that are seen, the oldest first in each queue, and `hidden`: how many more are counted."""
        found = [self._shown(name, m) for name in self._queues for m in self._box.peek(name + SUFFIX, MOST_SHOWN)]
        counted = sum(self._queue.length(name + SUFFIX) for name in self._queues)
        return {"messages": found, "hidden": max(0, counted - len(found))}

    def requeue(self, ids: Sequence[str], who: str, origin: str) -> Json:
        """Put messages, or all that are seen, back into the queues that they came from. Raises `UnknownMessage`.

        Recorded before: a record without an effect can be, an effect without a record cannot. A message that is
        in both queues after a death does no harm, since every step can run twice.
        """
        return self._settle(AuditAction.MESSAGE_REQUEUED, ids, who, origin)

    def drop(self, ids: Sequence[str], who: str, origin: str) -> Json:
        """Take messages, or all that are seen, off for good. Raises `UnknownMessage`.

        Nothing of the backup is lost: what the message asked for is in a row, and the watchdog sends it again.
        """
        return self._settle(AuditAction.MESSAGE_DROPPED, ids, who, origin)

    def _settle(self, action: AuditAction, ids: Sequence[str], who: str, origin: str) -> Json:
        done: list[str] = []
        for message in self._chosen(ids):
            name, identity = str(message["queue"]), str(message["id"])
            detail = {"from": origin, "queue": name + SUFFIX, "text": str(message["text"])}
            self._recorder.record_all([AuditEntry(action, who, identity, detail=detail)])
            requeue = action is AuditAction.MESSAGE_REQUEUED
            poison = name + SUFFIX
            if self._box.move(poison, identity, name) if requeue else self._box.remove(poison, identity):
                done.append(identity)
        return {"done": done}

    def _chosen(self, ids: Sequence[str]) -> list[Json]:
        seen = {str(m["id"]): m for m in self.overview()["messages"]}
        for identity in ids:
            if identity not in seen:
                raise UnknownMessage(id=identity)
        return [seen[i] for i in dict.fromkeys(ids)] if ids else list(seen.values())

    @staticmethod
    def _shown(queue: str, message: WaitingMessage) -> Json:
        inserted = message.inserted_at.isoformat() if message.inserted_at else None
        return {
            "id": message.id,
            "queue": queue,
            "about": _about(message.text),
            "inserted_at": inserted,
            "deliveries": message.dequeue_count,
            "text": redact(message.text)[:_MOST_TEXT],
        }


def _about(text: str) -> str:
    """What a message names, such as the run and batch; empty where it names nothing."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return ", ".join(f"{n} {v}" for n, v in body.items() if isinstance(v, str)) if isinstance(body, dict) else ""
