"""What people committed to a Git folder's branch beside what the workspace holds: settled file by file.

Files are those below the folder, with their blob ids. Where both changed one the workspace wins: the person's
version stays in the branch's history.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.commits import ATTRIBUTES_FILE
from shared.domain.names import (
    EXTENSION,
    JUPYTER_EXTENSION,
    BadFileName,
    folder_component,
    notebook_component,
    parse_file,
)
from shared.domain.notebooks import ExportFormat
from shared.domain.siblings import parents
from shared.domain.volume import has_header

_EXTENSIONS = (*EXTENSION.values(), JUPYTER_EXTENSION)
type Files = Mapping[str, str]


class Refusal(StrEnum):
    """Why what a person did to one file is not brought to the workspace."""

    BOTH_CHANGED = "it was changed in the workspace as well, which wins"
    TOO_LARGE = "it has more bytes than a notebook can have"
    NO_FILE = "links and other repositories are not taken"
    OURS = "the backup keeps this file"
    NO_NOTEBOOK = "a notebook's file must stay one: its first line is gone"
    JUPYTER = "notebooks are kept as source files: commit it as one"
    OTHER_NAME = "a notebook of this name is kept in another file"
    IN_THE_WAY = "another file, folder or notebook has its place"


@dataclass(frozen=True, slots=True)
class FolderMerge:
    """What is brought to the workspace, by file its blob (None: removed), and what is not, with the reason.

    `notebooks` are those of the brought files that are notebooks, or were.
    """

    brought: Mapping[str, str | None]
    notebooks: frozenset[str]
    left: Mapping[str, Refusal]


def may_be_notebook(file: str) -> bool:
    """Whether a file of this name is a notebook if its first line says so."""
    return file.endswith(_EXTENSIONS)


def is_notebook(file: str, data: bytes) -> bool:
    """Whether a Git folder shows a file as a notebook; a Jupyter file always counts as one."""
    if file.endswith(JUPYTER_EXTENSION):
        return True
    return any(file.endswith(ending) and has_header(data, language) for language, ending in EXTENSION.items())


def changed_files(base: Files, theirs: Files) -> dict[str, str | None]:
    """The files that differ, with what they are in `theirs`; None where one is gone."""
    return {f: theirs.get(f) for f in base.keys() | theirs.keys() if base.get(f) != theirs.get(f)}


def merge(
    base: Files,
    theirs: Files,
    ours: Files,
    *,
    seen: Files,
    irregular: Collection[str] = (),
    too_large: Collection[str] = (),
    backed_up: Collection[str],
    shown_as_notebook: Callable[[str], bool],
    is_root: bool,
) -> FolderMerge:
    """Settle what a branch changed since `base` with what the backup holds now.

    `seen` are the files of the commit that the Git folder is at: of notebooks the workspace had these, and what it
    holds otherwise was done since. `irregular` are entries of `theirs` that are no files, `too_large` those that have
    a notebook's name and more bytes than one. `backed_up` are the files of `ours` that stand for notebooks;
    `shown_as_notebook` tells of a file of `theirs`.
    """
    left: dict[str, Refusal] = {}
    brought: dict[str, str | None] = {}
    for file, blob in sorted(changed_files(base, theirs).items()):
        was = (seen if file in backed_up or shown_as_notebook(file) else base).get(file)
        if blob in (ours.get(file), was):
            continue
        if blob is not None and file in irregular:
            left[file] = Refusal.NO_FILE
        elif blob is not None and file in too_large:
            left[file] = Refusal.TOO_LARGE
        elif is_root and file == ATTRIBUTES_FILE:
            left[file] = Refusal.OURS
        elif ours.get(file) != was:
            left[file] = Refusal.BOTH_CHANGED
        elif blob is not None and (why := _unfit(file, file in backed_up, shown_as_notebook(file))):
            left[file] = why
        else:
            brought[file] = blob
    left |= _in_the_way(brought, ours, backed_up, shown_as_notebook)
    kept = {file: blob for file, blob in brought.items() if file not in left}
    notebooks = {f for f, blob in kept.items() if (f in backed_up if blob is None else shown_as_notebook(f))}
    return FolderMerge(kept, frozenset(notebooks), left)


def _unfit(file: str, known: bool, notebook: bool) -> Refusal | None:
    if known:
        return None if notebook else Refusal.NO_NOTEBOOK
    if not notebook:
        return None
    if file.endswith(JUPYTER_EXTENSION):
        return Refusal.JUPYTER
    return None if _names_itself(file) else Refusal.OTHER_NAME


def _names_itself(file: str) -> bool:
    """Whether the notebook that a Git folder shows for a file would be kept in that very file."""
    try:
        parsed = parse_file(file)
    except BadFileName:
        return False
    shown = file.removesuffix(EXTENSION[parsed.language]).split("/")
    folders = [folder_component(part) for part in shown[:-1]]
    own = [*folders, notebook_component(shown[-1], parsed.language, ExportFormat.SOURCE)]
    return "/".join(own) == file


def _in_the_way(
    brought: Mapping[str, str | None], ours: Files, backed_up: Collection[str], shown_as_notebook: Callable[[str], bool]
) -> dict[str, Refusal]:
    """New files whose place something else has: a file for a folder, or a notebook of the same name."""
    gone = {file for file, blob in brought.items() if blob is None}
    files = (ours.keys() | brought.keys()) - gone
    folders = {parent for file in files for parent in parents(file)}
    notebooks = {f for f in files if (shown_as_notebook(f) if f in brought else f in backed_up)}
    places: dict[str, list[str]] = {}
    for file in notebooks:
        places.setdefault(_place(file), []).append(file)
    new = [file for file in brought if file in files and file not in ours]
    return {
        file: Refusal.IN_THE_WAY
        for file in new
        if file in folders
        or any(parent in files for parent in parents(file))
        or (file in notebooks and (len(places[_place(file)]) > 1 or _place(file) in folders | (files - {file})))
    }


def _place(file: str) -> str:
    return file.rpartition(".")[0]
