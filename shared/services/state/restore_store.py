"""What is kept of restores: a row each, and blobs `restores/{id}/...`.

The row holds the request, and of a restore of one batch its plan and results too, where they are short; what is longer
stands in a blob each. What was replaced is always a blob.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from itertools import batched
from typing import Any

from shared.clock import Clock
from shared.domain.notebooks import ExportFormat, Language, ObjectType
from shared.domain.restores import (
    Action,
    Live,
    Outcome,
    RestoreItem,
    RestoreKind,
    RestoreRequest,
    RestoreResult,
    RestoreStatus,
)
from shared.domain.runs import make_run_id, run_day
from shared.errors import BackupError
from shared.protocols import BlobStore, NoTelemetry, Row, StoredRow, Tables, Telemetry
from shared.services.audit.recorder import Recorder
from shared.services.state.restore_acts import ended

RESTORES = "restores"
BATCH_NOTEBOOKS = 200
MOST_ROW_CHARACTERS = 30_000
"""A property of a row holds 32,768 UTF-16 code units; `json.dumps` makes ASCII, of one unit each."""
MOST_REMEMBERED = 200
"""Blobs of at most about 100 KB, of the restores that were last worked on here."""
_PARTITION = "restore"
_ENDING = {ExportFormat.SOURCE: ".source", ExportFormat.JUPYTER: ".ipynb"}


class UnknownRestore(BackupError):
    """There is no restore {id}. `./backup restores` lists those there are."""

    code = "unknown_restore"


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore that is worked on: what was asked for, and its row as of the last write.

    `is_new` tells that nobody has worked on it before.
    """

    id: str
    request: RestoreRequest
    row: Row
    is_new: bool = False

    @property
    def planned(self) -> bool:
        """Whether its plan stands."""
        return self.row.get("batches") is not None

    @property
    def batches(self) -> int:
        """How many batches its plan has."""
        return int(self.row.get("batches") or 0)

    @property
    def expired(self) -> bool:
        """Whether its notebooks are no longer kept."""
        return bool(self.row.get("expired"))

    @property
    def dry_run(self) -> bool:
        """Whether it ends with its plan."""
        return bool(self.row.get("dry_run"))


