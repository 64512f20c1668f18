"""What a workspace reads of a Git remote: by git over HTTP, with the credentials that the caller stored."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MOST_PACKS = 100
type Files = dict[str, str]
"""Files of a tree with their blob ids."""


class GitRefused(Exception):
    """The remote refused, or has no such branch."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote's address with the token that opens it."""

    url: str
    token: str


class GitSource(Protocol):
    """A remote, as a Git folder sees it. All raise `GitRefused`."""

    def default_branch(self, remote: Remote) -> str:
        """The branch that a clone checks out."""
        ...

    def files(self, remote: Remote, ref: str) -> tuple[str, Files]:
        """The commit of a branch or tag, and its tree."""
        ...

    def blobs(self, remote: Remote, ids: Iterable[str]) -> dict[str, bytes]:
        """Blobs of trees that were read."""
        ...


class RemoteGit:
    """See `GitSource`. One bare repository for each address, in `folder`: a cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trees: dict[str, Files] = {}
        self._known: set[str] = set()

    def default_branch(self, remote: Remote) -> str:
        """See `GitSource.default_branch`."""
        text = self._git(remote, "ls-remote", "--symref", remote.url, "HEAD").decode()
        if not text.startswith("ref: refs/heads/"):
            raise GitRefused("the remote has no default branch")
        return text.split()[1].removeprefix("refs/heads/")

    def files(self, remote: Remote, ref: str) -> tuple[str, Files]:
        """See `GitSource.files`."""
        names = (f"refs/heads/{ref}", f"refs/tags/{ref}")
        found = self._git(remote, "ls-remote", remote.url, *names).decode().split()
        if not found:
            raise GitRefused(f"the remote has no branch or tag {ref}")
        commit = found[0]
        if commit not in self._trees:
            fetch = ["fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags", "origin", commit]
            self._git(remote, *fetch)
            self._trees[commit] = self._tree(remote, commit)
        return commit, self._trees[commit]

    def blobs(self, remote: Remote, ids: Iterable[str]) -> dict[str, bytes]:
        """See `GitSource.blobs`."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        # One fetch for all that are missing: git would bring each by itself.
        listed = "".join(f"{i}\n" for i in wanted).encode()
        missing = [blob for blob in wanted if blob not in self._known]
        fetch = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-write-fetch-head", "--refetch"]
        if missing:
            asked = "".join(f"{i}\n" for i in missing).encode()
            self._git(remote, *fetch, "--filter=blob:none", "--stdin", "origin", given=asked)
            self._known.update(missing)
            self._tidy(remote)
        data, found = self._git(remote, "cat-file", "--batch", given=listed), {}
        for name in wanted:
            header, _, data = data.partition(b"\n")
            size = int(header.split()[2])
            found[name], data = data[:size], data[size + 1 :]
        return found

    def _tree(self, remote: Remote, commit: str) -> Files:
        rows = self._git(remote, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
        parts = (row.split(b"\t", 1) for row in rows if row)
        return {name.decode("utf-8", "surrogateescape"): meta.split()[2].decode() for meta, name in parts}

    def _tidy(self, remote: Remote) -> None:
        """Each fetch leaves a pack, and every command opens all of them."""
        if len(list(self._path(remote).glob("objects/pack/*.pack"))) > MOST_PACKS:
            self._git(remote, "repack", "-a", "-d", "-q")

    def _path(self, remote: Remote) -> Path:
        return self._folder / f"{hashlib.sha256(remote.url.encode()).hexdigest()[:16]}.git"

    def _git(self, remote: Remote, *arguments: str, given: bytes | None = None) -> bytes:
        path = self._path(remote)
        if not path.exists():
            subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
            for name, value in (("url", remote.url), ("promisor", "true"), ("partialclonefilter", "blob:none")):
                subprocess.run(["git", "-C", str(path), "config", f"remote.origin.{name}", value], check=True)
        basic = base64.b64encode(f":{remote.token}".encode()).decode()
        environment = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_TERMINAL_PROMPT": "0"}
        environment |= {**os.environ, "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}", **environment}
        done = subprocess.run(
            ["git", "-C", str(path), *arguments], input=given, capture_output=True, env=environment, check=False
        )
        if done.returncode:
            raise GitRefused(done.stderr.decode("utf-8", "replace").strip()[-300:].replace(remote.token, "***"))
        return done.stdout
