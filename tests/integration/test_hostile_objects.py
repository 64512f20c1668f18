"""Pushes of some kilobytes that stand for gigabytes: neither the app nor its git takes the memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from local.git_server import REPOSITORY, make_repository
from shared.adapters.git_mirror import GitMirror
from shared.adapters.repository import GitRepository
from shared.errors import RepositoryError
from tests.servers import ROOT, TOKEN, Serve

MEGABYTES = 150
MOST_MEMORY_BYTES = 100 * 2**20
LEVELS = 9
_BRING = """
import resource, sys
from pathlib import Path
from shared.adapters.git_mirror import GitMirror
GitMirror(sys.argv[1], Path(sys.argv[2]), lambda: "Basic eDp4").bring_blobs(sys.argv[3:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode().strip()


def _large(folder: Path) -> str:
    """A blob of many megabytes, whose pack has some kilobytes; given as it is made."""
    # So that the server beside the test does not hold it either.
    _git(folder, "config", "core.bigFileThreshold", "1m")
    command = ["git", "-C", str(folder), "hash-object", "-w", "--stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(MEGABYTES):
            process.stdin.write(bytes(2**20))
        process.stdin.close()
        blob = process.stdout.read().decode().strip()
    _push(folder, _git(folder, "mktree", given=f"100644 blob {blob}\ta.py\n".encode()))
    return blob


def _push(folder: Path, tree: str) -> str:
    who = ["-c", "user.name=eve", "-c", "user.email=eve@example.com"]
    commit = _git(folder, *who, "commit-tree", "-m", "mine", tree)
    _git(folder, "update-ref", "refs/heads/main", commit)
    return commit


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    make_repository(tmp_path / "remote.git")
    return tmp_path / "remote.git"


def test_a_large_blob_is_neither_read_nor_held(serve: Serve, tmp_path: Path) -> None:
    server = serve("local.git_server")
    blob = _large(server.folder / REPOSITORY)
    repository = GitRepository(f"{server.url}/{REPOSITORY}", "main", tmp_path / "mirror", lambda: f"Bearer {TOKEN}")
    tracemalloc.start()
    try:
        assert list(repository.blobs([blob])) == []
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY_BYTES
    finally:
        tracemalloc.stop()


def test_git_brings_a_large_blob_to_the_disk_without_holding_it(remote: Path, tmp_path: Path) -> None:
    arguments = [f"file://{remote}", str(tmp_path / "mirror"), _large(remote)]
    program = [sys.executable, "-c", _BRING, *arguments]
    held = subprocess.run(program, check=True, capture_output=True, cwd=ROOT).stdout
    assert int(held) * 2**10 < MOST_MEMORY_BYTES


def test_git_ends_rather_than_take_more_memory_than_it_may(remote: Path, tmp_path: Path) -> None:
    """Below the size from which git reads blobs part by part; a delta's result is held in the same way."""
    blob = _git(remote, "hash-object", "-w", "--stdin", given=bytes(12 * 2**20))
    _push(remote, _git(remote, "mktree", given=f"100644 blob {blob}\ta.py\n".encode()))
    for most, fits in (("4m", False), ("64m", True)):
        mirror = GitMirror(f"file://{remote}", tmp_path / f"mirror-{most}", lambda: "Basic eDp4", most_held=most)
        if fits:
            mirror.bring_blobs([blob])
            continue
        with pytest.raises(RepositoryError, match="over limit"):
            mirror.bring_blobs([blob])


def test_git_ends_rather_than_hold_a_folder_of_very_many_files(remote: Path, tmp_path: Path) -> None:
    blob = _git(remote, "hash-object", "-w", "--stdin", given=b"x")
    rows = (f"100644 blob {blob}\t{number:06}{'0' * 30}\n" for number in range(100_000))
    commit = _push(remote, _git(remote, "mktree", given="".join(rows).encode()))
    little = GitMirror(f"file://{remote}", tmp_path / "little", lambda: "Basic eDp4", most_held="4m")
    with pytest.raises(RepositoryError, match="over limit"):
        little.fetch("fetch a commit", "--depth=1", "--filter=blob:none", "--quiet", "origin", commit)
    repository = GitRepository(f"file://{remote}", "main", tmp_path / "mirror", lambda: "Basic eDp4")
    assert repository.fetch() == commit
    assert len(repository.tree(commit)) == 100_000


def test_a_tree_of_more_files_than_can_be_is_not_listed(remote: Path, tmp_path: Path) -> None:
    """Each folder holds the one below it ten times: ten objects, 10,000,000,000 files."""
    blob = _git(remote, "hash-object", "-w", "--stdin", given=b"x")
    tree = _git(remote, "mktree", given="".join(f"100644 blob {blob}\t{n}\n" for n in range(10)).encode())
    for _ in range(LEVELS):
        tree = _git(remote, "mktree", given="".join(f"040000 tree {tree}\t{n}\n" for n in range(10)).encode())
    commit = _push(remote, tree)
    mirror = GitMirror(f"file://{remote}", tmp_path / "mirror", lambda: "Basic eDp4", most_listed_bytes=2**20)
    mirror.remote("fetch", "fetch", "--quiet", "origin", commit)
    with pytest.raises(RepositoryError, match="more of it than 1 MB"):
        mirror.listing("read a tree", "ls-tree", "-r", "-z", "--full-tree", commit)
    repository = GitRepository(f"file://{remote}", "main", tmp_path / "other", lambda: "Basic eDp4")
    assert repository.fetch() == commit
    with pytest.raises(RepositoryError, match="more of it than"):
        repository.tree(commit)