class RestoreStore:
    """Rows of the table `restores`, and blobs `restores/{id}/...`."""

    def __init__(
        self,
        tables: Tables,
        blobs: BlobStore,
        clock: Clock,
        recorder: Recorder,
        entropy: Callable[[], str] = lambda: secrets.token_hex(3),
        telemetry: Telemetry | None = None,
        row_characters: int = MOST_ROW_CHARACTERS,
    ) -> None:
        self._telemetry = telemetry or NoTelemetry()
        self._tables, self._blobs, self._clock, self._entropy = tables, blobs, clock, entropy
        self._recorder, self.row_characters = recorder, row_characters
        self._written: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, request: RestoreRequest, *, dry_run: bool, items: Sequence[RestoreItem] | None = None) -> Restore:
        """Keep a request, with its plan where it is made already, by the row that makes it known."""
        restore_id = make_run_id(self._clock.now(), self._entropy())
        row: Row = {
            "kind": request.kind.value,
            "status": RestoreStatus.RUNNING.value,
            "dry_run": dry_run,
            "created_at": self._now(),
            "updated_at": self._now(),
            **self._kept_in_row("request", _request(restore_id), asdict(request)),
        }
        if items is not None:
            row |= self._keep_plan(restore_id, items)
        self._tables.insert(RESTORES, _PARTITION, restore_id, row)
        return Restore(restore_id, request, row, is_new=True)

    def load(self, restore_id: str) -> Restore:
        """A restore as it stands. Raises `UnknownRestore`."""
        row = self.row(restore_id)
        return Restore(restore_id, self.request(restore_id, row), row)

    def request(self, restore_id: str, row: Row) -> RestoreRequest:
        """What was asked for."""
        body = json.loads(str(row.get("request") or "") or self._get(_request(restore_id)))
        return RestoreRequest(**{**body, "kind": RestoreKind(body["kind"]), "paths": tuple(body["paths"])})

    def row(self, restore_id: str) -> Row:
        """A restore's row. Raises `UnknownRestore`."""
        found = self._tables.get(RESTORES, _PARTITION, restore_id)
        if found is None:
            raise UnknownRestore(id=restore_id)
        return found.row

    def recent(self, limit: int, *, plans: bool = True) -> list[StoredRow]:
        """The newest first; with `plans` False, those alone that were to write."""
        rows = (row for row in self._tables.query(RESTORES, _PARTITION) if plans or not row.row.get("dry_run"))
        return sorted(rows, key=lambda r: r.key, reverse=True)[:limit]

    def running(self) -> list[str]:
        """Restores that are under way."""
        condition = f"status eq '{RestoreStatus.RUNNING.value}'"
        return [row.key for row in self._tables.query(RESTORES, _PARTITION, condition)]

    def since(self, when: datetime) -> Iterator[Restore]:
        """Restores that may have written since then: under way, or over later than that; plans are left out."""
        for condition in (f"status eq '{RestoreStatus.RUNNING.value}'", f"finished_at ge '{when.isoformat()}'"):
            for found in self._tables.query(RESTORES, _PARTITION, condition):
                if not found.row.get("dry_run") and not found.row.get("expired"):
                    yield Restore(found.key, self.request(found.key, found.row), found.row)

    def update(self, restore: Restore, **values: str | int | float | bool | None) -> None:
        """Merge values into the row."""
        changed: Row = {**values, "updated_at": self._now()}
        self._tables.upsert(RESTORES, _PARTITION, restore.id, changed)
        restore.row.update(changed)

    def end(self, restore: Restore, status: RestoreStatus, **values: str | int | float | bool | None) -> None:
        """Record how a restore ended, then write it. Raises `AuditUnavailable`: it goes on then."""
        began = datetime.fromisoformat(str(restore.row["created_at"]))
        seconds = round((self._clock.now() - began).total_seconds(), 3)
        try:
            self._recorder.record_all([ended(restore.id, restore.request, status, {**restore.row, **values})])
        except BackupError:
            # What was done to notebooks is known, and is not found out again by whoever goes on.
            self.update(restore, results=restore.row.get("results"))
            raise
        results = restore.row.get("results")
        self.update(
            restore, status=status.value, finished_at=self._now(), seconds=seconds, **{"results": results, **values}
        )
        if not restore.dry_run:
            self._telemetry.count("backup.restores", status=status.value)
            self._telemetry.record("backup.restore.seconds", seconds, status=status.value)

    def save_plan(self, restore: Restore, items: Sequence[RestoreItem]) -> None:
        """Keep the plan, then say in the row that it stands."""
        self.update(restore, **self._keep_plan(restore.id, items))

    def plan(self, restore: Restore, batch: int) -> list[RestoreItem]:
        """One batch of the plan."""
        text = str(restore.row.get("plan") or "") or self._get(_plan(restore.id, batch))
        return [_item(row) for row in json.loads(text)]

    def whole_plan(self, restore: Restore) -> Iterator[RestoreItem]:
        """The plan, batch after batch."""
        for batch in range(restore.batches):
            yield from self.plan(restore, batch)

    def save_results(self, restore: Restore, batch: int, results: Sequence[RestoreResult]) -> None:
        """Keep what came of a batch, in the plan's order. Those of an only batch are written by `end`, if short."""
        body = [asdict(result) for result in results]
        if restore.batches == 1:
            restore.row.update(self._kept_in_row("results", _result(restore.id, batch), body))
        else:
            self._put(_result(restore.id, batch), body)

    def results(self, restore: Restore, batch: int) -> list[RestoreResult] | None:
        """What came of a batch; None while it is not over."""
        text: str | bytes = str(restore.row.get("results") or "")
        if not text:
            try:
                text = self._get(_result(restore.id, batch))
            except KeyError:
                return None
        return [_read_result(row) for row in json.loads(text)]

    def keep(self, restore_id: str, number: str, data: bytes, fmt: ExportFormat) -> str:
        """Keep what is about to be replaced, unless it is kept already; returns the blob's name."""
        name = _kept(restore_id, number) + _ENDING[fmt]
        self._blobs.create(name, data)
        return name

    def kept_before(self, restore_id: str, number: str) -> tuple[str, ExportFormat] | None:
        """What an earlier step kept of a notebook, by its place in the plan: the blob's name and its format."""
        name = next(iter(self._blobs.names(_kept(restore_id, number) + ".")), None)
        return (name, next(f for f, ending in _ENDING.items() if name.endswith(ending))) if name else None

    def kept(self, name: str) -> bytes:
        """What was kept. Raises `KeyError`, `DamagedBlob`."""
        return self._blobs.get(name)

    def forget_older(self, days: int) -> None:
        """Drop the plans, results and kept notebooks of restores older than `days`; who asked for what stays."""
        today = self._clock.now().date()
        for found in self._tables.query(RESTORES, _PARTITION):
            age = (today - date.fromisoformat(run_day(found.key))).days
            if age <= days or found.row["status"] == RestoreStatus.RUNNING or found.row.get("forgotten"):
                continue
            restore = self.load(found.key)
            # An answer names nothing that is half gone.
            self.update(restore, expired=True, plan="", results="")
            for name in list(self._blobs.names(f"restores/{found.key}/")):
                if not name.endswith("/request.json"):
                    self._blobs.delete(name)
            self.update(restore, forgotten=True)

    def _keep_plan(self, restore_id: str, items: Sequence[RestoreItem]) -> Row:
        """Keep the plan in batches; what the row is to say of it."""
        batches = [[asdict(item) for item in some] for some in batched(items, BATCH_NOTEBOOKS, strict=False)]
        row: Row = {"batches": len(batches), "notebooks": len(items)}
        row |= {f"plan_{action.value}": sum(i.action is action for i in items) for action in Action}
        if len(batches) == 1:
            return row | self._kept_in_row("plan", _plan(restore_id, 0), batches[0])
        for number, some in enumerate(batches):
            self._put(_plan(restore_id, number), some)
        return row

    def _kept_in_row(self, column: str, name: str, body: Any) -> Row:
        """The property that holds a short body; a longer one is put into the blob `name`."""
        text = json.dumps(body)
        if len(text) <= self.row_characters:
            return {column: text}
        self._put(name, body)
        return {}

    def _put(self, name: str, body: Any) -> None:
        data = json.dumps(body).encode()
        self._blobs.put(name, data)
        with self._lock:
            self._written[name] = data
            while len(self._written) > MOST_REMEMBERED:
                self._written.popitem(last=False)

    def _get(self, name: str) -> bytes:
        """A blob that is written once and never changed: what this process wrote is not read again."""
        with self._lock:
            known = self._written.get(name)
        return known if known is not None else self._blobs.get(name)

    def _now(self) -> str:
        return self._clock.now().isoformat()


