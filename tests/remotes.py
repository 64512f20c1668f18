"""What an administrator does to a served Git repository behind the backup's back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from local.git_server import make_repository


def delete_branch(repository: Path, branch: str = "main") -> None:
    """Delete the branch; its objects stay, as on a server."""
    _git(repository, "update-ref", "-d", f"refs/heads/{branch}")


def rewind(repository: Path, commit: str, branch: str = "main") -> None:
    """Move the branch to any commit, as a forced push does."""
    _git(repository, "update-ref", f"refs/heads/{branch}", commit)


def replace(repository: Path) -> None:
    """Put an empty repository in its place."""
    shutil.rmtree(repository)
    make_repository(repository)


def text(repository: Path, *arguments: str) -> str:
    """What a git command prints."""
    return _git(repository, *arguments).decode().strip()


def contents(repository: Path, branch: str = "main") -> dict[str, bytes]:
    """The branch's files with their bytes."""
    listed = _git(repository, "ls-tree", "-r", "-z", "--full-tree", branch)
    found = {}
    for row in filter(None, listed.split(b"\0")):
        meta, name = row.split(b"\t", 1)
        found[name.decode()] = _git(repository, "cat-file", "blob", meta.split()[2].decode())
    return found


def _git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True).stdout
