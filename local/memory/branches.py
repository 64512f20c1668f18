"""The branches of Git folders in memory, over what a `MemoryServer` holds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from local.memory.commits import MemoryCommit, Tree
from local.memory.server import MemoryServer
from shared.adapters.git_ids import check_ids, named_in
from shared.domain.folder_branches import EMPTY_TREE
from shared.errors import RepositoryError
from shared.protocols.folder_branches import BackupCommit, BranchChain, BranchCommit, BranchHead, BranchMove
from shared.protocols.repository import Signature

_PERSON = re.compile(r"(.*?) <(.*?)> (\S+)")


def tree_id(tree: Tree) -> str:
    """An id that follows from the files and their blobs alone, as Git's does."""
    if not tree:
        return EMPTY_TREE
    text = "\0".join(f"{file}\n{blob}" for file, blob in sorted(tree.items()))
    return hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


@dataclass
class MemoryBranches:
    """See `shared.protocols.folder_branches.FolderBranches`. A commit stays its own until it is pushed."""

    remote: MemoryServer
    built: dict[str, MemoryCommit] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)

    def heads(self, prefix: str) -> dict[str, str]:
        """See `FolderBranches.heads`."""
        return {b: c for b, c in self.remote.branches.items() if b.startswith(prefix)}

    def default_branch(self) -> str | None:
        """See `FolderBranches.default_branch`."""
        return self.remote.default_branch

    def describe(self, commits: Collection[str]) -> dict[str, BranchHead]:
        """See `FolderBranches.describe`."""
        check_ids(*commits)
        found = {c: self.remote.commits[c] for c in commits if c in self.remote.commits}
        return {name: BranchHead(self._entered(commit.tree), commit.message) for name, commit in found.items()}

    def contains(self, head: str, commit: str) -> bool:
        """See `FolderBranches.contains`."""
        check_ids(head, commit)
        return commit in self.remote.lineage(head)

    def common(self, one: str, other: str) -> str | None:
        """See `FolderBranches.common`."""
        check_ids(one, other)
        known = set(self.remote.lineage(one))
        return next((name for name in reversed(self.remote.lineage(other)) if name in known), None)

    def edits(self, head: str, after: str) -> list[BranchCommit]:
        """See `FolderBranches.edits`."""
        check_ids(head, after)
        known = self.remote.lineage(after)
        return [self._edit(name) for name in self.remote.lineage(head) if name not in known]

    def _edit(self, name: str) -> BranchCommit:
        commit = self.remote.commits[name]
        before = self.remote.commits[commit.parent].tree if commit.parent else {}
        files = {
            f: commit.tree.get(f) for f in before.keys() | commit.tree.keys() if before.get(f) != commit.tree.get(f)
        }
        author, committer = _people(commit.author)
        return BranchCommit(name, author, committer.email, commit.message, {} if commit.merged else files)

    def modes(self, commit: str) -> dict[str, str]:
        """See `FolderBranches.modes`: what tests put into `remote.modes`."""
        check_ids(commit)
        return {file: self.remote.modes[file] for file in self.remote.commits[commit].tree if file in self.remote.modes}

    def since(self, head: str, after: str | None) -> list[BackupCommit]:
        """See `FolderBranches.since`."""
        check_ids(head, after)
        found: list[BackupCommit] = []
        for name, commit in self.remote.history(head):
            if name == after:
                return found[::-1] or [_backup_commit(head, self.remote.commits[head])]
            found.append(_backup_commit(name, commit))
        return found[:1]

    def subtrees(self, commits: Sequence[str], folders: Collection[str]) -> dict[tuple[str, str], str]:
        """See `FolderBranches.subtrees`."""
        check_ids(*commits)
        found = {}
        for commit in commits:
            for folder in folders:
                start = f"{folder}/" if folder else ""
                whole = self.remote.commits[commit].tree
                tree = {f[len(start) :]: blob for f, blob in whole.items() if f.startswith(start)}
                if tree:
                    found[(commit, folder)] = self._entered(tree)
        return found

    def build(self, chains: Sequence[BranchChain]) -> list[str]:
        """See `FolderBranches.build`."""
        check_ids(*named_in(chains))
        return [self._build(chain) for chain in chains]

    def remove(self, branch: str, commit: str) -> bool:
        """See `FolderBranches.remove`."""
        check_ids(commit)
        with self.remote.lock:
            if self.remote.branches.get(branch) == commit:
                del self.remote.branches[branch]
            return branch not in self.remote.branches

    def push(self, moves: Iterable[BranchMove]) -> set[str]:
        """See `FolderBranches.push`."""
        moves = list(moves)
        check_ids(*(move.commit for move in moves))
        with self.remote.lock:
            return {move.branch for move in moves if not self._move(move)}

    def _build(self, chain: BranchChain) -> str:
        parent = chain.parent
        if parent is not None and parent not in self.remote.commits:
            raise RepositoryError(action="import a commit", detail=f"there is no {parent}")
        for link in chain.links:
            people = " ".join(f"{p.name} <{p.email}> {p.when.isoformat()}" for p in (link.author, link.committer))
            changed = {**self.trees.get(link.tree, {}), **link.files}
            tree, when = {file: blob for file, blob in changed.items() if blob is not None}, link.committer.when
            first, second = (link.onto, parent) if link.onto else (parent, None)
            parent = self.remote.enter(MemoryCommit(first, tree, link.message, people, when, second))
            self.built[parent] = self.remote.commits.pop(parent)
        return str(parent)

    def _move(self, move: BranchMove) -> bool:
        """As a server does that refuses what is no fast-forward."""
        known = {**self.remote.commits, **self.built}
        if move.commit not in known:
            return False
        passed: dict[str, None] = {}
        here, waiting = self.remote.branches.get(move.branch), [move.commit]
        while waiting:
            name = waiting.pop()
            if name not in passed:
                passed[name] = None
                waiting += [p for p in (known[name].parent, known[name].merged) if p]
        if here is not None and here not in passed:
            return False
        self.remote.commits |= {n: known[n] for n in passed}
        self.remote.branches[move.branch] = move.commit
        return True

    def _entered(self, tree: Tree) -> str:
        name = tree_id(tree)
        self.trees[name] = tree
        return name


def _backup_commit(name: str, commit: MemoryCommit) -> BackupCommit:
    author, committer = _people(commit.author)
    return BackupCommit(name, author, replace(committer, when=commit.when), commit.message)


def _people(text: str) -> Iterator[Signature]:
    found = _PERSON.findall(text) or [(text, f"{text}@example.com", "1970-01-01T00:00:00+00:00")]
    people = [Signature(name.strip(), mail, datetime.fromisoformat(when)) for name, mail, when in found]
    yield from (people * 2)[:2]
