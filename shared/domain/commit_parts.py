"""One commit for each author: a tree change cut so that the parts, one after the other, come to the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.domain.attribution import Authors, Changed, Maker, RestoreWrite
from shared.domain.batches import ChangeKind, StagedNotebook
from shared.domain.commits import TreeChange
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.siblings import parents
from shared.domain.versions import Version, VersionKind, same_content

OURS = ""
"""The author of what the backup itself put back in place."""
type Makers = Mapping[str, Maker]
"""Who made the change of each path that was written or removed."""
_NOBODY = Maker(None)


@dataclass(slots=True)
class CommitPart:
    """What one author changed. `author` is None where nobody knows; `when_ms` is their last modification.

    What they did by restores is a part of its own, with a write of each restore by its id in `restores`.

    The commits of parts that change nothing are left out; their versions go to a neighbour.
    """

    author: str | None
    when_ms: int | None = None
    deletes: list[str] = field(default_factory=list)
    writes: list[StagedNotebook] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    counts: Counter[ChangeKind] = field(default_factory=Counter)
    restores: dict[str, list[RestoreWrite]] = field(default_factory=dict)


def makers_of(change: TreeChange, before: Manifest, authors: Authors) -> dict[str, Maker]:
    """Who made each path what a change writes, or removed it."""
    found: dict[str, Maker] = {}
    for notebook in change.writes:
        item = notebook.item
        old = before.get(item.old_path) if item.old_path else None
        then = old.modified_at if old else None
        changed = Changed(item.path, item.object_id, item.modified_at, item.old_path, then, notebook.sha256)
        ours = item.kind is ChangeKind.CONFLICT or _is_renamed_by_us(before.get(item.path), change.manifest[item.path])
        found[item.path] = Maker(OURS) if ours else authors.maker(changed)
    moved = {n.item.old_path for n in change.writes}
    for path in before.keys() - change.manifest.keys() - moved:
        entry = before[path]
        found[path] = authors.remover(path, entry.object_id, entry.modified_at)
    return found


def _is_renamed_by_us(old: ManifestEntry | None, new: ManifestEntry) -> bool:
    """Whether nobody touched a notebook: its file is called otherwise since a sibling of like name came or went."""
    if old is None or old.file == new.file:
        return False
    return same_content(old, new) and (old.object_id, old.modified_at) == (new.object_id, new.modified_at)


def named(change: TreeChange, before: Manifest, makers: Makers) -> Manifest:
    """The manifest that a change leaves, with the authors of what it writes: those of before where nothing changed."""
    known = {n.item.path: author for n in change.writes if (author := makers.get(n.item.path, _NOBODY).author)}
    for path in {n.item.path for n in change.writes} - known.keys():
        old = before.get(path)
        if old and old.author and same_content(old, change.manifest[path]):
            known[path] = old.author
    return change.manifest | {path: replace(change.manifest[path], author=author) for path, author in known.items()}


def split(change: TreeChange, before: Manifest, makers: Makers, versions: tuple[Version, ...]) -> list[CommitPart]:
    """The parts in order of their last modification, the unknown author's first; at least one."""
    parts: dict[_Key, CommitPart] = {}

    def part_of(maker: Maker) -> CommitPart:
        part = parts.setdefault(_key(maker), CommitPart(maker.author))
        if maker.restore:
            part.restores.setdefault(maker.restore.restore, []).append(maker.restore)
        return part

    owners: dict[str, Maker] = {}
    for notebook in change.writes:
        item, maker = notebook.item, makers.get(notebook.item.path, _NOBODY)
        part = part_of(maker)
        part.writes.append(notebook)
        part.counts[item.kind] += 1
        part.when_ms = max(part.when_ms or 0, item.modified_at)
        owners |= {before[p].file: maker for p in (item.path, item.old_path) if p and p in before}
    for path in before.keys() - change.manifest.keys():
        if before[path].file not in owners:
            owners[before[path].file] = makers.get(path, _NOBODY)
            part_of(makers.get(path, _NOBODY)).counts[ChangeKind.DELETED] += 1
    for file in change.deletes:
        parts.setdefault(_key(owners.get(file, _NOBODY)), CommitPart(None)).deletes.append(file)
    ordered = sorted(parts.values(), key=_order) or [CommitPart(OURS)]
    _settle_deletes(ordered)
    _hand_out(versions, ordered, parts, makers)
    return ordered


type _Key = tuple[str | None, bool]


def _key(maker: Maker) -> _Key:
    return maker.author, maker.restore is not None


def _order(part: CommitPart) -> tuple[bool, int, str, bool]:
    return part.author is not None, part.when_ms or 0, part.author or "", bool(part.restores)


def _settle_deletes(parts: list[CommitPart]) -> None:
    """What stands in the way of a file, as a file above it or below it, goes with the first that needs the room."""
    written: dict[str, int] = {}
    for index, part in enumerate(parts):
        for notebook in part.writes:
            for name in (notebook.file, *parents(notebook.file)):
                written.setdefault(name, index)
    files = {n.file: index for index, part in reversed(list(enumerate(parts))) for n in part.writes}
    for index, part in enumerate(parts):
        for file in list(part.deletes):
            needed = [written[file]] if file in written else []
            needed += [files[above] for above in parents(file) if above in files]
            first = min(needed, default=index)
            if first < index:
                part.deletes.remove(file)
                parts[first].deletes.append(file)
    for part in parts:
        part.deletes.sort()


def _hand_out(
    versions: tuple[Version, ...], ordered: list[CommitPart], parts: Mapping[_Key, CommitPart], makers: Makers
) -> None:
    for version in versions:
        moved = version.kind is VersionKind.MOVED_AWAY and version.other_path
        maker = makers.get(moved or version.path, _NOBODY)
        if version.kind is VersionKind.BRANCH_EDIT:
            ordered[0].versions.append(version)
            continue
        told = replace(version, author=maker.author or None)
        if maker.restore and version.kind is not VersionKind.MOVED_AWAY:
            told = replace(told, restore=maker.restore.restore, restored_from=maker.restore.from_ms)
        parts.get(_key(maker), ordered[0]).versions.append(told)
