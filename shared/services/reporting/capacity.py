"""Capacity: the repository's size once a day, its forecast, what saves space, and the archive plan."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from shared.clock import Clock
from shared.domain.archive_plan import ArchivePlan, archive_plan
from shared.domain.capacity import (
    ADVISED_BYTES,
    YEARLY_GROWTH,
    Growth,
    Outlook,
    SizePoint,
    fastest,
    growth_a_day,
    largest,
    level_of,
    measured_outlook,
    saving,
    since_cut,
    yearly_outlook,
)
from shared.errors import BackupError, DamagedBlob
from shared.protocols import BlobStore, RepositorySize, Row, SizeMeter, SizeSource, Tables
from shared.services.recovery.history import HistoryService
from shared.services.state.manifests import Checkpoint, ManifestStore

CAPACITY = "capacity"
NOTEBOOKS_BLOB = "capacity/notebooks.json"
MOST_NOTEBOOKS = 20
GROWERS_DAYS = 30
MOST_DAYS = 400
"""Of the rows, one a day, so many are read and answered."""
_PARTITION = "day"
_log = logging.getLogger("backup.capacity")
_HOW = {
    SizeSource.SERVER: "by the server's API: the compressed size of all its branches",
    SizeSource.CLONE: "the pack that the server sends for a full clone of the branch",
    SizeSource.CLONE_AND_FETCHES: "the pack of a full clone, and the packs of {fetches} days since: "
    "packed together they take less, so a clone is counted again from time to time",
}
_AT_LEAST = "; the pack is larger than what is counted of it, so the size is at least this"

type Json = dict[str, Any]


class CapacityService:
    """Measures into the table `capacity`, a row for each day, and answers from it."""

    def __init__(
        self,
        *,
        meter: SizeMeter,
        tables: Tables,
        blobs: BlobStore,
        manifests: ManifestStore,
        history: HistoryService,
        clock: Clock,
    ) -> None:
        self._meter, self._tables, self._blobs = meter, tables, blobs
        self._manifests, self._history, self._clock = manifests, history, clock

    def measure(self) -> Json | None:
        """Measure the last backup's repository into today's row; a repeat overwrites it. None before any backup.

        Returns the overview that results.

        Raises `RepositoryError`, and what `ManifestStore.load` raises.
        """
        checkpoint = self._manifests.load()
        if checkpoint is None:
            return None
        rows = self._rows()
        size = self._meter.measure(checkpoint.commit, _known(rows[-1][1]) if rows else None)
        first = rows[0][0] if rows else self._today()
        self._blobs.put(NOTEBOOKS_BLOB, json.dumps(self._notebooks(checkpoint, first)).encode())
        self._tables.upsert(CAPACITY, _PARTITION, f"{self._today():%Y%m%d}", self._row(size, checkpoint))
        return self.overview()

    def overview(self) -> Json:
        """Size, growth, forecast, saving, archive plan, and the notebooks that count; `measured` null before any."""
        rows = self._rows()
        points = [SizePoint(day, _int(row, "size"), _int(row, "full_copy")) for day, row in rows]
        today = self._today()
        answer: Json = {"advised_bytes": ADVISED_BYTES, "measured": None, **self._stored_notebooks()}
        if not points:
            return answer
        points = list(since_cut(points))
        size, a_day = points[-1].size, growth_a_day(points)
        measured = measured_outlook(size, a_day, today) if a_day is not None else None
        yearly = yearly_outlook(size, today)
        level = level_of(size, (measured or yearly).days)
        outlooks = tuple(o for o in (measured, yearly) if o)
        return answer | {
            "measured": _measured(rows[-1][1]),
            "level": level.value,
            "share": round(size / ADVISED_BYTES, 4),
            "growth": _growth(points, a_day, measured),
            "assumed": {"growth_a_year": YEARLY_GROWTH, **_outlook(yearly)},
            "full_copies": _saving(points, today),
            "archive_plan": _plan(archive_plan(level, outlooks, points[-1].full_copy, today)),
            "days": [_day(day, row) for day, row in rows],
        }

    def _row(self, size: RepositorySize, checkpoint: Checkpoint) -> Row:
        return {
            "size": size.size,
            "source": size.source.value,
            "head": size.head,
            "whole": size.whole,
            "fetches": size.fetches,
            "commit": checkpoint.commit,
            "notebooks": len(checkpoint.manifest),
            "full_copy": sum(entry.size for entry in checkpoint.manifest.values()),
            "measured_at": self._clock.now().isoformat(),
        }

    def _rows(self) -> list[tuple[date, Row]]:
        """The newest days, the oldest first; a row that is none of ours is left out."""
        found = []
        for stored in self._tables.query(CAPACITY, _PARTITION):
            try:
                day = datetime.strptime(stored.key, "%Y%m%d").date()
                if _int(stored.row, "size") > 0:
                    found.append((day, stored.row))
            except ValueError:
                _log.warning("a row of the table capacity is left out: %s", stored.key, extra={"action": "capacity"})
        return found[-MOST_DAYS:]

    def _notebooks(self, checkpoint: Checkpoint, first: date) -> Json:
        now = {path: entry.size for path, entry in checkpoint.manifest.items()}
        since = max(first, self._today() - timedelta(GROWERS_DAYS))
        growers = fastest(self._sizes_of(since, now), now, MOST_NOTEBOOKS) if since < self._today() else []
        return {
            "largest": [{"path": g.path, "size": g.size} for g in largest(now, MOST_NOTEBOOKS)],
            "growers": [_grower(g) for g in growers],
            "growers_since": since.isoformat(),
        }

    def _sizes_of(self, day: date, now: Mapping[str, int]) -> Mapping[str, int]:
        """The notebooks' sizes at a day's end; one that only Git tells of counts as unchanged."""
        try:
            moment = self._history.moment(day.isoformat())
            found = self._history.below(self._history.root, moment.sequence)
        except BackupError as error:
            _log.warning("the fastest growers are not known: %s", error, extra={"action": "capacity"})
            return now
        known = ((v.version.path, v.version.size) for v in found)
        return {path: size if size is not None else now.get(path, 0) for path, size in known}

    def _stored_notebooks(self) -> Json:
        try:
            found: Json = json.loads(self._blobs.get(NOTEBOOKS_BLOB))
        except (KeyError, DamagedBlob):
            return {"largest": [], "growers": [], "growers_since": None}
        return found

    def _today(self) -> date:
        return self._clock.now().date()


def _int(row: Row, name: str) -> int:
    return int(row.get(name) or 0)


def _known(row: Row) -> RepositorySize | None:
    """The last measurement, from which the next may go on."""
    try:
        source = SizeSource(str(row.get("source")))
    except ValueError:
        return None
    head = str(row["head"]) if row.get("head") else None
    return RepositorySize(_int(row, "size"), source, head, row.get("whole") is not False, _int(row, "fetches"))


def _measured(row: Row) -> Json:
    known = _known(row)
    how = _HOW[known.source].format(fetches=known.fetches) if known else "unknown"
    whole = known is None or known.whole
    return {
        "bytes": _int(row, "size"),
        "source": row.get("source"),
        "how": how if whole else how + _AT_LEAST,
        "at_least": not whole,
        "at": row.get("measured_at"),
        "commit": row.get("commit"),
        "notebooks": _int(row, "notebooks"),
        "full_copy_bytes": _int(row, "full_copy"),
    }


def _outlook(outlook: Outlook | None) -> Json:
    reached = outlook.reached_on if outlook else None
    return {
        "days_until_advised": outlook.days if outlook else None,
        "advised_on": reached.isoformat() if reached else None,
        "bytes_in_a_year": outlook.in_a_year if outlook else None,
    }


def _growth(points: Sequence[SizePoint], a_day: float | None, measured: Outlook | None) -> Json:
    days = (points[-1].day - points[0].day).days
    return {"days_measured": days, "bytes_a_day": round(a_day) if a_day is not None else None, **_outlook(measured)}


def _saving(points: Sequence[SizePoint], today: date) -> Json | None:
    found = saving(points, today)
    if found is None or not found.full_copies:
        return None
    return {
        "since": found.since.isoformat(),
        "days": found.days,
        "bytes": found.full_copies,
        "git_bytes": found.repository,
        "saving": round(found.share, 4),
    }


def _plan(plan: ArchivePlan) -> Json:
    return asdict(plan) | {"due": plan.due.isoformat() if plan.due else None}


def _grower(growth: Growth) -> Json:
    return {"path": growth.path, "size": growth.size, "before": growth.before, "grown": growth.grown}


def _day(day: date, row: Row) -> Json:
    return {
        "day": day.isoformat(),
        "bytes": _int(row, "size"),
        "notebooks": _int(row, "notebooks"),
        "full_copy_bytes": _int(row, "full_copy"),
    }
