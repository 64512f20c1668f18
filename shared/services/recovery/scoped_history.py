"""The history as somebody may see it who may see some folders alone."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.access import Caller
from shared.domain.folder_scopes import Scope
from shared.protocols import IndexedCommit, IndexedVersion
from shared.services.access.decisions import AccessService, OutsideFolders
from shared.services.recovery.history import HistoryService

SETTING = "BACKUP_READ_FOLDERS"


class ScopedHistory:
    """Answers as `HistoryService` does, of what is inside the folders that a caller may see."""

    def __init__(self, history: HistoryService, access: AccessService, caller: Caller) -> None:
        self._history, self._caller = history, caller
        self._scope: Scope = access.readable(caller)

    @property
    def root(self) -> str:
        """See `HistoryService.root`."""
        return self._history.root

    def moment(self, at: str) -> IndexedCommit:
        """See `HistoryService.moment`."""
        return self._history.moment(at)

    def children(
        self, folder: str, sequence: int, limit: int | None = None, offset: int = 0
    ) -> tuple[list[str], list[IndexedVersion]]:
        """See `HistoryService.children`; of a folder on the way, only what leads on. Raises `OutsideFolders`."""
        if not self._scope.shows_folder(folder):
            raise OutsideFolders(path=folder, name=self._caller.name, act="see", setting=SETTING)
        if self._scope.holds_folder(folder):
            return self._history.children(folder, sequence, limit, offset)
        found, _ = self._history.children(folder, sequence)
        folders = [f for f in found if self._scope.shows_folder(f)]
        return folders[offset:][:limit], []

    def find(self, text: str, *, deleted: bool, limit: int) -> list[IndexedVersion]:
        """See `HistoryService.find`: as many as `limit`, whatever else is found outside."""
        return self._history.find(text, deleted=deleted, limit=limit, shows=self._scope.holds_notebook)

    def versions(self, path: str) -> list[IndexedVersion]:
        """See `HistoryService.versions`: those from a time when the notebook was elsewhere are left out."""
        return [self._hidden(found) for found in self._inside(self._history.versions(path))]

    def _inside(self, found: list[IndexedVersion]) -> list[IndexedVersion]:
        return [one for one in found if self._scope.holds_notebook(one.version.path)]

    def _hidden(self, found: IndexedVersion) -> IndexedVersion:
        """A version that does not name a place outside."""
        other = found.version.other_path
        if other is None or self._scope.holds_notebook(other):
            return found
        return replace(found, version=replace(found.version, other_path=None))
