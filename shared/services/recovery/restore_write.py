"""Writing one notebook back: keep what is there, write, export again, and compare.

Each notebook can be done again after a crash: what was kept before is not kept anew, and one that holds the
wanted bytes already is left as it is.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject
from shared.domain.restores import (
    MOST_IMPORT_BYTES,
    OCCUPIED,
    TOO_LARGE,
    Action,
    Live,
    Outcome,
    RestoreItem,
    RestoreResult,
)
from shared.errors import BackupError, NotFound, TooLarge, WorkspaceError
from shared.protocols import Workspace
from shared.services.recovery.content import export_live
from shared.services.recovery.restore_plan import find
from shared.services.state.restore_store import RestoreStore

_EDITED = "somebody edited it since the plan: look at the difference, then restore with `force`"
_UNTOUCHED = "nothing was written"
_KEPT = "what was there before is kept: undo brings it back"


type _Present = tuple[bytes, ExportFormat]


@dataclass(frozen=True, slots=True)
class _Place:
    """The notebook that is worked on: its restore and number there, and whether edits are overruled."""

    restore_id: str
    number: str
    force: bool


class RestoreWriter:
    """Does what a plan says with one notebook at a time; any number of threads may."""

    def __init__(self, workspace: Workspace, store: RestoreStore, beside: Executor) -> None:
        # `beside` is none of the pools that call `perform`: a pool that waits for itself may wait for good.
        self._workspace, self._store, self._beside = workspace, store, beside
        self._folders: set[str] = set()
        self._lock = threading.Lock()

    def perform(
        self, restore_id: str, number: str, item: RestoreItem, read: Callable[[str], bytes], *, force: bool
    ) -> RestoreResult:
        """Do it; `read` gives the bytes of a source. What goes wrong is the result, never an exception."""
        if item.action is Action.REFUSE:
            return RestoreResult(Outcome.REFUSED, item.reason, item.detail)
        if item.action is Action.UNCHANGED:
            return RestoreResult(Outcome.UNCHANGED, expected_sha256=item.sha256, found_sha256=item.sha256)
        place = _Place(restore_id, number, force)
        try:
            live, present = self._look(place, item)
            if item.action is Action.REMOVE:
                return self._remove(place, item, live)
            return self._write(place, item, live, present, read(item.source))
        except BackupError as error:
            return RestoreResult(Outcome.FAILED, error.code, f"{error} {_UNTOUCHED}.")

    def _look(self, place: _Place, item: RestoreItem) -> tuple[WorkspaceObject | None, _Present | None]:
        """What stands at the target, and its bytes where they were read at the same time.

        Not with `force`: bytes read before an edit would be kept in place of what is overwritten. Without it, an
        edit that comes between the two shows in the modification time, and nothing is overwritten.
        """
        if item.action is not Action.OVERWRITE or item.held or place.force:
            return find(self._workspace, item.target), None
        live = self._beside.submit(find, self._workspace, item.target)
        try:
            present = export_live(self._workspace, item.target)
        except WorkspaceError:
            return live.result(), None
        return live.result(), present

    def _write(
        self,
        place: _Place,
        item: RestoreItem,
        live: WorkspaceObject | None,
        seen: _Present | None,
        data: bytes,
    ) -> RestoreResult:
        expected = hashlib.sha256(data).hexdigest()
        if len(data) > MOST_IMPORT_BYTES:
            return RestoreResult(Outcome.REFUSED, "too_large", TOO_LARGE, expected)
        if live is None:
            # What the plan saw is gone meanwhile, so that nothing is overwritten.
            plain = RestoreResult(Outcome.VERIFIED, expected_sha256=expected)
            return self._import(item, data, expected, plain, is_new=True)
        if live.object_type is not ObjectType.NOTEBOOK:
            return RestoreResult(Outcome.REFUSED, "occupied", OCCUPIED, expected)
        present = seen or self._present(item, live)
        if present is not None and _same(item, live, present, expected):
            return self._already(place, item, live, expected)
        if Live.of(live) != item.live and not place.force:
            return RestoreResult(Outcome.REFUSED, "edited_since_plan", _EDITED, expected)
        kept = self._keep(place, item, live, present)
        return self._import(item, data, expected, replace(kept, expected_sha256=expected), is_new=False)

    def _present(self, item: RestoreItem, live: WorkspaceObject) -> _Present | None:
        """What is there; None where the backup holds it, and so it need not be read."""
        if item.held and Live.of(live) == item.live:
            return None
        return export_live(self._workspace, item.target)

    def _already(self, place: _Place, item: RestoreItem, live: WorkspaceObject, expected: str) -> RestoreResult:
        """It holds the wanted bytes: written by a step that died, or by somebody."""
        result = RestoreResult(Outcome.UNCHANGED, expected_sha256=expected, found_sha256=expected)
        if Live.of(live) == item.live:
            return result
        result = replace(result, outcome=Outcome.VERIFIED, written=Live.of(live))
        return self._with_kept(result, place, item)

    def _keep(self, place: _Place, item: RestoreItem, live: WorkspaceObject, present: _Present | None) -> RestoreResult:
        """Have what is there kept before anything is written over it."""
        result = RestoreResult(Outcome.VERIFIED, kept_language=live.language)
        if present is None:
            return replace(result, kept=item.held)
        data, fmt = present
        kept = self._store.keep(place.restore_id, place.number, data, fmt)
        return replace(result, kept=kept, kept_format=fmt)

    def _with_kept(self, result: RestoreResult, place: _Place, item: RestoreItem) -> RestoreResult:
        """Name what an earlier step kept of the notebook, or the backup that holds it."""
        kept = self._store.kept_before(place.restore_id, place.number)
        if kept is None and item.held is None:
            return result
        name, fmt = kept or (str(item.held), ExportFormat.SOURCE)
        return replace(result, kept=name, kept_format=fmt, kept_language=_language(item.live))

    def _import(
        self, item: RestoreItem, data: bytes, expected: str, result: RestoreResult, *, is_new: bool
    ) -> RestoreResult:
        """Write, export again, and compare. From here on, a failure says what is in place."""
        try:
            if is_new:
                self._ensure_folder(item.target)
            self._put(item, data)
        except WorkspaceError as error:
            return self._after_failure(item, expected, result, error)
        try:
            return self._prove(item, expected, result)
        except WorkspaceError as error:
            detail = f"it was written, and could not be read again to prove it: {error} {_KEPT}."
            return replace(result, outcome=Outcome.FAILED, reason=error.code, detail=detail)

    def _put(self, item: RestoreItem, data: bytes) -> None:
        try:
            self._workspace.import_notebook(item.target, data, item.language, item.format)
        except NotFound:
            # The folder was known to be there, and was removed since.
            self._ensure_folder(item.target, again=True)
            self._workspace.import_notebook(item.target, data, item.language, item.format)

    def _prove(self, item: RestoreItem, expected: str, result: RestoreResult) -> RestoreResult:
        status = self._beside.submit(self._workspace.status, item.target)
        found = hashlib.sha256(self._workspace.export(item.target, item.format)).hexdigest()
        after = status.result()
        result = replace(result, found_sha256=found, written=Live.of(after))
        if found != expected:
            detail = f"the workspace gives back other bytes (SHA-256 {found}) than were written ({expected}). {_KEPT}"
            return replace(result, outcome=Outcome.FAILED, reason="bytes_differ", detail=detail)
        if after.language is not item.language:
            detail = (
                f"it stands as {after.language}, not as {item.language}: delete or rename it, then restore. {_KEPT}"
            )
            return replace(result, outcome=Outcome.FAILED, reason="language_differs", detail=detail)
        return result

    def _after_failure(
        self, item: RestoreItem, expected: str, result: RestoreResult, error: WorkspaceError
    ) -> RestoreResult:
        """An import that failed may have had its effect: look, and say what is in place."""
        try:
            return self._prove(item, expected, result)
        except (WorkspaceError, TooLarge):
            detail = f"{error} What is in place now could not be read. {_KEPT}."
        return replace(result, outcome=Outcome.FAILED, reason=error.code, detail=detail)

    def _remove(self, place: _Place, item: RestoreItem, live: WorkspaceObject | None) -> RestoreResult:
        if live is None:
            return self._with_kept(RestoreResult(Outcome.REMOVED), place, item)
        if live.object_type is not ObjectType.NOTEBOOK:
            return RestoreResult(Outcome.REFUSED, "occupied", OCCUPIED)
        if Live.of(live) != item.live and not place.force:
            return RestoreResult(Outcome.REFUSED, "edited_since_plan", _EDITED)
        result = self._keep(place, item, live, self._present(item, live))
        self._workspace.delete_notebook(item.target)
        return replace(result, outcome=Outcome.REMOVED)

    def _ensure_folder(self, target: str, *, again: bool = False) -> None:
        folder = target.rpartition("/")[0]
        with self._lock:
            known = folder in self._folders and not again
        if folder and not known:
            self._workspace.make_folder(folder)
            with self._lock:
                self._folders.add(folder)


def _same(item: RestoreItem, live: WorkspaceObject, present: _Present, expected: str) -> bool:
    data, fmt = present
    return fmt is item.format and live.language is item.language and hashlib.sha256(data).hexdigest() == expected


def _language(live: Live | None) -> Language | None:
    return live.language if live else None
