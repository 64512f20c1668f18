"""The branch beside the manifest: what people did to it since the last backup, and what is settled by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.batches import Notice
from shared.domain.commits import ATTRIBUTES_FILE
from shared.domain.manifest import Manifest
from shared.domain.planning import BranchState
from shared.protocols import Repository
from shared.services.backup.adoption import adopt
from shared.services.git_folders.brought import BroughtFiles
from shared.services.state.manifests import Checkpoint, ManifestStore


@dataclass(frozen=True, slots=True)
class BranchView:
    """The last manifest, the branch as it stands beside it, and what had to be settled to get there."""

    manifest: Manifest
    state: BranchState
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The remote head with its tree. `strays` are files that the backup wrote and had removed since.

    They are back where the branch was moved to an older commit, and belong to nobody.
    """

    commit: str | None
    tree: Mapping[str, str]
    strays: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()


def look_at_branch(
    repository: Repository, manifests: ManifestStore, root: str, brought: BroughtFiles | None = None
) -> BranchView:
    """Compare the branch with the checkpoint; before the first, take over copies that were imported below `root`.

    `brought` are files as people committed them to Git folders' branches: no conflict while the workspace does not
    show them yet.

    Raises `DamagedCheckpoint`, `ManifestMissing`, `DamagedManifest`, `RepositoryError`.
    """
    checkpoint, adopted = manifests.load(), list[Notice]()
    if checkpoint is None and (taken := adopt(repository, manifests, root)):
        checkpoint, adopted = taken[0], [taken[1]]
    manifest: Manifest = checkpoint.manifest if checkpoint else {}
    head = find_head(repository, checkpoint)
    waiting = {file for file, b in (brought or {}).items() if not b.taken and head.tree.get(file) == b.blob}
    drifted = frozenset(e.file for e in manifest.values() if head.tree.get(e.file) != e.blob) - waiting
    ours = {e.file for e in manifest.values()} | head.strays
    foreign = frozenset(head.tree.keys() - ours - {ATTRIBUTES_FILE})
    return BranchView(manifest, BranchState(drifted, foreign), (*adopted, *head.notices))


def find_head(repository: Repository, checkpoint: Checkpoint | None) -> Head:
    """Fetch the head; a branch that is gone comes back where the remote can still bring it.

    Raises `RepositoryError`.
    """
    head = repository.fetch()
    if checkpoint is None:
        return Head(head, repository.tree(head) if head else {})
    if head is None:
        notice = revive(repository, checkpoint.commit)
        head = repository.fetch()
        return Head(head, repository.tree(head) if head else {}, notices=(notice,))
    tree = repository.tree(head)
    if repository.contains(head, checkpoint.commit):
        return Head(head, tree)
    files = {e.file for e in checkpoint.manifest.values()}
    strays = repository.own_files(head) & tree.keys() - files - {ATTRIBUTES_FILE}
    return Head(head, tree, frozenset(strays), (_rewritten(head, checkpoint.commit),))


def revive(repository: Repository, commit: str) -> Notice:
    """Bring a deleted branch back at the last backup, where the remote still holds it, and say what came of it."""
    if repository.revive(commit):
        return Notice(commit, "branch_revived", "the branch was deleted: it stands again at the last backup")
    reason = (
        "the branch is gone and the remote no longer holds its last backup: everything is backed up anew, "
        "without the history before; bring the old repository back from its own backup to keep it"
    )
    return Notice(commit, "history_lost", reason)


def _rewritten(head: str, commit: str) -> Notice:
    reason = (
        f"the branch was moved by force to {head[:12]}, which does not follow on the last backup: "
        "what the workspace holds is committed on top of it"
    )
    return Notice(commit, "history_rewritten", reason)