def _kept(restore_id: str, number: str) -> str:
    return f"restores/{restore_id}/kept-{number}"


def _request(restore_id: str) -> str:
    return f"restores/{restore_id}/request.json"


def _plan(restore_id: str, batch: int) -> str:
    return f"restores/{restore_id}/plan-{batch:05}.json"


def _result(restore_id: str, batch: int) -> str:
    return f"restores/{restore_id}/result-{batch:05}.json"


def _live(row: dict[str, Any] | None) -> Live | None:
    if row is None:
        return None
    language = Language(row["language"]) if row["language"] else None
    return Live(row["object_id"], row["modified_at"], language, ObjectType(row["object_type"]))


def _item(row: dict[str, Any]) -> RestoreItem:
    kinds = {"action": Action(row["action"]), "language": Language(row["language"])}
    return RestoreItem(**{**row, **kinds, "format": ExportFormat(row["format"]), "live": _live(row["live"])})


def _read_result(row: dict[str, Any]) -> RestoreResult:
    language = Language(row["kept_language"]) if row["kept_language"] else None
    plain = RestoreResult(**{**row, "outcome": Outcome(row["outcome"]), "kept_language": language, "written": None})
    return replace(plain, kept_format=ExportFormat(row["kept_format"]), written=_live(row["written"]))
