"""The outbox: a row for each event that somebody is told of by mail, written before anything is sent.

A row is `waiting` until a sender claims it by its ETag (`sending`); after the attempt it is `sent`, `waiting`
again, `failed`, or `unsure`. A claim is never taken over: a sender that died may have sent the mail. So each
event is sent at most once, and one whose sender died is reported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import Clock
from shared.domain.mail import MailKind
from shared.errors import StateConflict
from shared.protocols import BlobStore, Delivered, Delivery, DigestMail, Queue, Row, StoredRow, Tables

MAILS = "mails"
MAIL_QUEUE = "backup-mail"
_PARTITION = "event"
WAITING, SENDING, SENT, FAILED, UNSURE = "waiting", "sending", "sent", "failed", "unsure"
FIRST_BACKOFF_SECONDS = 60
LONGEST_BACKOFF_SECONDS = 3_600
MOST_ATTEMPTS = 10
STALL = timedelta(minutes=30)
"""Longer than any attempt: the host ends a function after this."""
STALE = timedelta(days=2)
"""A mail that could not be sent for so long is old news."""
KEPT = timedelta(days=90)
MOST_ERROR_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """What a mail is about: `subject` is a run's or verification's id, or a name of the event's own.

    `detail` is what cannot be read again when the mail is made.
    """

    kind: MailKind
    subject: str
    detail: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """The row's key: letters, digits and dashes."""
        return f"{self.kind.value}-{self.subject}"


class Outbox:
    """Rows of the table `mails`."""

    def __init__(self, tables: Tables, queue: Queue, clock: Clock) -> None:
        self._tables, self._queue, self._clock = tables, queue, clock

    def add(self, event: Event) -> bool:
        """Write the event's row and ask for its sending; whether it is new. Nothing happens for one that is known."""
        now = self._clock.now().isoformat()
        row: Row = {"status": WAITING, "kind": event.kind.value, "subject": event.subject, "attempts": 0}
        row |= {"detail": json.dumps(event.detail) if event.detail else None, "created_at": now, "due_at": now}
        try:
            self._tables.insert(MAILS, _PARTITION, event.key, row)
        except StateConflict:
            return False
        self._ask(event.key, 0)
        return True

    def claim(self, key: str) -> StoredRow | None:
        """The row, now `sending`; None for one that is not waiting, or that another sender claims."""
        found = self._tables.get(MAILS, _PARTITION, key)
        if found is None or found.row["status"] != WAITING:
            return None
        attempts = int(found.row.get("attempts") or 0) + 1
        row: Row = {**found.row, "status": SENDING, "attempts": attempts, "claimed_at": self._clock.now().isoformat()}
        try:
            etag = self._tables.replace(MAILS, _PARTITION, key, row, found.etag)
        except StateConflict:
            return None
        return StoredRow(found.partition, key, row, etag)

    def get(self, key: str) -> StoredRow | None:
        """The row of an event, or None."""
        return self._tables.get(MAILS, _PARTITION, key)

    def settle(self, claimed: StoredRow, delivered: Delivered) -> str:
        """Write what became of a claimed mail; one that may go another time is asked for again. Returns its status."""
        now, attempts = self._clock.now(), int(claimed.row["attempts"] or 0)
        later = delivered.outcome is Delivery.LATER and attempts < MOST_ATTEMPTS
        statuses = {Delivery.SENT: SENT, Delivery.UNSURE: UNSURE}
        status = WAITING if later else statuses.get(delivered.outcome, FAILED)
        pause = min(FIRST_BACKOFF_SECONDS * 2 ** (attempts - 1), LONGEST_BACKOFF_SECONDS)
        due = now + timedelta(seconds=pause)
        row: Row = {"status": status, "settled_at": now.isoformat(), "due_at": due.isoformat()}
        row["error"] = delivered.reason[:MOST_ERROR_CHARACTERS]
        self._tables.replace(MAILS, _PARTITION, claimed.key, {**claimed.row, **row}, claimed.etag)
        if later:
            self._ask(claimed.key, pause)
        return status

    def give_up(self, key: str, reason: str) -> None:
        """Have a waiting mail never sent, where every delivery of its message failed."""
        claimed = self.claim(key)
        if claimed:
            self.settle(claimed, Delivered(Delivery.REFUSED, reason))

    def repair(self) -> list[str]:
        """Ask again for mails whose message was lost, end claims whose sender died; returns the keys of these."""
        now, unsure = self._clock.now(), []
        for found in self._tables.query(MAILS, _PARTITION, f"status eq '{WAITING}'"):
            if now - _time(found.row["created_at"]) >= STALE:
                self.give_up(found.key, "it waited for too long: no mail server took it, or none is set")
            elif now - _time(found.row["due_at"]) >= STALL:
                self._ask(found.key, 0)
        for found in self._tables.query(MAILS, _PARTITION, f"status eq '{SENDING}'"):
            if now - _time(found.row["claimed_at"]) >= STALL:
                reason = "its sender died while it sent: it may have arrived, and is not sent again"
                self.settle(found, Delivered(Delivery.UNSURE, reason))
                unsure.append(found.key)
        return unsure

    def forget(self) -> None:
        """Remove rows of events that are long past."""
        before = (self._clock.now() - KEPT).isoformat()
        for found in self._tables.query(MAILS, _PARTITION, f"created_at lt '{before}'"):
            self._tables.delete(MAILS, _PARTITION, found.key)

    def _ask(self, key: str, delay_seconds: int) -> None:
        self._queue.send(MAIL_QUEUE, json.dumps({"mail": key}), delay_seconds=delay_seconds)


class DigestOutbox:
    """See `shared.protocols.Outbox`: a mail that is made already waits as a blob beside its event's row."""

    def __init__(self, outbox: Outbox, blobs: BlobStore) -> None:
        self._outbox, self._blobs = outbox, blobs

    def took(self, key: str) -> bool:
        """See `Outbox.took`."""
        return self._outbox.get(_event_of(key).key) is not None

    def send(self, mail: DigestMail) -> None:
        """See `Outbox.send`."""
        event = _event_of(mail.key)
        self._blobs.put(blob_of(event.key), json.dumps(asdict(mail)).encode())
        self._outbox.add(event)


def blob_of(key: str) -> str:
    """The blob of a mail that is made already, by its event's key."""
    return f"mails/{key}.json"


def _event_of(key: str) -> Event:
    return Event(MailKind.DIGEST, key.removeprefix(f"{MailKind.DIGEST.value}-"))


def _time(value: object) -> datetime:
    return datetime.fromisoformat(str(value))
