"""Restores: planned, carried out in time slices that resume after a crash, proved, and undone."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, zip_longest
from typing import Any

from shared.clock import Clock
from shared.domain.notebooks import WorkspaceObject
from shared.domain.restore_request import RestoreBody
from shared.domain.restores import (
    Action,
    Live,
    Outcome,
    RestoreItem,
    RestoreKind,
    RestoreRequest,
    RestoreResult,
    RestoreStatus,
    decide,
)
from shared.domain.times import iso
from shared.errors import BackupError, WorkspaceError
from shared.protocols import BlobStore, Row, Workspace
from shared.redaction import redact
from shared.services.recovery.content import ContentMissing, ContentService
from shared.services.recovery.history import HistoryService
from shared.services.recovery.restore_plan import RestorePlanner, find
from shared.services.recovery.restore_write import RestoreWriter
from shared.services.state.lease import held
from shared.services.state.restore_store import Restore, RestoreStore

AT_ONCE = 1
"""Restores of so many notebooks are done while the caller waits."""
MOST_PLANNED_AT_ONCE = 200
"""Folders that a plan may have to list while the caller waits."""
MOST_NOTEBOOKS_AT_ONCE = 2_000
"""Notebooks that such a plan may have; one of more is made by a step, as the restore itself is."""
SHOWN_AT_ONCE = 200
MOST_ERROR_CHARACTERS = 1_000
_CHANGED = "somebody edited it after the restore: undo with `force` to overwrite that"
_log = logging.getLogger("backup.restores")

type Json = dict[str, Any]


class UnusablePlan(BackupError):
    """The plan {id} is of another request, or is none that was finished. Make a dry run again, and pass its id."""

    code = "unusable_plan"


class NothingToUndo(BackupError):
    """The restore {id} is a dry run, or is still under way: there is nothing to undo."""

    code = "nothing_to_undo"


class RestoreExpired(BackupError):
    """The restore {id} is too old to undo: what it replaced is no longer kept. Restore the version from before it."""

    code = "restore_expired"


class RestoreService:
    """Starts restores and carries them out. All state is in the store, so that any process can go on."""

    def __init__(
        self,
        *,
        history: HistoryService,
        content: ContentService,
        planner: RestorePlanner,
        writer: RestoreWriter,
        store: RestoreStore,
        workspace: Workspace,
        blobs: BlobStore,
        clock: Clock,
        pool: Executor,
        budget_seconds: float,
        stall: timedelta,
    ) -> None:
        self._history, self._content, self._planner, self._writer = history, content, planner, writer
        self._store, self._workspace, self._blobs, self._clock = store, workspace, blobs, clock
        self._pool, self._budget, self._stall = pool, budget_seconds, stall

    def start(self, body: RestoreBody, who: str, origin: str) -> Json:
        """Plan, and restore one notebook at once; what is more goes on by `step`, and its status is `running`.

        Raises `UnknownMoment`, `NotInBackup`, `UnusablePlan`, and what the adapters raise.
        """
        moment = self._history.moment(body.at)
        request = RestoreRequest(
            kind=RestoreKind.RESTORE,
            at=body.at,
            commit=moment.commit,
            sequence=moment.sequence,
            paths=tuple(body.paths),
            folder=body.folder,
            target=body.target,
            suffix=body.suffix,
            remove_extra=body.remove_extra,
            force=body.force,
            requested_by=who,
            requested_from=origin,
        )
        planned = self._planned_before(body.plan, request) if body.plan else None
        return self._begin(request, planned, dry_run=body.dry_run)

    def undo(self, restore_id: str, *, dry_run: bool, force: bool, who: str, origin: str) -> Json:
        """Put back what a restore replaced. Raises `UnknownRestore`, `NothingToUndo`, `RestoreExpired`."""
        of = self._store.load(restore_id)
        if of.dry_run or of.row["status"] == RestoreStatus.RUNNING:
            raise NothingToUndo(id=restore_id)
        if of.expired:
            raise RestoreExpired(id=restore_id)
        request = replace(
            of.request,
            kind=RestoreKind.UNDO,
            at=f"before {restore_id}",
            undo_of=restore_id,
            force=force,
            requested_by=who,
            requested_from=origin,
        )
        return self._begin(request, None, dry_run=dry_run)

    def get(self, restore_id: str, *, limit: int = SHOWN_AT_ONCE, offset: int = 0, outcome: str | None = None) -> Json:
        """A restore with its notebooks, those of one outcome alone where asked for. Raises `UnknownRestore`."""
        return self._answer(self._store.load(restore_id), limit, offset, outcome)

    def recent(self, limit: int, *, plans: bool = True) -> list[Json]:
        """The newest first, without their notebooks; with `plans` False, those alone that were to write."""
        rows = self._store.recent(limit, plans=plans)
        return [{**summary(row.key, row.row), **_asked(self._store.request(row.key, row.row))} for row in rows]

    def abandoned(self) -> list[str]:
        """Restores whose steps stopped: each is to be gone on with."""
        now = self._clock.now()
        rows = ((restore_id, self._store.row(restore_id)) for restore_id in self._store.running())
        return [restore_id for restore_id, row in rows if now - _time(row["updated_at"]) >= self._stall]

    def step(self, restore_id: str) -> bool:
        """Work on a restore until it is over or the time slice ends; whether it is over.

        Raises `LeaseLost` where another works on it, and what the adapters raise: the step is run again.
        """
        if self._store.row(restore_id)["status"] != RestoreStatus.RUNNING:
            return True
        with held(self._blobs, f"leases/restore-{restore_id}") as still_held:
            return self._step(self._store.load(restore_id), still_held)

    def _begin(self, request: RestoreRequest, planned: list[RestoreItem] | None, *, dry_run: bool) -> Json:
        if planned is None and not self._needs_long(request):
            planned = self._planned_at_once(request, dry_run=dry_run)
        restore = self._store.open(request, dry_run=dry_run, items=planned)
        if planned is not None and (dry_run or len(planned) <= AT_ONCE):
            # Nobody else knows of it yet, and the watchdog leaves it alone until long after the caller has gone.
            self._step(restore, lambda: None)
        return self._answer(restore, SHOWN_AT_ONCE, 0, None)

    def _planned_at_once(self, request: RestoreRequest, *, dry_run: bool) -> list[RestoreItem]:
        """The plan, before anything is kept of the restore: where it fails for a time, there is none to go on with."""
        try:
            return self._items(request, dry_run=dry_run)
        except BackupError as error:
            if not error.retriable:
                self._fail(self._store.open(request, dry_run=dry_run), error)
            raise

    def _answer(self, restore: Restore, limit: int, offset: int, outcome: str | None) -> Json:
        found = ((item, result) for item, result in self._pairs(restore) if _is(result, outcome))
        items = [_shown(item, result) for item, result in islice(found, offset, offset + limit)]
        return {**summary(restore.id, restore.row), **_asked(restore.request), "items": items}

    def _needs_long(self, request: RestoreRequest) -> bool:
        """Whether planning may take longer than a caller waits."""
        if request.undo_of:
            return int(self._store.row(request.undo_of).get("notebooks") or 0) > MOST_PLANNED_AT_ONCE
        if request.folder is None:
            return len(request.paths) > MOST_PLANNED_AT_ONCE
        if request.remove_extra:
            return True
        found = self._history.below(request.folder, request.sequence, MOST_NOTEBOOKS_AT_ONCE + 1)
        folders = {v.version.path.rpartition("/")[0] for v in found}
        return len(found) > MOST_NOTEBOOKS_AT_ONCE or len(folders) > MOST_PLANNED_AT_ONCE

    def _plan(self, restore: Restore) -> None:
        """Make the plan, unless it stands."""
        if not restore.planned:
            self._store.save_plan(restore, self._items(restore.request, dry_run=restore.dry_run))

    def _items(self, request: RestoreRequest, *, dry_run: bool) -> list[RestoreItem]:
        return self._undo_plan(request) if request.undo_of else self._planner.plan(request, shown=dry_run)

    def _fail(self, restore: Restore, error: BackupError) -> None:
        reason = redact(str(error))[:MOST_ERROR_CHARACTERS]
        self._store.end(restore, RestoreStatus.FAILED, error=reason)
        _log.error("restore %s failed: %s", restore.id, reason, extra={"action": "restore.fail"})

    def _planned_before(self, plan: str, request: RestoreRequest) -> list[RestoreItem]:
        before = self._store.load(plan)
        if before.expired:
            raise UnusablePlan(id=plan)
        same = ("kind", "commit", "paths", "folder", "target", "suffix", "remove_extra")
        unlike = any(getattr(before.request, n) != getattr(request, n) for n in same)
        if before.row["status"] != RestoreStatus.PLANNED or unlike:
            raise UnusablePlan(id=plan)
        return list(self._store.whole_plan(before))

    def _step(self, restore: Restore, still_held: Callable[[], None]) -> bool:
        deadline = self._clock.monotonic() + self._budget
        try:
            self._plan(restore)
            if restore.dry_run:
                self._store.end(restore, RestoreStatus.PLANNED)
                return True
            return self._carry_out(restore, deadline, still_held)
        except BackupError as error:
            if error.retriable:
                raise
            self._fail(restore, error)
            return True

    def _carry_out(self, restore: Restore, deadline: float, still_held: Callable[[], None]) -> bool:
        done: Counter[Outcome] = Counter()
        for batch in range(restore.batches):
            results = None if restore.is_new else self._store.results(restore, batch)
            if results is None:
                if self._clock.monotonic() > deadline:
                    return False
                still_held()
                results = self._perform(restore, batch)
                self._store.save_results(restore, batch, results)
            done.update(result.outcome for result in results)
            if batch + 1 < restore.batches:
                self._store.update(restore, done=done.total())
        self._finish(restore, done)
        return True

    def _finish(self, restore: Restore, done: Counter[Outcome]) -> None:
        good = sum(count for outcome, count in done.items() if outcome.good)
        status = RestoreStatus.SUCCEEDED if good == done.total() else RestoreStatus.PARTIAL
        if done and not good:
            status = RestoreStatus.FAILED
        counts = {outcome.value: done[outcome] for outcome in Outcome}
        self._store.end(restore, status, done=done.total(), **counts)
        if status is not RestoreStatus.SUCCEEDED:
            _log.error("restore %s is %s", restore.id, status.value, extra={"action": "restore.end"})

    def _perform(self, restore: Restore, batch: int) -> list[RestoreResult]:
        items = self._store.plan(restore, batch)
        active = (Action.CREATE, Action.OVERWRITE)
        wanted = [i.source for i in items if i.action in active and not i.source.startswith("restores/")]
        found = {wanted[0]: self._content.blob(wanted[0])} if len(wanted) == 1 else dict(self._content.blobs(wanted))

        def read(source: str) -> bytes:
            if source.startswith("restores/"):
                return self._store.kept(source)
            if source not in found:
                raise ContentMissing(blob=source)
            return found[source]

        def perform(numbered: tuple[int, RestoreItem]) -> RestoreResult:
            number, item = numbered
            return self._writer.perform(restore.id, f"{batch:05}-{number:03}", item, read, force=restore.request.force)

        return list(self._pool.map(perform, enumerate(items)))

    def _undo_plan(self, request: RestoreRequest) -> list[RestoreItem]:
        done = [
            (item, result)
            for item, result in self._pairs(self._store.load(str(request.undo_of)))
            if result and (result.written or result.kept or result.outcome is Outcome.REMOVED)
        ]
        return list(self._pool.map(lambda pair: self._undo_one(*pair, force=request.force), done))

    def _undo_one(self, item: RestoreItem, result: RestoreResult, *, force: bool) -> RestoreItem:
        """What puts back what was there before: the notebook that was kept, or nothing."""
        kept = _kept_item(item, result)
        base = kept or replace(item, action=Action.REMOVE, held=None, live=None)
        try:
            live = find(self._workspace, item.target)
        except WorkspaceError as error:
            return replace(base, action=Action.REFUSE, reason=error.code, detail=str(error))
        if live and not force and _edited(live, result):
            return replace(base, action=Action.REFUSE, reason="changed_since_restore", detail=_CHANGED)
        if kept:
            return decide(kept, live)
        action = Action.REMOVE if live else Action.UNCHANGED
        return replace(base, action=action, live=Live.of(live) if live else None)

    def _pairs(self, restore: Restore) -> Iterator[tuple[RestoreItem, RestoreResult | None]]:
        for batch in range(0 if restore.expired else restore.batches):
            planned, done = self._store.plan(restore, batch), self._store.results(restore, batch)
            yield from zip_longest(planned, done or ())


def _kept_item(item: RestoreItem, result: RestoreResult) -> RestoreItem | None:
    if result.kept is None or result.kept_language is None:
        return None
    return RestoreItem(
        path=item.target,
        target=item.target,
        action=Action.OVERWRITE,
        language=result.kept_language,
        format=result.kept_format,
        source=result.kept,
        modified_at=item.live.modified_at if item.live else None,
    )


def _edited(live: WorkspaceObject, result: RestoreResult) -> bool:
    return result.written is not None and Live.of(live) != result.written


def _is(result: RestoreResult | None, outcome: str | None) -> bool:
    return outcome is None or (result is not None and result.outcome == outcome)


def _asked(request: RestoreRequest) -> Json:
    names = ("at", "commit", "folder", "target", "suffix", "remove_extra", "undo_of", "requested_by", "requested_from")
    return {**{name: getattr(request, name) for name in names}, "paths": list(request.paths)}


def summary(restore_id: str, row: Row) -> Json:
    """A restore's row as an answer."""
    notebooks, done = int(row.get("notebooks") or 0), int(row.get("done") or 0)
    over = row["status"] != RestoreStatus.RUNNING
    return {
        "id": restore_id,
        "kind": row["kind"],
        "status": row["status"],
        "dry_run": bool(row.get("dry_run")),
        "expired": bool(row.get("expired")),
        "created_at": row["created_at"],
        "finished_at": row.get("finished_at"),
        "seconds": row.get("seconds"),
        "percent": 100.0 if over else round(100 * done / notebooks, 1) if notebooks else 0.0,
        "error": row.get("error"),
        "notebooks": notebooks,
        "counts": {
            **{action.value: int(row.get(f"plan_{action.value}") or 0) for action in Action},
            **{outcome.value: int(row.get(outcome.value) or 0) for outcome in Outcome if outcome != "unchanged"},
        },
    }


def _shown(item: RestoreItem, result: RestoreResult | None) -> Json:
    return {
        "path": item.path,
        "target": item.target,
        "action": item.action,
        "commit": item.commit,
        "modified_at": iso(item.modified_at),
        "language": item.language,
        "size": item.size,
        "outcome": result.outcome if result else None,
        "reason": result.reason if result else item.reason,
        "detail": result.detail if result else item.detail,
        "expected_sha256": result.expected_sha256 if result else item.sha256,
        "found_sha256": result.found_sha256 if result else None,
    }


def _time(value: object) -> datetime:
    return datetime.fromisoformat(str(value))
