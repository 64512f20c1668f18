"""The branches of Git folders follow the backup: each shows its folder's very tree, and only moves forward.

A branch's commits follow those of the backup branch that changed its folder, author by author. Everything can be
found out anew from the remote, so a step that dies is simply run again: order of writing is commits, push, rows.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.batches import Notice
from shared.domain.folder_branches import EMPTY_TREE, followed_message, to_follow
from shared.protocols import BlobStore
from shared.protocols.folder_branches import (
    BackupCommit,
    BranchChain,
    BranchHead,
    BranchMove,
    FolderBranches,
    Link,
)
from shared.services.git_folders.own_commits import last_of_ours
from shared.services.git_folders.store import GitFolder, GitFolderStore
from shared.services.state.lease import held
from shared.services.state.manifests import ManifestStore

LEASE = "leases/commit"
"""The committer's own: the mirror is its, and a branch must not follow a commit that is just being replaced."""
HOME = "%home"
_HOME_MESSAGE = """An empty branch, meant to be the repository's default branch

A Git folder is created on the default branch, and then brought to its own.
"""
_MERGE_MESSAGE = """Merge what was committed to {branch} with what the workspace holds
"""
type _End = tuple[str | None, str | None]
"""Where a branch is to stand: its commit and that commit's root tree."""
_log = logging.getLogger("backup.gitfolders")


@dataclass(frozen=True, slots=True)
class Merging:
    """A branch that people committed to, and whose edits the backup branch holds: they are merged into it.

    `base` is the backup's last commit on the branch, `shown` its tree, `at` the commit of the backup that it follows.
    """

    base: str
    shown: str
    at: str | None


@dataclass(frozen=True, slots=True)
class _Base:
    """What a folder's next commits stand on: the branch's commit, its tree, and the backup's commit it shows.

    `theirs` is what people committed on top, which a merge brings in.
    """

    folder: GitFolder
    head: str | None
    shown: str | None
    at: str | None
    remote: str | None
    theirs: BranchHead | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """What an advance came to: branches that moved, those that the server refused, and what people should know."""

    moved: int = 0
    refused: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()


