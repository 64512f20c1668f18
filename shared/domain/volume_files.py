"""File names for the notebooks of a copy: those that the backup gives them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject
from shared.domain.siblings import assign_files, parents


class Copied(Protocol):
    """A notebook as a copy has it."""

    @property
    def path(self) -> str:
        """Its workspace path."""
        ...

    @property
    def language(self) -> Language:
        """Its default language."""
        ...

    @property
    def format(self) -> ExportFormat:
        """How it was exported."""
        ...


def files_of[Found: Copied](
    root: str,
    notebooks: Iterable[Found],
    before: Collection[str],
    reserved: Mapping[str, str],
    foreign: Collection[str],
) -> dict[str, Found]:
    """The notebooks by the file of each. One that has a plain name among `before` keeps it from its siblings.

    A copy that was written over older ones may hold two languages of one path: each gets its file.
    """
    found: dict[str, Found] = {}
    taken = dict(reserved)
    waiting: dict[tuple[str, Language], list[Found]] = {}
    for notebook in sorted(notebooks, key=lambda n: (n.path, n.language, n.format)):
        waiting.setdefault((notebook.path, notebook.language), []).append(notebook)
    while waiting:
        layer = {path: (path, language) for path, language in reversed(waiting)}
        for path, names in assign_files(root, _listing(root, layer.values(), before), taken, foreign).items():
            for notebook in waiting.pop(layer[path]):
                file = names.source if notebook.format is ExportFormat.SOURCE else names.jupyter
                found[file], taken[file] = notebook, path
    return found


def _listing(
    root: str, notebooks: Iterable[tuple[str, Language]], before: Collection[str]
) -> dict[str, tuple[WorkspaceObject, ...]]:
    children: dict[str, dict[str, WorkspaceObject]] = {root: {}}
    for path, language in notebooks:
        inner = path
        # What was there first is listed first, as the workspace's older object ids are.
        rank = int(not any(f"{path.removeprefix(root)}{end}"[1:] in before for end in _ENDS[language]))
        entry = WorkspaceObject(path, ObjectType.NOTEBOOK, rank, language)
        for folder in parents(path):
            children.setdefault(folder, {})[f"{inner}\0{entry.object_type}"] = entry
            if folder == root:
                break
            inner, entry = folder, WorkspaceObject(folder, ObjectType.DIRECTORY, 0)
    return {folder: tuple(found.values()) for folder, found in children.items()}


_ENDS = {Language.PYTHON: (".py", ".ipynb"), Language.SQL: (".sql",), Language.SCALA: (".scala",), Language.R: (".r",)}
