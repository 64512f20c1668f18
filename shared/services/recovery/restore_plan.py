"""Restore plans: what would be done with each notebook, and why not."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace

from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject
from shared.domain.restores import (
    MOST_IMPORT_BYTES,
    Action,
    Live,
    RestoreItem,
    RestoreRequest,
    decide,
    same_as_backed_up,
    target_of,
)
from shared.errors import NotFound, TooLarge, WorkspaceError
from shared.protocols import IndexedVersion, Workspace
from shared.services.recovery.content import ContentService
from shared.services.recovery.history import HistoryService, NotInBackup
from shared.services.state.manifests import ManifestStore

FEW = 20
"""Up to so many notebooks are looked at one by one, with their bytes; more by their folders and the manifest."""
_NOT_IN_BACKUP = "the backup holds no such notebook as of then: look at its versions"


class RestorePlanner:
    """Makes plans; changes nothing."""

    def __init__(
        self,
        *,
        history: HistoryService,
        content: ContentService,
        manifests: ManifestStore,
        workspace: Workspace,
        pool: Executor,
    ) -> None:
        self._history, self._content, self._manifests = history, content, manifests
        self._workspace, self._pool = workspace, pool

    def plan(self, request: RestoreRequest, *, shown: bool = True) -> list[RestoreItem]:
        """The plan for what is asked for, in path order; `shown` to people, or carried out at once.

        One that is carried out compares the bytes itself. Raises what the adapters raise.
        """
        wanted = list(self._wanted(request))
        if request.folder is not None and not wanted and not request.remove_extra:
            raise NotInBackup(path=f"{request.folder}/", at=request.at)
        few = len(wanted) <= FEW and not request.remove_extra
        if few:
            return list(self._pool.map(functools.partial(self._look_closely, shown=shown), wanted))
        return self._plan_many(wanted, request)

    def _wanted(self, request: RestoreRequest) -> Iterator[RestoreItem]:
        if request.folder is not None:
            found: Iterable[IndexedVersion] = self._history.below(request.folder, request.sequence)
            yield from (self._item(f, request) for f in found)
            return
        for path in dict.fromkeys(request.paths):
            try:
                yield self._item(self._history.version(path, request.commit), request)
            except NotInBackup:
                target = target_of(path, request, self._history.root)
                yield RestoreItem(path, target, Action.REFUSE, reason="not_in_backup", detail=_NOT_IN_BACKUP)

    def _item(self, found: IndexedVersion, request: RestoreRequest) -> RestoreItem:
        version = found.version
        return RestoreItem(
            path=version.path,
            target=target_of(version.path, request, self._history.root),
            action=Action.OVERWRITE,
            language=version.language,
            format=version.format,
            source=version.blob,
            sha256=version.sha256,
            size=version.size,
            commit=found.commit.commit,
            modified_at=version.modified_at,
        )

    def _look_closely(self, item: RestoreItem, *, shown: bool) -> RestoreItem:
        if item.action is Action.REFUSE:
            return item
        if not shown:
            self._pool.submit(self._content.expect, item.source)
        try:
            live = find(self._workspace, item.target)
            # What cannot be written back is refused, unless it is there already.
            asked = shown or (item.size or 0) > MOST_IMPORT_BYTES
            same = asked and live is not None and live.object_type is ObjectType.NOTEBOOK and self._holds(item)
        except WorkspaceError as error:
            return replace(item, action=Action.REFUSE, reason=error.code, detail=str(error))
        return decide(item, live, item.source if same else None)

    def _holds(self, item: RestoreItem) -> bool:
        """Whether the workspace holds the version already."""
        try:
            data = self._workspace.export(item.target, item.format)
        except TooLarge:
            return False
        wanted = item.sha256 or hashlib.sha256(self._content.blob(item.source)).hexdigest()
        return hashlib.sha256(data).hexdigest() == wanted

    def _plan_many(self, wanted: list[RestoreItem], request: RestoreRequest) -> list[RestoreItem]:
        checkpoint = self._manifests.load()
        manifest: Manifest = checkpoint.manifest if checkpoint else {}
        folders = {item.target.rpartition("/")[0] for item in wanted}
        listed = dict(zip(sorted(folders), self._pool.map(self._list, sorted(folders)), strict=True))
        objects = {o.path: o for found in listed.values() if isinstance(found, list) for o in found}
        items = []
        for item in wanted:
            found = listed[item.target.rpartition("/")[0]]
            if isinstance(found, WorkspaceError):
                items.append(replace(item, action=Action.REFUSE, reason=found.code, detail=str(found)))
            else:
                live = objects.get(item.target)
                entry = _entry(live, manifest)
                items.append(replace(decide(item, live, entry.blob if entry else None), held=_source(entry)))
        return items + (self._extra(request, {i.target for i in wanted}, manifest) if request.remove_extra else [])

    def _list(self, folder: str) -> list[WorkspaceObject] | WorkspaceError:
        try:
            return self._workspace.list(folder)
        except NotFound:
            return []
        except WorkspaceError as error:
            return error

    def _extra(self, request: RestoreRequest, wanted: set[str], manifest: Manifest) -> list[RestoreItem]:
        """Notebooks below the folder that did not exist then. A folder that cannot be listed is refused by name."""
        items: list[RestoreItem] = []
        waiting = [request.folder or self._history.root]
        while waiting:
            level, waiting = waiting, []
            for folder, found in zip(level, self._pool.map(self._list, level), strict=True):
                if isinstance(found, WorkspaceError):
                    items.append(RestoreItem(folder, folder, Action.REFUSE, reason=found.code, detail=str(found)))
                    continue
                waiting += [o.path for o in found if o.object_type.holds_children]
                items += [_removal(o, manifest) for o in found if _is_extra(o, wanted)]
        return items


def find(workspace: Workspace, path: str) -> WorkspaceObject | None:
    """What stands at a path, None where nothing does. Raises `WorkspaceError`."""
    try:
        return workspace.status(path)
    except NotFound:
        return None


def _entry(live: WorkspaceObject | None, manifest: Manifest) -> ManifestEntry | None:
    """The last backup's entry for a notebook that is as it was at its export."""
    entry = manifest.get(live.path) if live else None
    return entry if live and entry and same_as_backed_up(live, entry) else None


def _source(entry: ManifestEntry | None) -> str | None:
    """The Git blob that keeps a notebook's source; Jupyter is kept apart, with its format."""
    return entry.blob if entry and entry.format is ExportFormat.SOURCE else None


def _is_extra(found: WorkspaceObject, wanted: set[str]) -> bool:
    return found.object_type is ObjectType.NOTEBOOK and found.path not in wanted


def _removal(found: WorkspaceObject, manifest: Manifest) -> RestoreItem:
    held, language = _source(_entry(found, manifest)), found.language or Language.PYTHON
    return RestoreItem(found.path, found.path, Action.REMOVE, language, live=Live.of(found), held=held)
