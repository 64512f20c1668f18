"""Which commits of a folder's branch are the backup's own: those that show what it would show, and nothing else.

Whoever may push can copy its message and its identity. A tree cannot be copied with another content in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.domain.folder_branches import EMPTY_TREE, followed_commit
from shared.protocols.folder_branches import BranchHead, FolderBranches
from shared.services.git_folders.store import GitFolder

MOST_TRIED = 20
"""Commits with the trailer that are looked at, the last first: a push of the backup's whose answer was lost is it."""


def last_of_ours(
    branches: FolderBranches, folder: GitFolder, commits: Mapping[str, BranchHead], target: str
) -> tuple[str, str] | None:
    """The last of `commits` (parents before children) that is the backup's own, with the backup's commit it shows.

    That one is in the history of `target`, a commit of the backup branch, is not before the one that the branch is
    known to show, and holds the folder as the very tree. Raises `RepositoryError`.
    """
    told = [(name, head, at) for name, head in commits.items() if (at := followed_commit(head.message))]
    for name, head, at in reversed(told[-MOST_TRIED:]):
        if _shows(branches, folder, head, at, target):
            return name, at
    return None


def _shows(branches: FolderBranches, folder: GitFolder, head: BranchHead, at: str, target: str) -> bool:
    if not branches.contains(target, at) or (folder.at is not None and not branches.contains(at, folder.at)):
        return False
    return branches.subtrees([at], [folder.tree]).get((at, folder.tree), EMPTY_TREE) == head.tree