class FolderBranchService:
    """Advances the branches of all folders that are followed. `prefix` begins the name of each."""

    def __init__(
        self,
        *,
        branches: FolderBranches,
        store: GitFolderStore,
        manifests: ManifestStore,
        blobs: BlobStore,
        prefix: str,
    ) -> None:
        self._branches, self._store, self._manifests = branches, store, manifests
        self._blobs, self._prefix = blobs, prefix

    def advance(self, paths: Sequence[str] | None = None) -> Advance:
        """Bring branches to the last backup, those of `paths` alone where given.

        Raises `LeaseLost` while a backup commits, `RepositoryError`.
        """
        with held(self._blobs, LEASE) as still_held:
            mark = self._manifests.mark()
            folders = self._store.followed(paths)
            if mark is None or not folders:
                return Advance()
            return self.follow(mark.commit, folders, still_held)

    def follow(
        self,
        target: str,
        folders: Sequence[GitFolder],
        still_held: Callable[[], None],
        merging: Mapping[str, Merging] | None = None,
        until: str | None = None,
    ) -> Advance:
        """Bring branches to a commit of the backup branch; the caller holds the committer's lease (`still_held`).

        Those of `merging`, by path, get what people committed as a merge: `until` is the backup's own last commit,
        `target` follows on it with people's edits. Raises `LeaseLost`, `RepositoryError`.
        """
        heads = self._branches.heads(self._prefix)
        if all(f.at == target and heads.get(f.branch) == f.head for f in folders):
            return Advance()
        bases, notices = self._bases(folders, heads, merging or {}, target)
        chains = self._chains(target, until or target, bases)
        made = self._branches.build([chain for _, chain in chains])
        ends = {base.folder.path: _standing(base) for base in bases}
        for (base, chain), commit in zip(chains, made, strict=True):
            ends[base.folder.path] = (commit, chain.links[-1].tree)
        still_held()
        refused = self._push(bases, ends)
        stand = {b.folder.path: ends[b.folder.path] for b in bases if b.folder.branch not in refused}
        self._store.advanced({path: (head, str(shown), target) for path, (head, shown) in stand.items() if head})
        moved = sum(1 for b in bases if _must_move(b, ends)) - len(refused)
        return Advance(moved, tuple(sorted(refused)), (*notices, *map(_refused, sorted(refused))))

    def default_branch(self) -> str | None:
        """The branch that a clone of the repository checks out."""
        return self._branches.default_branch()

    def ensure_home(self) -> str:
        """Make the small branch that is meant to be the default one, where it is missing; returns its name."""
        home = f"{self._prefix}{HOME}"
        if home not in self._branches.heads(home):
            mark = self._manifests.mark()
            commits = self._branches.since(mark.commit, None) if mark else []
            links = [Link(EMPTY_TREE, c.committer, c.committer, _HOME_MESSAGE) for c in commits]
            made = self._branches.build([BranchChain(None, tuple(links))]) if links else []
            self._branches.push([BranchMove(home, commit) for commit in made])
        return home

    def _push(self, bases: list[_Base], ends: Mapping[str, _End]) -> set[str]:
        moves = [BranchMove(b.folder.branch, str(ends[b.folder.path][0])) for b in bases if _must_move(b, ends)]
        return self._branches.push(moves) if moves else set()

    def _bases(
        self, folders: Sequence[GitFolder], heads: Mapping[str, str], merging: Mapping[str, Merging], target: str
    ) -> tuple[list[_Base], list[Notice]]:
        """Where each branch stands; what somebody did to one since is found out, and told."""
        strange = [f for f in folders if heads.get(f.branch) != f.head]
        asked = {c for f in strange for c in (heads.get(f.branch), f.head) if c}
        # The heads themselves have to be here: they are the parents of what is built.
        parents = {f.head for f in folders if f.head} | {m.base for m in merging.values()}
        known = self._branches.describe(asked | parents)
        bases, notices = [], []
        for folder in folders:
            base = _Base(folder, folder.head, folder.shown, folder.at, heads.get(folder.branch))
            merge, theirs = merging.get(folder.path), known.get(base.remote or "")
            if merge and theirs:
                base = replace(base, head=merge.base, shown=merge.shown, at=merge.at, theirs=theirs)
            elif base.remote != folder.head:
                base, notice = self._found(base, known, target)
                notices += [notice] if notice else []
            bases.append(base)
        return bases, notices

    def _found(self, base: _Base, known: Mapping[str, BranchHead], target: str) -> tuple[_Base, Notice | None]:
        """A branch that is not where the backup left it: gone, moved on, moved back, or moved elsewhere."""
        folder, remote = base.folder, base.remote
        if remote is None:
            if folder.head in known:
                return base, Notice(
                    folder.branch, "folder_branch_revived", "it was deleted: it stands again where it was"
                )
            reason = "it is gone, and the remote no longer holds its commits: it begins anew with what the folder holds"
            return replace(base, head=None, shown=None, at=None), Notice(folder.branch, "folder_branch_lost", reason)
        there = known.get(remote)
        if there is None:
            return base, None
        mine = last_of_ours(self._branches, folder, {remote: there}, target)
        here = replace(base, head=remote, shown=there.tree, at=mine[1] if mine else folder.at)
        if folder.head is None or self._branches.contains(remote, folder.head):
            # By a push of ours whose answer was lost, or by people: theirs stays in history.
            return here, None if mine else _by_people(folder)
        if folder.head in known and self._branches.contains(folder.head, remote):
            return base, Notice(folder.branch, "folder_branch_rewound", "it was moved back: it is forward again")
        reason = f"it was moved by force to {remote[:12]}: what the folder holds is committed on top of that"
        return here, Notice(folder.branch, "folder_branch_rewritten", reason)

    def _chains(self, target: str, until: str, bases: list[_Base]) -> list[tuple[_Base, BranchChain]]:
        """For each folder that changed the commits that follow the backup's, none for the others."""
        groups: dict[tuple[str, str | None], list[_Base]] = defaultdict(list)
        for base in bases:
            groups[until if base.theirs else target, base.at if base.head else None].append(base)
        (last,) = self._branches.since(target, None)[-1:]
        found = []
        for (end, at), group in groups.items():
            commits = self._branches.since(end, at)
            asked = dict.fromkeys((*(c.commit for c in commits), target))
            trees = self._branches.subtrees(list(asked), {b.folder.tree for b in group})
            for base in group:
                chain = _chain(base, commits, trees)
                if base.theirs:
                    chain = _merged(base, base.theirs, chain, last, trees.get((target, base.folder.tree), EMPTY_TREE))
                found += [(base, chain)] if chain else []
        return found


def _chain(base: _Base, commits: Sequence[BackupCommit], trees: Mapping[tuple[str, str], str]) -> BranchChain | None:
    by_name = {c.commit: c for c in commits}
    steps = [(c.commit, trees.get((c.commit, base.folder.tree))) for c in commits]
    follows = list(to_follow(base.shown, steps))
    links = [_link(by_name[commit], tree) for commit, tree in follows]
    return BranchChain(base.head, tuple(links)) if links else None


def _merged(
    base: _Base, theirs: BranchHead, ours: BranchChain | None, last: BackupCommit, tree: str
) -> BranchChain | None:
    """People's commits, and what the backup's commits make of the folder since: one commit that follows on both.

    None where people's last commit shows the folder as it is to be.
    """
    if theirs.tree == tree:
        return None
    message = followed_message(_MERGE_MESSAGE.format(branch=base.folder.branch), last.commit)
    link = Link(tree, last.committer, last.committer, message)
    if ours is None:
        return BranchChain(base.remote, (link,))
    return BranchChain(ours.parent, (*ours.links, replace(link, onto=base.remote)))


def _standing(base: _Base) -> _End:
    """Where a branch stands without another commit."""
    return (base.remote, base.theirs.tree) if base.theirs else (base.head, base.shown)


def _link(commit: BackupCommit, tree: str) -> Link:
    return Link(tree or EMPTY_TREE, commit.author, commit.committer, followed_message(commit.message, commit.commit))


def _must_move(base: _Base, ends: Mapping[str, _End]) -> bool:
    head = ends[base.folder.path][0]
    return head is not None and head != base.remote


def _by_people(folder: GitFolder) -> Notice:
    return Notice(folder.branch, "folder_branch_edited", "somebody committed to it: that stays in its history")


def _refused(branch: str) -> Notice:
    return Notice(branch, "folder_branch_refused", "the server refused to move it: the next backup tries again")
