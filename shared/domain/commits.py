"""Commits: which tree changes a group of staged notebooks makes, and what the message says."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain.attribution import RestoreWrite
from shared.domain.batches import ChangeKind, StagedNotebook
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.siblings import parents

RUN_TRAILER = "Backup-Run"
RESTORE_TRAILER = "Backup-Restore"
SUBJECT_START = "Back up "
"""What the message of each of the backup's own commits begins with."""
COPY_SUBJECT_START = "Import the full copy of "
"""And that of a full copy which was imported."""
MOST_RESTORES = 100
"""Restores that one commit message names; more are counted."""
UNKNOWN_MAIL = "unknown@invalid"
"""An address that nobody has (RFC 2606)."""
ATTRIBUTES_FILE = ".gitattributes"
ATTRIBUTES = b"* -text\n"
"""No byte is translated on checkout, on any platform."""


@dataclass(frozen=True, slots=True)
class TreeChange:
    """What one commit does: files to remove, then notebooks to write, and the manifest that results.

    `blocked` are notebooks whose file cannot be written without removing a file of somebody else.
    """

    deletes: tuple[str, ...]
    writes: tuple[StagedNotebook, ...]
    manifest: Manifest
    conflicts: tuple[str, ...]
    counts: Counter[ChangeKind]
    blocked: tuple[StagedNotebook, ...] = ()


def apply(
    manifest: Manifest,
    staged: Iterable[StagedNotebook],
    removed: Iterable[str],
    tree: Mapping[str, str],
    strays: Collection[str] = (),
) -> TreeChange:
    """Bring staged notebooks and removed paths into `manifest` over `tree` (file to blob id).

    A file is removed only if the backup wrote it, by the manifest or among `strays`, and no notebook claims
    it any more.
    `conflicts` are files that somebody else changed and that the workspace's bytes overrule.
    """
    after = dict(manifest)
    old_files = set(strays)
    writes, blocked = _writable({e.file for e in manifest.values()} | old_files, staged, tree)
    counts: Counter[ChangeKind] = Counter()
    for path in removed:
        if entry := after.pop(path, None):
            old_files.add(entry.file)
            counts[ChangeKind.DELETED] += 1
    for notebook in writes.values():
        item = notebook.item
        old_files |= {e.file for e in [manifest.get(item.path), manifest.get(item.old_path or "")] if e}
        if item.old_path and item.old_path not in writes:
            after.pop(item.old_path, None)
        counts[item.kind] += 1
    after |= {n.item.path: entry_of(n) for n in writes.values()}
    claimed = {e.file for e in after.values()}
    return TreeChange(
        deletes=tuple(sorted(f for f in old_files - claimed if f in tree)),
        writes=tuple(sorted(writes.values(), key=lambda n: n.file)),
        manifest=after,
        conflicts=tuple(_conflicts(manifest, writes.values(), tree)),
        counts=counts,
        blocked=tuple(blocked),
    )


def _writable(
    known: set[str], staged: Iterable[StagedNotebook], tree: Mapping[str, str]
) -> tuple[dict[str, StagedNotebook], list[StagedNotebook]]:
    """Notebooks by path that can be written, and those that a file or folder of people is in the way of.

    Planning gives them names that avoid it: only what was pushed since is met here.
    """
    foreign = tree.keys() - known - {ATTRIBUTES_FILE}
    folders = {parent for file in foreign for parent in parents(file)}
    writes: dict[str, StagedNotebook] = {}
    blocked: list[StagedNotebook] = []
    for notebook in staged:
        if notebook.file in folders or any(p in foreign for p in parents(notebook.file)):
            blocked.append(notebook)
        else:
            writes[notebook.item.path] = notebook
    return writes, blocked


def entry_of(notebook: StagedNotebook) -> ManifestEntry:
    """The manifest's entry for a notebook that was staged."""
    item = notebook.item
    return ManifestEntry(
        path=item.path,
        file=notebook.file,
        object_id=item.object_id,
        language=item.language,
        modified_at=item.modified_at,
        size=notebook.size,
        sha256=notebook.sha256,
        blob=notebook.blob,
        format=notebook.format,
    )


type RestoreParts = Mapping[str, Sequence[RestoreWrite]]
"""What a commit holds of restores, by their ids."""


def message(
    when: datetime,
    run_id: str,
    workspace: str,
    root: str,
    counts: Mapping[ChangeKind, int],
    restores: RestoreParts,
    anchor: str = "",
) -> str:
    """A commit message: UTC time, counts, restores, and trailers with run, workspace and root; `anchor` is one more."""
    parts = [f"{count} {kind.value}" for kind in ChangeKind if (count := counts.get(kind, 0))]
    named = dict(itertools.islice(restores.items(), MOST_RESTORES))
    told = "".join(f"{_restored(restore, writes)}\n" for restore, writes in named.items())
    more = f"and {len(restores) - len(named)} more restores\n" if len(restores) > len(named) else ""
    trailers = "".join(f"{RESTORE_TRAILER}: {restore}\n" for restore in named)
    return (
        f"{subject(when, counts)}\n\n"
        f"{', '.join(parts) or 'no notebook changed'}\n\n"
        + (f"{told}{more}\n" if told else "")
        + f"{RUN_TRAILER}: {run_id}\nBackup-Workspace: {workspace}\nBackup-Root: {root}\n{trailers}"
        + (f"{anchor}\n" if anchor else "")
    )


def _restored(restore: str, writes: Sequence[RestoreWrite]) -> str:
    """What one restore did, on one line."""
    put_back = [w for w in writes if w.sha256 is not None]
    days = sorted({f"{datetime.fromtimestamp(w.from_ms / 1000, UTC):%Y-%m-%d}" for w in put_back if w.from_ms})
    of = f" from {days[0]}" + (f" to {days[-1]}" if days[1:] else "") if days else ""
    done = [f"{len(put_back)} put back{of}" if put_back else "", _removed(len(writes) - len(put_back))]
    return f"Restore {restore} of {_minute(writes[0].began_ms)} UTC: {', '.join(filter(None, done))}"


def _removed(count: int) -> str:
    return f"{count} removed" if count else ""


def _minute(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M}"


def subject(when: datetime, counts: Mapping[ChangeKind, int]) -> str:
    """The first line of a commit message."""
    total = sum(counts.values())
    noun = "notebook" if total == 1 else "notebooks"
    return f"{SUBJECT_START}{total} {noun} at {when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _conflicts(manifest: Manifest, writes: Iterable[StagedNotebook], tree: Mapping[str, str]) -> Iterable[str]:
    """Written files whose blob in the tree is neither what the manifest knows nor what is written now."""
    known = {e.file: e.blob for e in manifest.values()}
    for notebook in writes:
        present = tree.get(notebook.file)
        if present is not None and present not in (known.get(notebook.file), notebook.blob):
            yield notebook.file
