"""How Git folders stand in the workspace: on their branch, or where people brought them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import WorkspaceError
from shared.protocols import GitFolders, RemoteFolder
from shared.protocols.folder_branches import FolderBranches
from shared.services.git_folders.store import GitFolder


class Standing(StrEnum):
    """How a converted folder stands after a backup. The first four are nothing to tell people of."""

    IN_STEP = "in_step"  # at its branch's head
    BEHIND = "behind"
    EDITED = "edited"  # what it holds is in no backup yet
    UNKNOWN = "unknown"  # the workspace did not say
    REFUSED = "refused"  # the workspace refuses to bring it to its branch's head
    SWITCHED = "switched"  # on another branch
    DETACHED = "detached"  # on a tag or a commit
    OWN_COMMITS = "own_commits"  # at a commit that its branch does not have
    GONE = "gone"  # no Git folder stands there, or another one


QUIET = frozenset({Standing.IN_STEP, Standing.BEHIND, Standing.EDITED, Standing.UNKNOWN})
AWAY = frozenset({Standing.SWITCHED, Standing.DETACHED})
"""The folder shows something else than its branch, which therefore waits."""
_ON_BRANCH = frozenset({Standing.IN_STEP, Standing.BEHIND})
_TEXTS = {
    Standing.REFUSED: "the workspace does not bring it to its branch's head: {detail}",
    Standing.SWITCHED: "somebody switched it to the branch {detail}: it is backed up as it is, and {branch} waits",
    Standing.DETACHED: "somebody brought it to {detail}, on no branch: it is backed up as it is, and {branch} waits",
    Standing.OWN_COMMITS: "it is at {detail}, a commit that {branch} does not have: it is backed up as it is",
    Standing.GONE: "{detail}: what stands there is backed up as it is",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one folder stands; `detail` names the branch, commit or reason, `remote` is the Git folder."""

    standing: Standing
    detail: str = ""
    remote: RemoteFolder | None = None

    @property
    def on_branch(self) -> bool:
        """Whether it can be brought to its branch's head."""
        return self.standing in _ON_BRANCH


def told(folder: GitFolder, look: Look) -> str:
    """What people should know of a folder that does not stand as it should."""
    return _TEXTS[look.standing].format(detail=look.detail, branch=folder.branch)


class FolderLook:
    """Reads how converted folders stand, by one listing of the workspace's Git folders."""

    def __init__(self, host: GitFolders, branches: FolderBranches, root: str) -> None:
        self._host, self._branches, self._root = host, branches, root

    def look(self, folders: Sequence[GitFolder], heads: Mapping[str, str]) -> dict[str, Look]:
        """By path, how each stands. Raises `RepositoryError`.

        Where the workspace does not say, one that was away the last time counts as away still.
        """
        if not folders:
            return {}
        try:
            found = {remote.path: remote for remote in self._host.below(self._root)}
        except WorkspaceError as error:
            return {f.path: _as_before(f, str(error)) for f in folders}
        return {f.path: self._one(f, found.get(f.path), heads.get(f.branch)) for f in folders}

    def _one(self, folder: GitFolder, remote: RemoteFolder | None, head: str | None) -> Look:
        if remote is None:
            return Look(Standing.GONE, "no Git folder stands there any more")
        if remote.id != folder.number("repo_id"):
            return Look(Standing.GONE, "another Git folder stands there")
        if remote.branch is None:
            return Look(Standing.DETACHED, (remote.commit or "a tag")[:12])
        if remote.branch != folder.branch:
            return Look(Standing.SWITCHED, remote.branch)
        if remote.commit == head or head is None:
            return Look(Standing.IN_STEP, remote=remote)
        ours = remote.commit is None or remote.commit in (folder.head, folder.text("pulled"))
        if ours or self._branches.contains(head, str(remote.commit)):
            return Look(Standing.BEHIND, remote=remote)
        return Look(Standing.OWN_COMMITS, str(remote.commit)[:12])


def _as_before(folder: GitFolder, reason: str) -> Look:
    before = folder.text("standing")
    if before in AWAY:
        return Look(Standing(before), folder.text("standing_detail") or "")
    return Look(Standing.UNKNOWN, reason)
