"""Recording acts in the audit trail: the one way for services and entry points, and what a process says of itself."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterable, Mapping
from itertools import batched

from shared.domain.audit import AuditAction, AuditEntry, AuditHead, AuditRecord, AuditResult, Detail
from shared.domain.canonical import canonical
from shared.protocols import BlobStore, Row, Tables
from shared.services.audit.export import SYSTEM
from shared.services.audit.trail import AuditTrail

_SEEN = ("checkpoints", "settings", "seen")
"""The row with the settings that were recorded last."""
AT_ONCE = 100
"""Entries in one append: between two, others in the process have their turn."""
_log = logging.getLogger("backup.audit")


class AnchorStore:
    """Heads of the chain as blobs of a container that nobody can change: `{number}-{hash}`, written once."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def keep(self, head: AuditHead) -> None:
        """Write a head, unless it is there."""
        if head.sequence:
            self._blobs.create(f"{head.sequence:012}-{head.hash}", canonical({"hash": head.hash}).encode())

    def heads(self) -> list[AuditHead]:
        """Every head that was kept, the oldest first."""
        parts = (name.partition("-") for name in self._blobs.names(""))
        return [AuditHead(int(number), digest) for number, _, digest in parts if number.isdecimal()]


class Recorder:
    """Appends entries. Before the first of a process it records the settings that the process runs with.

    An act whose record fails is not over: a step raises and is delivered again, a read is refused.
    """

    def __init__(
        self, trail: AuditTrail, tables: Tables, settings: Mapping[str, str], anchors: AnchorStore | None = None
    ) -> None:
        self._trail, self._tables, self._settings, self._anchors = trail, tables, settings, anchors
        self._lock, self._has_started = threading.Lock(), False

    def record(
        self,
        action: AuditAction,
        actor: str = SYSTEM,
        object: str = "",
        result: AuditResult = AuditResult.DONE,
        correlation: str = "",
        detail: Detail | None = None,
        key: str = "",
    ) -> AuditRecord:
        """Append one entry: see `record_all`."""
        return self.record_all([AuditEntry(action, actor, object, result, correlation, detail or {}, key)])[0]

    def record_all(self, entries: Iterable[AuditEntry]) -> list[AuditRecord]:
        """Append entries in order; one whose correlation and key are known gives its first record.

        Raises `AuditUnavailable` where it is not known that all are stored, `AuditDamaged`.
        """
        self._start()
        return [r for some in batched(entries, AT_ONCE, strict=False) for r in self._trail.append_many(some)]

    def anchor(self) -> None:
        """Keep the chain's head in the container of anchors, if there is one.

        One that cannot be written stops nothing, since the next covers it: it is logged as an error.
        """
        if self._anchors is None:
            return
        try:
            self._anchors.keep(self._trail.head())
        except Exception as error:  # noqa: BLE001 - whatever it is, the act itself is recorded
            _log.exception("the audit trail's head was not anchored: %s", error, extra={"action": "audit.anchor"})

    def _start(self) -> None:
        with self._lock:
            if not self._has_started:
                self._record_settings()
                self._has_started = True

    def _record_settings(self) -> None:
        values = canonical(dict(self._settings))
        digest = hashlib.sha256(values.encode()).hexdigest()
        stored = self._tables.get(*_SEEN)
        before: dict[str, str] = json.loads(str(stored.row["values"])) if stored else {}
        changed = sorted(n for n in before.keys() | self._settings.keys() if before.get(n) != self._settings.get(n))
        detail: dict[str, str] = {"sha256": digest, "changed": ", ".join(changed) if stored else ""}
        detail |= {f"before {name}": before.get(name, "") for name in changed if stored}
        self._trail.append(AuditEntry(AuditAction.SETTINGS_SEEN, SYSTEM, detail={**self._settings, **detail}))
        if changed:
            row: Row = {"values": values}
            self._tables.upsert(*_SEEN, row)
