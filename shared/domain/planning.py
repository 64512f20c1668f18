"""Change planning: a complete listing beside the last manifest gives what to export and what to remove."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.domain.batches import ChangeKind, ExportItem, Failure
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import Language, ObjectType, WorkspaceObject
from shared.domain.siblings import FileNames, assign_files, parents

FEWEST_GUARDED_DELETIONS = 10


@dataclass(frozen=True, slots=True)
class TreeListing:
    """A walk of the tree: children by folder, and folders that could not be listed with the reason.

    `unasked` are folders that a walk for some notebooks alone left out: nothing is known of them either.
    """

    root: str
    folders: Mapping[str, tuple[WorkspaceObject, ...]]
    unknown: Mapping[str, str]
    unasked: frozenset[str] = frozenset()

    def notebooks(self) -> Iterator[WorkspaceObject]:
        """Every listed notebook."""
        for children in self.folders.values():
            yield from (c for c in children if c.object_type is ObjectType.NOTEBOOK)


@dataclass(frozen=True, slots=True)
class BranchState:
    """The branch beside the manifest: files that it no longer holds as the manifest says, and files of people."""

    drifted: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()


class Wanted:
    """Notebooks and folders that a run is for, each with everything below; None means everything there is."""

    def __init__(self, paths: Iterable[str] | None = None) -> None:
        self._paths = None if paths is None else frozenset(paths)
        self._ways = frozenset(parent for path in self._paths or () for parent in parents(path))

    def __contains__(self, path: str) -> bool:
        if self._paths is None or path in self._paths:
            return True
        return any(parent in self._paths for parent in parents(path))

    def leads_to(self, folder: str) -> bool:
        """Whether something wanted is, or may be, below the folder."""
        return folder in self._ways or folder in self


EVERYTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do. `held_deletes` are those that the deletion guard holds, and not among `deletes`."""

    items: tuple[ExportItem, ...]
    deletes: tuple[ManifestEntry, ...]
    held_deletes: tuple[ManifestEntry, ...]
    unchanged: int
    listed: int
    failures: tuple[Failure, ...] = ()


def compare(
    listing: TreeListing,
    manifest: Manifest,
    *,
    branch: BranchState,
    guard_share: float,
    wanted: Wanted = EVERYTHING,
    confirmed: Collection[str] = (),
) -> Plan:
    """Compare by object id, path, language and modified-at.

    A notebook is deleted only where its folder, or one above it, was listed without it; more deletions than
    `guard_share` of the manifest (and more than ten) are held, but for those whose paths a person `confirmed`.
    Nothing but what is `wanted` is planned.
    """
    notebooks = {n.path: n for n in listing.notebooks()}
    absent = [e for e in manifest.values() if e.path not in notebooks]
    hidden = [e for e in absent if _below_unknown(e.path, listing)]
    gone = [e for e in absent if not _below_unknown(e.path, listing)]
    # A rebuilt manifest knows no object id, 0, of what the workspace no longer has.
    by_id = {e.object_id: e for e in gone if e.object_id}
    renamed = {
        n.object_id: by_id[n.object_id] for n in notebooks.values() if n.object_id in by_id and n.path not in manifest
    }
    lost = [e for e in gone if renamed.get(e.object_id) is not e and e.path in wanted]
    doubtful = [e for e in lost if e.path not in confirmed]
    held = doubtful if len(doubtful) > max(FEWEST_GUARDED_DELETIONS, guard_share * len(manifest)) else []
    files = assign_files(listing.root, listing.folders, {e.file: e.path for e in (*hidden, *held)}, branch.foreign)
    items = tuple(
        item
        for n in sorted(notebooks.values(), key=lambda n: n.path)
        if n.path in files
        and n.path in wanted
        and (item := _item(n, files[n.path], manifest.get(n.path), renamed, branch.drifted))
    )
    return Plan(
        items=items,
        deletes=tuple(e for e in lost if not held or e.path in confirmed),
        held_deletes=tuple(held),
        unchanged=len(files) - len(items),
        listed=len(notebooks),
        failures=tuple(_no_language(n) for n in notebooks.values() if n.path not in files and n.path in wanted),
    )


def _item(
    notebook: WorkspaceObject,
    names: FileNames,
    entry: ManifestEntry | None,
    renamed: Mapping[int, ManifestEntry],
    drifted: frozenset[str],
) -> ExportItem | None:
    old = entry or renamed.get(notebook.object_id)
    if entry and _same(notebook, names, entry) and entry.file not in drifted:
        return None
    language = notebook.language or Language.PYTHON
    return ExportItem(
        path=notebook.path,
        file=names.source,
        jupyter_file=names.jupyter,
        object_id=notebook.object_id,
        language=language,
        modified_at=notebook.modified_at,
        kind=_kind(notebook, entry, old, drifted),
        size=notebook.size,
        old_path=old.path if old and old.path != notebook.path else None,
        old_file=old.file if old and old.file not in (names.source, names.jupyter) else None,
    )


def _same(notebook: WorkspaceObject, names: FileNames, entry: ManifestEntry) -> bool:
    return (
        entry.object_id == notebook.object_id
        and entry.modified_at == notebook.modified_at
        and entry.language == notebook.language
        and entry.file in (names.source, names.jupyter)
    )


def _kind(
    notebook: WorkspaceObject, entry: ManifestEntry | None, old: ManifestEntry | None, drifted: frozenset[str]
) -> ChangeKind:
    if entry is None:
        return ChangeKind.RENAMED if old else ChangeKind.CREATED
    untouched = entry.modified_at == notebook.modified_at and entry.object_id == notebook.object_id
    return ChangeKind.CONFLICT if untouched and entry.file in drifted else ChangeKind.CHANGED


def _below_unknown(path: str, listing: TreeListing) -> bool:
    """Whether a folder on the way to `path` could not be, or was not, listed."""
    if not listing.unknown and not listing.unasked:
        return False
    return any(parent in listing.unknown or parent in listing.unasked for parent in parents(path))


def _no_language(notebook: WorkspaceObject) -> Failure:
    return Failure(notebook.path, "unknown_language", "the workspace names no language that the backup knows")
