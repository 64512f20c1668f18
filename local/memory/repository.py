"""A Git repository in memory: a remote branch that several mirrors share, with Git's rules for trees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from local.memory.branches import MemoryBranches
from local.memory.commits import MemoryCommit, Tree, place, remove
from local.memory.server import MemoryServer
from local.memory.tags import MemoryTags
from shared.adapters.git_ids import check_ids
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES
from shared.domain.own_commits import ToldCommit, has_own_form
from shared.errors import RemoteMoved, RepositoryError
from shared.protocols import FileChange, GitCommit, PointFile, Signature, WriteFile


@dataclass
class MemoryRemote(MemoryServer):
    """A server whose mirrors are made here."""

    def mirror(self, scratch: Path) -> MemoryRepository:
        """A repository for a new process; it keeps nothing in `scratch`."""
        del scratch
        return MemoryRepository(self)


class MemoryRepository:
    """See `shared.protocols.Repository`: one mirror of a remote. A commit stays its own until it is pushed."""

    def __init__(self, remote: MemoryServer) -> None:
        self._remote = remote
        self._built: dict[str, MemoryCommit] = {}

    def branches(self) -> MemoryBranches:
        """The branches of Git folders of the same remote."""
        return MemoryBranches(self._remote, self._built)

    def tags(self) -> MemoryTags:
        """The tags of the same remote."""
        return MemoryTags(self._remote)

    def fetch(self) -> str | None:
        """See `Repository.fetch`."""
        return self._remote.head

    def tree(self, commit: str) -> dict[str, str]:
        """See `Repository.tree`."""
        return dict(self._commit(commit).tree)

    def changes(self, parent: str | None, commit: str) -> dict[str, str | None]:
        """See `Repository.changes`."""
        check_ids(parent, commit)
        before, after = self.tree(parent) if parent else {}, self.tree(commit)
        return {f: after.get(f) for f in before.keys() | after.keys() if before.get(f) != after.get(f)}

    def build_commit(
        self,
        parent: str | None,
        deletes: Iterable[str],
        writes: Iterable[WriteFile | PointFile],
        message: str,
        author: Signature,
        committer: Signature,
    ) -> str | None:
        """See `Repository.build_commit`."""
        check_ids(parent)
        before = self._commit(parent).tree if parent else {}
        tree = dict(before)
        for file in deletes:
            remove(tree, file)
        for write in writes:
            check_ids(write.blob if isinstance(write, PointFile) else None)
            place(tree, write.file, write.blob if isinstance(write, PointFile) else self._blob(write))
        if parent and tree == before:
            return None
        people = " ".join(f"{p.name} <{p.email}> {p.when.isoformat()}" for p in (author, committer))
        commit = MemoryCommit(parent, tree, message, people, committer.when)
        name = self._remote.enter(commit)
        # What was built is not on the remote yet: `contains` and `revive` must not find it there.
        self._built[name] = self._remote.commits.pop(name)
        return name

    def push(self, commit: str, expected: str | None) -> None:
        """See `Repository.push`."""
        check_ids(commit, expected)
        with self._remote.lock:
            chain = self._chain(commit, expected)
            if self._remote.head != expected:
                raise RemoteMoved(action="push", detail=f"expected {expected or 'no branch'}")
            self._remote.commits |= chain
            self._remote.head = commit

    def _chain(self, commit: str, expected: str | None) -> dict[str, MemoryCommit]:
        """The commits that were built from `expected` to `commit`."""
        found: dict[str, MemoryCommit] = {}
        name: str | None = commit
        while name is not None and name != expected and name not in self._remote.commits:
            found[name] = self._commit(name)
            name = found[name].parent
        if name != expected:
            raise RepositoryError(action="push", detail=f"{commit} does not follow on {expected or 'nothing'}")
        return found

    def message(self, commit: str) -> str:
        """See `Repository.message`."""
        return self._commit(commit).message

    def messages_with(self, head: str, start: str) -> list[str]:
        """See `Repository.messages_with`."""
        check_ids(head)
        messages = (commit.message for _, commit in self._remote.history(head))
        return [m for m in messages if any(line.startswith(start) for line in m.split("\n"))]

    def commits_with(self, head: str, start: str) -> list[ToldCommit]:
        """See `Repository.commits_with`."""
        check_ids(head)
        found = ((name, self._remote.commits[name]) for name in self._remote.lineage(head))
        return [
            ToldCommit(name, _mails(c.author)[-1], c.message.strip("\n"))
            for name, c in found
            if any(line.startswith(start) for line in c.message.split("\n"))
        ]

    def parents(self, head: str) -> dict[str, tuple[str, ...]]:
        """See `Repository.parents`."""
        check_ids(head)
        found = ((name, self._remote.commits[name]) for name in reversed(self._remote.lineage(head)))
        return {name: tuple(p for p in (c.parent, c.merged) if p) for name, c in found}

    def revive(self, commit: str) -> bool:
        """See `Repository.revive`."""
        check_ids(commit)
        with self._remote.lock:
            if self._remote.head is not None or commit not in self._remote.commits:
                return False
            self._remote.head = commit
            return True

    def contains(self, head: str, commit: str) -> bool:
        """See `Repository.contains`."""
        check_ids(head, commit)
        return any(name == commit for name, _ in self._remote.history(head))

    def own_files(self, head: str) -> set[str]:
        """See `Repository.own_files`."""
        check_ids(head)
        found: set[str] = set()
        for _, commit in self._remote.history(head):
            if has_own_form(commit.message):
                before = self._remote.commits[commit.parent].tree if commit.parent else {}
                found |= {file for file, blob in commit.tree.items() if before.get(file) != blob}
        return found

    def history(self, head: str) -> Iterator[GitCommit]:
        """See `Repository.history`."""
        check_ids(head)
        for name, commit in reversed(list(self._remote.history(head))):
            before = self._remote.commits[commit.parent].tree if commit.parent else {}
            author, (mail, committer) = commit.author.partition(" <")[0], _mails(commit.author)
            changes = tuple(_changes(before, commit.tree))
            yield GitCommit(name, commit.when, author, mail, committer, commit.message.strip("\n"), changes)

    def blobs(self, ids: Iterable[str], most_bytes: int = MOST_NOTEBOOK_BYTES) -> Iterator[tuple[str, bytes]]:
        """See `Repository.blobs`."""
        ids = sorted(set(ids))
        check_ids(*ids)
        for blob in ids:
            if blob not in self._remote.blobs:
                raise RepositoryError(action="read a blob", detail=f"the remote does not hold {blob}")
            if len(self._remote.blobs[blob]) <= most_bytes:
                yield blob, self._remote.blobs[blob]

    def check(self) -> list[str]:
        """See `Repository.check`."""
        return []

    def forget(self) -> None:
        """See `Repository.forget`."""
        self._built.clear()

    def _commit(self, name: str) -> MemoryCommit:
        check_ids(name)
        found = self._built.get(name) or self._remote.commits.get(name)
        if found is None:
            raise RepositoryError(action="read a commit", detail=f"there is no {name}")
        return found

    def _blob(self, write: WriteFile) -> str:
        data = b"".join(write.chunks)
        if len(data) != write.size:
            raise RepositoryError(action="import a commit", detail="the stream ended early")
        return self._remote.add(data)


def _mails(people: str) -> list[str]:
    """The addresses of author and committer."""
    return [part.partition(">")[0] for part in people.split(" <")[1:]] or ["", ""]


def _changes(before: Tree, after: Tree) -> Iterator[FileChange]:
    """What differs, a file whose blob was taken from one that is gone as moved: the first in order each time."""
    lost: dict[str, list[str]] = {}
    for file in sorted(before.keys() - after.keys(), reverse=True):
        lost.setdefault(before[file], []).append(file)
    moved = set()
    for file in sorted(f for f in after if after[f] != before.get(f)):
        source = lost.get(after[file]) if file not in before else None
        old = source.pop() if source else None
        moved |= {old} if old else set()
        yield FileChange(file, after[file], old)
    for file in sorted(before.keys() - after.keys() - moved):
        yield FileChange(file, None)
