"""Mails about runs, verifications, and what needs somebody: made, sent at most once, and never in a backup's way."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import Clock
from shared.domain.mail import Mail, MailContent, MailKind, Recipients, subject_line
from shared.domain.mail_contents import (
    credential_content,
    heartbeat_content,
    held_content,
    run_content,
    size_content,
    verification_content,
)
from shared.domain.runs import RunStatus
from shared.protocols import BlobStore, Delivered, Delivery, Mailer, MailTemplates, Telemetry
from shared.redaction import redact
from shared.services.reporting.outbox import SENT, WAITING, DigestOutbox, Event, Outbox, blob_of
from shared.services.state.maintenance import Kind, MaintenanceStore
from shared.services.state.status import StatusService

CREDENTIAL_DAYS = (30, 14, 7, 3, 1, 0)
"""A credential is told of once at each of these: days that are left."""
_NEWEST_RUNS = 5
_WORD = re.compile(r"[a-z]{1,30}")
_log = logging.getLogger("backup.mail")


@dataclass(frozen=True, slots=True)
class MailOptions:
    """Who gets mails, where they lead, and what they call the thing that is backed up."""

    recipients: Recipients
    link: str
    place: str
    heartbeat: timedelta


class MailService:
    """Puts events into the outbox, and sends them. Without a mail server nothing is put there."""

    def __init__(
        self,
        *,
        mailer: Mailer | None,
        templates: MailTemplates,
        outbox: Outbox,
        blobs: BlobStore,
        status: StatusService,
        maintenance: MaintenanceStore,
        clock: Clock,
        telemetry: Telemetry,
        options: MailOptions,
    ) -> None:
        self._mailer, self._templates, self._outbox, self._blobs = mailer, templates, outbox, blobs
        self._status, self._maintenance, self._clock = status, maintenance, clock
        self._telemetry, self._options = telemetry, options

    def run_ended(self, run_id: str) -> None:
        """Tell of a run that is over: how it ended, and of deletions that it holds."""
        run = self._status.run(run_id)
        held, failures = int(run["counts"]["held"]), run["failures"]
        if held:
            self._tell(Event(MailKind.DELETIONS_HELD, run_id))
        # A run that is partial for its held deletions alone is told of once.
        told = held and self._options.recipients.of(MailKind.DELETIONS_HELD)
        if run["status"] != RunStatus.PARTIAL or failures or not told:
            self._tell(Event(MailKind(str(run["status"])), run_id))

    def verification_ended(self, identity: str) -> None:
        """Tell of a verification that found problems, or could not be done."""
        if self._maintenance.get(Kind.VERIFY, identity)["status"] in ("failed", "stopped"):
            self._tell(Event(MailKind.VERIFICATION, identity))

    def heartbeat(self, last: datetime | None, since: datetime) -> None:
        """Tell once a day where no run has succeeded for too long: since `last`, or since the app was first there."""
        late = self._clock.now() - (last or since) - self._options.heartbeat
        if late < timedelta(0):
            return
        runs = [{n: r[n] for n in ("run_id", "status", "error")} for r in self._status.recent(_NEWEST_RUNS)]
        detail = {"last": last.isoformat() if last else None, "runs": runs}
        self._tell(Event(MailKind.HEARTBEAT, f"{last or since:%Y%m%dT%H%M%SZ}-{late.days}", detail))

    def credential_expires(self, name: str, expires: datetime) -> None:
        """Tell of a credential that is good until `expires`, at most once for each of `CREDENTIAL_DAYS`.

        `name` says which one it is, such as `GIT_TOKEN`, and never what it is.
        """
        left = (expires - self._clock.now()).days
        reached = [days for days in CREDENTIAL_DAYS if left <= days]
        if reached:
            mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:12]
            subject = f"{mark}-{expires:%Y%m%d}-{reached[-1]}"
            self._tell(Event(MailKind.CREDENTIAL, subject, {"name": name, "expires": expires.isoformat()}))

    def size_warning(self, level: str, size: int, limit: int, days_left: float | None) -> None:
        """Tell of a repository of `size` bytes that nears `limit`: once a month for each `level`, which is one word.

        Raises `ValueError` for a level that is none.
        """
        if not _WORD.fullmatch(level):
            raise ValueError("a level is one word of letters")
        detail = {"level": level, "size": size, "limit": limit, "days_left": days_left}
        self._tell(Event(MailKind.SIZE, f"{level}-{self._clock.now():%Y%m}", detail))

    @property
    def digests(self) -> DigestOutbox | None:
        """Where digests are handed over; None without a mail server."""
        return DigestOutbox(self._outbox, self._blobs) if self._mailer is not None else None

    def send(self, key: str) -> None:
        """Send the mail of an event, unless it was sent, or somebody else sends it.

        Raises what the stores raise while nothing was sent: the message is delivered again.
        """
        found = self._outbox.get(key)
        if found is None or found.row["status"] != WAITING or self._mailer is None:
            return
        # Made before it is claimed: a mail that cannot be made leaves no claim behind.
        mail = self._make(key, found.row)
        claimed = self._outbox.claim(key)
        if claimed is None:
            return
        delivered = self._mailer.send(mail) if mail.to else Delivered(Delivery.REFUSED, "its kind has no recipients")
        status = self._outbox.settle(claimed, delivered)
        self._report(key, str(found.row["kind"]), status, delivered.reason)

    def give_up(self, key: str) -> None:
        """A mail that failed at every delivery of its message is not tried any more."""
        self._outbox.give_up(key, "it could not be made: see the function app's log")
        _log.error("mail %s is given up: see the errors before this one", key, extra={"action": "mail.give_up"})

    def repair(self) -> None:
        """Go on with mails whose message was lost, and report those of which nobody knows whether they arrived."""
        for key in self._outbox.repair():
            self._report(key, key.rpartition("-")[0], "unsure", "its sender died while it sent")
        self._outbox.forget()

    def _tell(self, event: Event) -> None:
        if self._mailer is not None and self._options.recipients.of(event.kind):
            self._outbox.add(event)

    def _report(self, key: str, kind: str, status: str, reason: str) -> None:
        self._telemetry.count("backup.mails", status=status)
        if status != SENT or reason:
            level = logging.WARNING if status in (SENT, WAITING) else logging.ERROR
            told = {"action": "mail.send", "mail": key, "kind": kind}
            _log.log(level, "mail %s is %s: %s", key, status, reason, extra=told)

    def _make(self, key: str, row: Mapping[str, Any]) -> Mail:
        kind = MailKind(str(row["kind"]))
        if kind is MailKind.DIGEST:
            made, at = json.loads(self._blobs.get(blob_of(key))), datetime.fromisoformat(str(row["created_at"]))
            return Mail(key, (made["to"],), redact(subject_line(made["subject"])), made["text"], made["html"], at)
        detail = json.loads(str(row["detail"])) if row.get("detail") else {}
        content = self._content(kind, str(row["subject"]), detail)
        text, html = self._templates.render(content)
        when = datetime.fromisoformat(str(row["created_at"]))
        to = self._options.recipients.of(kind)
        return Mail(key, to, redact(content.subject), redact(text), redact(html), when)

    def _content(self, kind: MailKind, subject: str, detail: Mapping[str, Any]) -> MailContent:
        link, place = self._options.link, self._options.place
        match kind:
            case MailKind.VERIFICATION:
                return verification_content(self._maintenance.get(Kind.VERIFY, subject), link, place)
            case MailKind.DELETIONS_HELD:
                return held_content(self._status.run(subject), link, place)
            case MailKind.HEARTBEAT:
                last = datetime.fromisoformat(detail["last"]) if detail["last"] else None
                hours = self._options.heartbeat.total_seconds() / 3600
                return heartbeat_content(last, hours, detail["runs"], link, place)
            case MailKind.CREDENTIAL:
                expires = datetime.fromisoformat(detail["expires"])
                left = (expires - self._clock.now()).days
                return credential_content(detail["name"], expires, left, link, place)
            case MailKind.SIZE:
                figures = (detail["level"], detail["size"], detail["limit"], detail["days_left"])
                return size_content(*figures, link, place)
            case _:
                return run_content(self._status.run(subject), link, place)
