"""A real Git repository beside the test, as people and administrators use it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

from local.git_server import make_repository, person_commits
from shared.adapters.repository import GitRepository


class GitRemote:
    """See `local.memory.world.Remote`: a bare repository with the server's configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mirrors = itertools.count()
        make_repository(path)

    @property
    def head(self) -> str | None:
        """See `Remote.head`."""
        found = self._git("for-each-ref", "--format=%(objectname)", "refs/heads/main").decode().strip()
        return found or None

    def mirror(self, scratch: Path) -> GitRepository:
        """See `Remote.mirror`: each has a mirror of its own, as on a new instance."""
        url = f"file://{self.path}"
        return GitRepository(url, "main", scratch / f"mirror-{next(self._mirrors)}.git", lambda: "Basic eDp4")

    def contents(self) -> dict[str, bytes]:
        """See `Remote.contents`."""
        if self.head is None:
            return {}
        found = {}
        for row in filter(None, self._git("ls-tree", "-r", "-z", "--full-tree", "main").split(b"\0")):
            meta, name = row.split(b"\t", 1)
            found[name.decode()] = self._git("cat-file", "blob", meta.split()[2].decode())
        return found

    def messages(self) -> dict[str, str]:
        """See `Remote.messages`."""
        if self.head is None:
            return {}
        rows = self._git("log", "-z", "--format=%H%n%B", "main").decode().split("\0")
        return {name: text for name, _, text in (row.partition("\n") for row in filter(None, rows))}

    def unchanged(self) -> list[str]:
        """See `Remote.unchanged`."""
        if self.head is None:
            return []
        rows = [row.split() for row in self._git("log", "--format=%H %T", "main").decode().splitlines()]
        same = [new for (new, tree), (_, before) in itertools.pairwise(rows) if tree == before]
        messages = self.messages() if same else {}
        return [name for name in same if "\nBackup-Run: " in messages[name]]

    def person_commits(self, files: dict[str, bytes | None], author: str = "somebody") -> str:
        """See `Remote.person_commits`."""
        text = {file: None if data is None else data.decode() for file, data in files.items()}
        person_commits(self.path, "main", text, author)
        return str(self.head)

    def move(self, commit: str | None) -> None:
        """See `Remote.move`."""
        where = ["-d", "refs/heads/main"] if commit is None else ["refs/heads/main", commit]
        self._git("update-ref", *where)

    def empty(self) -> None:
        """See `Remote.empty`."""
        shutil.rmtree(self.path)
        make_repository(self.path)

    def fsck(self) -> str:
        """What a full check says."""
        return self._git("fsck", "--full", "--strict", "--no-dangling").decode()

    def _git(self, *arguments: str) -> bytes:
        return subprocess.run(["git", "-C", str(self.path), *arguments], check=True, capture_output=True).stdout
