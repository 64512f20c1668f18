"""What a Git server holds, in memory: objects, the backup's branch, other branches, tags."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local.memory.commits import MemoryCommit, place, remove
from shared.domain.blob_ids import blob_id
from shared.domain.tags import Tag


@dataclass
class MemoryServer:
    """What the server holds: blobs and commits by id, and the head of the one branch."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    commits: dict[str, MemoryCommit] = field(default_factory=dict)
    head: str | None = None
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    default_branch: str = "main"
    modes: dict[str, str] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def history(self, commit: str | None) -> Iterator[tuple[str, MemoryCommit]]:
        """A commit and those before it, the newest first."""
        while commit is not None:
            found = self.commits[commit]
            yield commit, found
            commit = found.parent

    def lineage(self, head: str) -> list[str]:
        """A commit and all that it follows on, parents before children."""
        found: dict[str, None] = {}
        waiting: list[tuple[str, bool]] = [(head, False)]
        while waiting:
            name, entered = waiting.pop()
            if entered:
                found[name] = None
            elif name not in found and (commit := self.commits.get(name)):
                waiting += [(name, True), *((p, False) for p in (commit.merged, commit.parent) if p)]
        return list(found)

    def messages(self) -> dict[str, str]:
        """The messages of the branch's commits by id, the newest first."""
        return {name: commit.message for name, commit in self.history(self.head)}

    def unchanged(self) -> list[str]:
        """Commits of the backup that changed nothing."""
        history = [(name, c) for name, c in self.history(self.head) if "\nBackup-Run: " in c.message]
        return [name for name, c in history if c.parent and self.commits[c.parent].tree == c.tree]

    def person_commits(self, files: dict[str, bytes | None], author: str = "somebody") -> str:
        """A commit by a person on the branch; a file given as None is removed."""
        with self.lock:
            tree = dict(self.commits[self.head].tree) if self.head else {}
            for file, data in files.items():
                remove(tree, file)
                if data is not None:
                    place(tree, file, self.add(data))
            self.head = self.enter(MemoryCommit(self.head, tree, "change", author, self._last_moment()))
            return self.head

    def _last_moment(self) -> datetime:
        return self.commits[self.head].when if self.head else datetime(1970, 1, 1, tzinfo=UTC)

    def move(self, commit: str | None) -> None:
        """Move the branch to any commit, as a forced push does; None deletes it."""
        with self.lock:
            self.head = commit

    def empty(self) -> None:
        """Put an empty repository in its place."""
        with self.lock:
            self.head = None
            self.branches.clear()
            self.tags.clear()
            self.commits.clear()
            self.blobs.clear()

    def contents(self) -> dict[str, bytes]:
        """The branch's files with their bytes."""
        tree = self.commits[self.head].tree if self.head else {}
        return {file: self.blobs[blob] for file, blob in tree.items()}

    def add(self, data: bytes) -> str:
        """Keep a blob; returns its id."""
        blob = blob_id(data)
        self.blobs[blob] = data
        return blob

    def enter(self, commit: MemoryCommit) -> str:
        """Keep a commit; returns its id."""
        text = repr((commit.parent, commit.merged, sorted(commit.tree.items()), commit.message, commit.author))
        name = hashlib.sha1(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        self.commits[name] = commit
        return name
