"""Files for a whole listing: each notebook its own, whatever its siblings are called."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.domain.names import collision_suffix, folder_component, notebook_component
from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject

_MOST_NORMALISED = 1_000
"""Characters: more than any file system holds in a name, so that a longer one stands beside no other there."""


@dataclass(frozen=True, slots=True)
class FileNames:
    """The tree paths of one notebook: as source, and as Jupyter where the source is over the limit."""

    source: str
    jupyter: str


def assign_files(
    root: str,
    folders: Mapping[str, tuple[WorkspaceObject, ...]],
    reserved: Mapping[str, str],
    foreign: Collection[str] = (),
) -> dict[str, FileNames]:
    """The files of each listed notebook by workspace path.

    `folders` are the listed folders with their children, `reserved` files that stay though their notebook
    is not listed (file to path), `foreign` files that people keep in the repository. No two results, nor a
    result and a reserved file, meet on a file system that ignores case or Unicode normalisation, and none
    is a folder of another. A foreign file is never in the way of a folder, nor a folder of foreign files in
    that of a notebook; one at a notebook's very place is the notebook's.
    """
    taken = _Taken(reserved, foreign)
    found: dict[str, FileNames] = {}
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        children = sorted(folders.get(folder, ()), key=_seniority)
        used: set[str] = set()
        for child in children:
            name = child.path[len(folder) :].removeprefix("/")
            if child.object_type.holds_children:
                waiting.append((child.path, _folder_prefix(prefix, name, child, used, taken)))
            elif child.object_type is ObjectType.NOTEBOOK and child.language:
                found[child.path] = _notebook_files(prefix, name, child.path, child.language, used, taken)
    return found


class _Taken:
    def __init__(self, reserved: Mapping[str, str], foreign: Collection[str]) -> None:
        self._owner: dict[str, str | None] = {folded(file): path for file, path in reserved.items()}
        for file in (*reserved, *foreign):
            for parent in parents(folded(file)):
                self._owner.setdefault(parent, None)
        self._foreign = {folded(file) for file in foreign}

    def blocks(self, files: Iterable[str], path: str) -> bool:
        return bool(self._owner) and any(self._owner.get(folded(f), path) != path for f in files)

    def blocks_folder(self, folder: str) -> bool:
        return bool(self._foreign) and any(f in self._foreign for f in (folded(folder), *parents(folded(folder))))


def parents(file: str) -> Iterator[str]:
    """The folders above a file of the tree, the nearest first."""
    while "/" in file:
        file = file.rpartition("/")[0]
        yield file


def folded(file: str) -> str:
    """What a file system sees that ignores case and Unicode normalisation."""
    if file.isascii():
        return file.lower()
    if len(file) > _MOST_NORMALISED:
        # Git holds names of any length; what normalising costs grows with the square of the marks on one letter.
        return "/".join(folded(part) if len(part) <= _MOST_NORMALISED else part for part in file.split("/"))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", file).casefold())


def _seniority(child: WorkspaceObject) -> tuple[bool, int, str]:
    return not child.object_type.holds_children, child.object_id, child.path


def _folder_prefix(prefix: str, name: str, child: WorkspaceObject, used: set[str], taken: _Taken) -> str:
    component = folder_component(name)
    if folded(component) in used or taken.blocks_folder(prefix + component):
        component = folder_component(name, _suffix(child.path, "DIRECTORY"))
    used.add(folded(component))
    return f"{prefix}{component}/"


def _notebook_files(prefix: str, name: str, path: str, language: Language, used: set[str], taken: _Taken) -> FileNames:
    files = _components(name, language, "")
    keys = {folded(f) for f in files}
    if keys & used or taken.blocks([prefix + f for f in files], path):
        files = _components(name, language, _suffix(path, language))
        keys = {folded(f) for f in files}
    used |= keys
    return FileNames(prefix + files[0], prefix + files[1])


def _components(name: str, language: Language, suffix: str) -> tuple[str, str]:
    return (
        notebook_component(name, language, ExportFormat.SOURCE, suffix),
        notebook_component(name, language, ExportFormat.JUPYTER, suffix),
    )


def _suffix(path: str, kind: str) -> str:
    return collision_suffix(hashlib.sha256(f"{path}\0{kind}".encode("utf-8", "surrogatepass")).hexdigest())
