"""Who made a difference in a new Git folder, Git or people: told by a second checkout, in which nobody works."""

from __future__ import annotations

import logging
from collections.abc import Collection

from shared.domain.git_folders import Held
from shared.errors import WorkspaceError
from shared.protocols import GitFolders
from shared.services.git_folders.store import GitFolder
from shared.services.git_folders.tree import FolderTrees

_log = logging.getLogger("backup.gitfolders")


class SecondCheckout:
    """Makes a Git folder on a folder's branch beside what was set aside, looks, and removes it."""

    def __init__(self, host: GitFolders, trees: FolderTrees) -> None:
        self._host, self._trees = host, trees

    def held(self, folder: GitFolder, wanted: Collection[str]) -> dict[str, Held] | None:
        """What Git shows of notebooks, by path below the folder, without those that it does not show.

        None where it cannot be known: the workspace refuses another Git folder, or the branch moved meanwhile.
        Raises passing errors.
        """
        place = f"{folder.text('aside')}.proof"
        self._remove(place)
        if not wanted:
            return {}
        try:
            return self._looked(folder, place, wanted)
        except WorkspaceError as error:
            if error.retriable:
                raise
            _log.warning("%s cannot be checked out a second time: %s", folder.branch, error)
            return None
        finally:
            self._remove(place)

    def _looked(self, folder: GitFolder, place: str, wanted: Collection[str]) -> dict[str, Held] | None:
        self._trees.make_folders(place.rpartition("/")[0], ())
        self._host.check_out(self._host.create(place).id, folder.branch)
        first, second = self._host.find(folder.path), self._host.find(place)
        if first is None or second is None or first.commit != second.commit:
            return None
        tree = self._trees.read(place)
        return self._trees.digests(tree, [rel for rel in wanted if rel in tree.notebooks()])

    def _remove(self, place: str) -> None:
        """Remove it; also one that an attempt left which died."""
        found = self._host.find(place)
        if found is not None:
            self._host.delete(found.id)
