"""The parallel run of an older backup and this one: what each comparison found, and since when both agree."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from typing import Any

from shared.domain.audit import AuditAction, AuditEntry, AuditResult
from shared.domain.canonical import Scalar, canonical
from shared.domain.parity import Compared, Streak, streak
from shared.domain.volume_requests import ImportBody, ParityBody
from shared.errors import BackupError
from shared.protocols import BlobStore, Row, Tables
from shared.services.audit.recorder import Recorder
from shared.services.recovery.history import HistoryService
from shared.services.reporting.capacity import CapacityService

PARITY = "parity"
_PARTITION = "day"
MOST_DAYS = 400
COUNTS = ("notebooks", "files", "size", "equal", "explained", "missing", "extra", "different", "unread")

type Json = dict[str, Any]


class NotCompared(BackupError):
    """No copy of {day} was compared. `./backup parity DIR` compares the copies in a folder."""

    code = "not_compared"


class ParityService:
    """Keeps a row for each day, the last comparison of it, and a blob with all that it found."""

    def __init__(
        self, tables: Tables, blobs: BlobStore, recorder: Recorder, history: HistoryService, capacity: CapacityService
    ) -> None:
        self._tables, self._blobs, self._recorder = tables, blobs, recorder
        self._history, self._capacity = history, capacity

    def record(self, body: ParityBody, who: str, origin: str) -> Json:
        """Keep a comparison: findings, audit record, row. The same again changes nothing.

        Raises `UnknownMoment` for a commit that no backup made, `AuditUnavailable`.
        """
        self._history.moment(body.commit)
        day, text = body.day.isoformat(), body.model_dump_json()
        self._blobs.put(_blob(day), text.encode())
        row: Row = {name: getattr(body, name) for name in (*COUNTS, "commit", "not_compared")}
        row |= {"copy": body.copy_name, "agreed": body.agreed, "requested_by": who}
        result = AuditResult.DONE if body.agreed else AuditResult.PARTIAL
        detail: dict[str, Scalar] = {**row, "from": origin}
        key = hashlib.sha256(text.encode()).hexdigest()
        self._recorder.record_all(
            [AuditEntry(AuditAction.PARITY_COMPARED, who, body.copy_name, result, f"parity {day}", detail, key)]
        )
        self._tables.upsert(PARITY, _PARTITION, day, row)
        return _shown(day, row)

    def imported(self, body: ImportBody, who: str, origin: str) -> None:
        """Record what an import brought into Git; the same again is recorded once. Raises `AuditUnavailable`."""
        by = {status: [c.name for c in body.copies if c.status == status] for status in _STATUSES}
        detail: dict[str, Scalar] = {status: "\n".join(names) for status, names in by.items()}
        last = next((c.commit for c in reversed(body.copies) if c.commit), None)
        result = AuditResult.PARTIAL if by["refused"] else AuditResult.DONE
        key = hashlib.sha256(canonical({"branch": body.branch, **detail}).encode()).hexdigest()
        entry = AuditEntry(
            AuditAction.VOLUME_IMPORTED,
            who,
            body.branch,
            result,
            f"import {body.branch}",
            {**detail, "commit": last, "from": origin},
            key,
        )
        self._recorder.record_all([entry])

    def day(self, day: date) -> Json:
        """All that the last comparison of a day found. Raises `NotCompared`, `DamagedBlob`."""
        try:
            found: Json = json.loads(self._blobs.get(_blob(day.isoformat())))
        except KeyError:
            raise NotCompared(day=day.isoformat()) from None
        return found

    def report(self) -> Json:
        """Since when both agree, each compared day, and what each takes: sizes in bytes."""
        rows = [(r.key, r.row) for r in self._tables.query(PARITY, _PARTITION)][-MOST_DAYS:]
        found = streak(Compared(datetime.fromisoformat(key).date(), bool(row["agreed"])) for key, row in rows)
        copies = sum(int(row["size"] or 0) for _, row in rows)
        capacity = self._capacity.overview()
        git = (capacity["measured"] or {}).get("bytes")
        return {
            "agreed_since": found.since.isoformat() if found else None,
            "agreed": _streak(found),
            "compared": len(rows),
            "space": {
                "copies": len(rows),
                "copies_bytes": copies,
                "git_bytes": git,
                "saving": round(1 - git / copies, 4) if git is not None and copies else None,
                "full_copies": capacity.get("full_copies"),
            },
            "days": [_shown(key, row) for key, row in rows],
        }


_STATUSES = ("imported", "unchanged", "already", "refused")


def _blob(day: str) -> str:
    return f"parity/{day}.json"


def _streak(found: Streak | None) -> Json | None:
    return {"compared": found.compared, "days_without": found.gaps} if found else None


def _shown(day: str, row: Row) -> Json:
    names = ("copy", "commit", "agreed", *COUNTS, "not_compared", "requested_by")
    return {"day": day, **{name: row.get(name) for name in names}}
