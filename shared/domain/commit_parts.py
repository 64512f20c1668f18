"""One commit for each author: a tree change cut so that the parts, one after the other, come to the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.domain.attribution import Authors, Changed
from shared.domain.batches import ChangeKind, StagedNotebook
from shared.domain.commits import TreeChange
from shared.domain.manifest import Manifest
from shared.domain.siblings import parents
from shared.domain.versions import Version, VersionKind

OURS = ""
"""The author of what the backup itself put back in place."""


@dataclass(slots=True)
class CommitPart:
    """What one author changed. `author` is None where nobody knows; `when_ms` is their last modification.

    The commits of parts that change nothing are left out; their versions go to a neighbour.
    """

    author: str | None
    when_ms: int | None = None
    deletes: list[str] = field(default_factory=list)
    writes: list[StagedNotebook] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    counts: Counter[ChangeKind] = field(default_factory=Counter)


def authors_of(change: TreeChange, before: Manifest, authors: Authors) -> dict[str, str | None]:
    """The author of each path that a change writes or removes."""
    found: dict[str, str | None] = {}
    for item in (notebook.item for notebook in change.writes):
        old = before.get(item.old_path) if item.old_path else None
        changed = Changed(item.path, item.object_id, item.modified_at, item.old_path, old.modified_at if old else None)
        found[item.path] = OURS if item.kind is ChangeKind.CONFLICT else authors.of(changed)
    moved = {n.item.old_path for n in change.writes}
    for path in before.keys() - change.manifest.keys() - moved:
        entry = before[path]
        found[path] = authors.of_removal(path, entry.object_id, entry.modified_at)
    return found


def named(change: TreeChange, authors: Mapping[str, str | None]) -> Manifest:
    """The manifest that a change leaves, with the authors of what it writes."""
    known = {n.item.path: author for n in change.writes if (author := authors.get(n.item.path))}
    return change.manifest | {path: replace(change.manifest[path], author=author) for path, author in known.items()}


def split(
    change: TreeChange, before: Manifest, authors: Mapping[str, str | None], versions: tuple[Version, ...]
) -> list[CommitPart]:
    """The parts in order of their last modification, the unknown author's first; at least one.

    `authors` has the author of each path that was written or removed.
    """
    parts: dict[str | None, CommitPart] = {}

    def part_of(author: str | None) -> CommitPart:
        return parts.setdefault(author, CommitPart(author))

    owners: dict[str, str | None] = {}
    for notebook in change.writes:
        item, author = notebook.item, authors.get(notebook.item.path)
        part = part_of(author)
        part.writes.append(notebook)
        part.counts[item.kind] += 1
        part.when_ms = max(part.when_ms or 0, item.modified_at)
        owners |= {before[p].file: author for p in (item.path, item.old_path) if p and p in before}
    for path in before.keys() - change.manifest.keys():
        if before[path].file not in owners:
            owners[before[path].file] = authors.get(path)
            part_of(authors.get(path)).counts[ChangeKind.DELETED] += 1
    for file in change.deletes:
        part_of(owners.get(file)).deletes.append(file)
    ordered = sorted(parts.values(), key=lambda p: (p.author is not None, p.when_ms or 0, p.author or ""))
    ordered = ordered or [CommitPart(OURS)]
    _settle_deletes(ordered)
    _hand_out(versions, ordered, authors)
    return ordered


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


def _hand_out(versions: tuple[Version, ...], parts: list[CommitPart], authors: Mapping[str, str | None]) -> None:
    by_author = {part.author: part for part in parts}
    for version in versions:
        moved = version.kind is VersionKind.MOVED_AWAY and version.other_path
        author = authors.get(moved or version.path)
        if version.kind is VersionKind.BRANCH_EDIT:
            parts[0].versions.append(version)
        else:
            by_author.get(author, parts[0]).versions.append(replace(version, author=author or None))
