"""The branch beside the manifest: what people did to it since the last backup, and what is settled by itself."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.batches import Notice
from shared.domain.commits import ATTRIBUTES_FILE
from shared.domain.manifest import Manifest
from shared.domain.planning import BranchState
from shared.protocols import Repository
from shared.services.manifests import ManifestStore


@dataclass(frozen=True, slots=True)
class BranchView:
    """The last manifest, the branch as it stands beside it, and what had to be settled to get there."""

    manifest: Manifest
    state: BranchState
    notices: tuple[Notice, ...]


def look_at_branch(repository: Repository, manifests: ManifestStore) -> BranchView:
    """Compare the branch with the checkpoint; a branch that is gone comes back where the remote still can.

    Raises `ManifestMissing`, `DamagedManifest`, `RepositoryError`.
    """
    checkpoint = manifests.load()
    manifest: Manifest = checkpoint.manifest if checkpoint else {}
    head = repository.fetch()
    notices: list[Notice] = []
    if checkpoint and head is None:
        notices.append(revive(repository, checkpoint.commit))
        head = repository.fetch()
    elif checkpoint and head and not repository.contains(head, checkpoint.commit):
        notices.append(_rewritten(head, checkpoint.commit))
    tree = repository.tree(head) if head else {}
    drifted = frozenset(e.file for e in manifest.values() if tree.get(e.file) != e.blob)
    ours = {e.file for e in manifest.values()}
    foreign = frozenset(tree.keys() - ours - {ATTRIBUTES_FILE})
    return BranchView(manifest, BranchState(drifted, foreign), tuple(notices))


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
