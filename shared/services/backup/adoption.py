"""The first run on a branch that begins with imported copies: they become the backup it goes on from."""

from __future__ import annotations

import hashlib

from shared.domain.batches import Notice
from shared.domain.commits import ATTRIBUTES_FILE, RUN_TRAILER
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.names import parse_file
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES
from shared.domain.own_commits import has_own_form, values
from shared.domain.versions import CommitMark
from shared.protocols import Repository
from shared.services.state.manifests import Checkpoint, ManifestStore
from shared.services.volume.import_copies import COPY_TRAILER

UNKNOWN = 0
"""A copy knows neither object ids nor when a notebook was modified: the run exports all, and compares."""


def adopt(repository: Repository, manifests: ManifestStore, root: str) -> tuple[Checkpoint, Notice] | None:
    """Make the first checkpoint of imported copies; None where the branch is missing, or none or more of them is there.

    So the run removes a notebook only where a listing proves it gone, as of any backup before. Raises
    `RepositoryError`, `StateConflict`.
    """
    head = repository.fetch()
    if head is None:
        return None
    backups = [m for m in repository.messages_with(head, f"{RUN_TRAILER}: ") if has_own_form(m)]
    if not backups or not all(values(text, COPY_TRAILER) for text in backups):
        return None
    is_backup = has_own_form(repository.message(head))
    # Numbered as the history numbers them that is read from Git alone, where the head counts, too.
    mark = CommitMark(len(backups) + (not is_backup), head)
    manifest = _manifest(repository, head, root)
    saved = manifests.save(values(backups[0], RUN_TRAILER)[0], mark, manifest, None)
    reason = f"the branch begins with {len(backups)} imported copies, and the backup goes on from them"
    return saved, Notice(head, "history_adopted", reason)


def _manifest(repository: Repository, head: str, root: str) -> Manifest:
    tree = repository.tree(head)
    files = sorted(repository.own_files(head) & tree.keys() - {ATTRIBUTES_FILE})
    measured = {
        blob: (len(data), hashlib.sha256(data).hexdigest())
        for blob, data in repository.blobs((tree[f] for f in files), MOST_NOTEBOOK_BYTES)
    }
    manifest: Manifest = {}
    # What is larger is no copy of a notebook, whoever put it there: it stays a file of theirs.
    for file in (f for f in files if tree[f] in measured):
        parsed, (size, sha256) = parse_file(file), measured[tree[file]]
        path = "/".join((root, *parsed.parts))
        entry = ManifestEntry(path, file, UNKNOWN, parsed.language, UNKNOWN, size, sha256, tree[file], parsed.format)
        manifest.setdefault(path, entry)
    return manifest
