"""Versions: what each backup changed, notebook by notebook, as it is kept for the history."""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter

from shared.domain.batches import ChangeKind, StagedNotebook
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import ExportFormat, Language


class VersionKind(StrEnum):
    """What a backup did to a notebook. `BRANCH_EDIT` are bytes that a person put on the branch."""

    CREATED = "created"
    CHANGED = "changed"
    RENAMED = "renamed"
    MOVED_AWAY = "moved_away"
    DELETED = "deleted"
    CONFLICT = "conflict"
    BRANCH_EDIT = "branch_edit"

    @property
    def gone(self) -> bool:
        """Whether the notebook is no longer at its path after it."""
        return self in (VersionKind.MOVED_AWAY, VersionKind.DELETED)


@dataclass(frozen=True, slots=True)
class Version:
    """A notebook in one commit; of one that is gone, what it last was.

    `other_path` is where a renamed one came from, or where one that was moved away went. `modified_at` is Unix
    time in milliseconds. `sha256`, `size` and `modified_at` are None where only Git tells of the version.
    `restore` is the restore that wrote or removed it (where only Git tells, all that it may be, by blanks), and
    `restored_from` the time of modification of the version that was put back.
    """

    path: str
    kind: VersionKind
    file: str
    blob: str
    language: Language
    format: ExportFormat = ExportFormat.SOURCE
    sha256: str | None = None
    size: int | None = None
    modified_at: int | None = None
    other_path: str | None = None
    author: str | None = None
    restore: str | None = None
    restored_from: int | None = None


@dataclass(frozen=True, slots=True)
class LateAuthor:
    """Who made a version whose author nobody knew when it was committed, and by which restore, if by one."""

    commit: str
    path: str
    author: str
    restore: str | None = None
    restored_from: int | None = None


@dataclass(frozen=True, slots=True)
class CommitMark:
    """A commit of the backup by its number among them, from 1."""

    sequence: int
    commit: str


@dataclass(frozen=True, slots=True)
class CommitVersions:
    """What one commit changed. `committed_at` is Unix time in milliseconds, `before` the backup it follows on.

    `branch` is the commit of a person that the backup was built on, where `versions` hold their edits.
    """

    mark: CommitMark
    before: CommitMark | None
    run_id: str
    committed_at: int
    message: str
    author: str
    branch: str | None
    versions: tuple[Version, ...]


_FIELDS = attrgetter(*Version.__slots__)
_KIND = {
    ChangeKind.CREATED: VersionKind.CREATED,
    ChangeKind.CHANGED: VersionKind.CHANGED,
    ChangeKind.RENAMED: VersionKind.RENAMED,
    ChangeKind.CONFLICT: VersionKind.CONFLICT,
}


def versions_of(
    before: Manifest,
    after: Manifest,
    writes: Iterable[StagedNotebook],
    tree: Mapping[str, str],
    conflicts: Collection[str],
) -> tuple[Version, ...]:
    """What a commit changed, from the manifests around it and what was written over `tree` (file to blob id)."""
    found: list[Version] = []
    moved: dict[str, str] = {}
    for notebook in writes:
        item, entry, old = notebook.item, after[notebook.item.path], before.get(notebook.item.path)
        if notebook.file in conflicts:
            found.append(_version(entry, VersionKind.BRANCH_EDIT, blob=tree[notebook.file]))
        elif old and same_content(old, entry):
            continue  # saved in the workspace without a change, or given another file name
        origin = item.old_path if item.kind is ChangeKind.RENAMED else None
        found.append(_version(entry, _kind(notebook, old, conflicts), other_path=origin))
        if origin and origin not in after:
            moved[origin] = item.path
    for path, entry in before.items():
        if path not in after:
            kind = VersionKind.MOVED_AWAY if path in moved else VersionKind.DELETED
            found.append(_version(entry, kind, other_path=moved.get(path)))
    return tuple(found)


def same_content(old: ManifestEntry, new: ManifestEntry) -> bool:
    """Whether a notebook is what it was, whatever its file is called."""
    return (old.blob, old.language, old.format) == (new.blob, new.language, new.format)


def _kind(notebook: StagedNotebook, old: ManifestEntry | None, conflicts: Collection[str]) -> VersionKind:
    if notebook.file in conflicts:
        return VersionKind.CONFLICT
    kind = _KIND.get(notebook.item.kind, VersionKind.CHANGED)
    # A plan made before a manifest was rebuilt may say otherwise.
    return VersionKind.CHANGED if kind is VersionKind.CREATED and old else kind


def _version(
    entry: ManifestEntry, kind: VersionKind, *, blob: str | None = None, other_path: str | None = None
) -> Version:
    foreign = blob is not None
    return Version(
        path=entry.path,
        kind=kind,
        file=entry.file,
        blob=blob or entry.blob,
        language=entry.language,
        format=entry.format,
        sha256=None if foreign else entry.sha256,
        size=None if foreign else entry.size,
        modified_at=None if foreign else entry.modified_at,
        other_path=other_path,
        author=None if foreign else entry.author,
    )


def encode_versions(commits: Sequence[CommitVersions]) -> bytes:
    """Commits that were pushed together as the bytes of a blob, the oldest first, gzipped.

    Of each, a header line with the number of its versions, then one JSON array a version.
    """
    lines: list[str] = []
    for commit in commits:
        before = [commit.before.sequence, commit.before.commit] if commit.before else None
        header = [commit.mark.sequence, commit.mark.commit, before, commit.run_id, commit.committed_at]
        lines.append(json.dumps([*header, commit.message, commit.author, commit.branch, len(commit.versions)]))
        lines += [json.dumps(_FIELDS(v)) for v in commit.versions]
    return gzip.compress("\n".join(lines).encode(), compresslevel=1, mtime=0)


def decode_versions(data: bytes) -> tuple[CommitVersions, ...]:
    """The reverse of `encode_versions`."""
    lines = gzip.decompress(data).split(b"\n")
    found: list[CommitVersions] = []
    start = 0
    while start < len(lines):
        sequence, commit, before, run_id, committed_at, message, author, branch, *counted = json.loads(lines[start])
        end = start + 1 + counted[0] if counted else len(lines)
        mark, earlier = CommitMark(sequence, commit), CommitMark(*before) if before else None
        versions = tuple(_decoded(lines[start + 1 : end]))
        found.append(CommitVersions(mark, earlier, run_id, committed_at, message, author, branch, versions))
        start = end
    return tuple(found)


def _decoded(lines: list[bytes]) -> Iterator[Version]:
    for path, kind, file, blob, language, fmt, *others in json.loads(b"[" + b",".join(lines) + b"]"):
        yield Version(path, VersionKind(kind), file, blob, Language(language), ExportFormat(fmt), *others)
