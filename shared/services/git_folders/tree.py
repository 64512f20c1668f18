"""Reading, copying and removing whole folders of a workspace, each time with proof by hash."""

from __future__ import annotations

import hashlib
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from shared.domain.git_folders import Held, Seen
from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject
from shared.errors import BackupError, NotFound, TooLarge, WorkspaceError
from shared.protocols import Workspace
from shared.services.state.folder_zips import folder_notebooks

FEWEST_FOR_A_ZIP = 4
MOST_COPY_ROUNDS = 5


class CopyDiffers(BackupError):
    """The copy of {path} is not what was copied ({detail}): nothing was removed. Try again, or look at the folder."""

    code = "copy_differs"


class NotCopied(BackupError):
    """{path} is edited faster than it is copied: nothing was removed. Try again when fewer people work there."""

    code = "edited_meanwhile"


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything below a folder, by the path below it."""

    root: str
    objects: Mapping[str, WorkspaceObject]
    object_id: int = 0

    def notebooks(self) -> dict[str, WorkspaceObject]:
        """The notebooks."""
        return {rel: o for rel, o in self.objects.items() if o.object_type is ObjectType.NOTEBOOK}

    def seen(self) -> dict[str, Seen]:
        """The notebooks as a listing tells them apart from later ones."""
        return {rel: Seen(o.object_id, o.modified_at, o.language) for rel, o in self.notebooks().items()}

    def folders(self) -> list[str]:
        """The folders below it, those above others first."""
        return sorted(rel for rel, o in self.objects.items() if o.object_type.holds_children)

    def others(self) -> dict[str, ObjectType]:
        """What is neither notebook nor folder."""
        kinds = {rel: o.object_type for rel, o in self.objects.items()}
        return {r: k for r, k in kinds.items() if k is not ObjectType.NOTEBOOK and not k.holds_children}


class FolderTrees:
    """Whole folders, by parallel calls of a shared pool. All raise `WorkspaceError`."""

    def __init__(self, workspace: Workspace, pool: Executor, scratch: Path) -> None:
        self._workspace, self._pool, self._scratch = workspace, pool, scratch

    def at(self, path: str) -> WorkspaceObject | None:
        """What stands at a path; None where nothing does."""
        try:
            return self._workspace.status(path)
        except NotFound:
            return None

    def read(self, root: str) -> Tree:
        """A complete listing: one folder that cannot be listed fails all of it."""
        object_id = self._workspace.status(root).object_id
        found: dict[str, WorkspaceObject] = {}
        waiting = [root]
        while waiting:
            level = list(self._pool.map(self._workspace.list, waiting))
            waiting = []
            for child in (c for children in level for c in children):
                found[child.path[len(root) + 1 :]] = child
                waiting += [child.path] if child.object_type.holds_children else []
        return Tree(root, found, object_id)

    def digests(self, tree: Tree, wanted: Iterable[str] | None = None) -> dict[str, Held]:
        """What notebooks hold; one that vanished since the listing is left out."""
        notebooks = tree.notebooks()
        chosen = notebooks if wanted is None else {rel: notebooks[rel] for rel in wanted if rel in notebooks}
        found = self._by_zip(tree.root, chosen) if len(chosen) >= max(FEWEST_FOR_A_ZIP, len(notebooks) // 2) else {}
        singly = [rel for rel in chosen if rel not in found]
        parts = zip(singly, self._pool.map(lambda rel: self._export(chosen[rel].path), singly), strict=True)
        found |= {rel: data for rel, data in parts if data is not None}
        return {rel: Held(_sha256(data), chosen[rel].language) for rel, data in found.items()}

    def copy(self, source: Tree, target: str, wanted: Iterable[str]) -> dict[str, Held]:
        """Write notebooks of one folder into another, and prove each. Raises `CopyDiffers`.

        One that vanished meanwhile is left out.
        """
        notebooks = source.notebooks()
        chosen = [rel for rel in wanted if rel in notebooks]
        for folder in sorted({f"{target}/{rel}".rpartition("/")[0] for rel in chosen}):
            self._workspace.make_folder(folder)
        copied = zip(
            chosen, self._pool.map(lambda rel: self._copy(notebooks[rel], f"{target}/{rel}"), chosen), strict=True
        )
        return {rel: held for rel, held in copied if held is not None}

    def copy_as(self, source: Tree, rel: str, target: str) -> None:
        """Write one notebook of a folder at a path of its own."""
        self._workspace.make_folder(target.rpartition("/")[0])
        self._copy(source.notebooks()[rel], target)

    def make_folders(self, root: str, folders: Iterable[str]) -> None:
        """Make a folder and those below it."""
        self._workspace.make_folder(root)
        for rel in folders:
            self._workspace.make_folder(f"{root}/{rel}")

    def remove(self, root: str, wanted: Iterable[str]) -> None:
        """Remove notebooks; one that is gone already is fine."""
        for rel in wanted:
            try:
                self._workspace.delete_notebook(f"{root}/{rel}")
            except NotFound:
                continue

    def _copy(self, notebook: WorkspaceObject, target: str) -> Held | None:
        data = self._export(notebook.path)
        if data is None:
            return None
        language = notebook.language or Language.PYTHON
        self._workspace.import_notebook(target, data, language, ExportFormat.SOURCE)
        there = self._workspace.export(target, ExportFormat.SOURCE)
        if there != data or self._workspace.status(target).language is not language:
            raise CopyDiffers(path=notebook.path, detail=f"{target} has other bytes or another language")
        return Held(_sha256(data), language)

    def _export(self, path: str) -> bytes | None:
        try:
            return self._workspace.export(path, ExportFormat.SOURCE)
        except NotFound:
            return None

    def _by_zip(self, root: str, notebooks: Mapping[str, WorkspaceObject]) -> dict[str, bytes]:
        """What one export of the folder brings, nothing where it cannot be had or used."""
        target = self._scratch / f"folder-{uuid.uuid4().hex}.zip"
        try:
            self._workspace.export_folder(root, target)
            wanted = {o.path: o.language for o in notebooks.values() if o.language}
            return {path[len(root) + 1 :]: data for path, data in folder_notebooks(target, root, wanted)}
        except (WorkspaceError, TooLarge, zipfile.BadZipFile):
            return {}
        finally:
            target.unlink(missing_ok=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
