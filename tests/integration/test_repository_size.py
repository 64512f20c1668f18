"""The pack of a real Git server, counted as it comes."""

from __future__ import annotations

import base64
import random
import subprocess
from pathlib import Path

import pytest

from local.git_server import REPOSITORY, person_commits
from shared.adapters.repository_size import MOST_FETCHES, GitSizeMeter
from shared.errors import RepositoryError
from shared.protocols import RepositorySize, SizeSource
from tests.servers import TOKEN, Serve, Served

BASIC = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()
ABSENT = "0" * 40
FILE_BYTES = 40_000


@pytest.fixture
def server(serve: Serve) -> Served:
    return serve("local.git_server")


def _commit(server: Served, name: str) -> str:
    """A file that does not compress to less than its half, in a commit of its own."""
    text = random.Random(name).randbytes(FILE_BYTES // 2).hex()
    person_commits(_folder(server), "main", {name: text}, "grace")
    return _git(server, "rev-parse", "main")


def _folder(server: Served) -> Path:
    return server.folder / REPOSITORY


def _git(server: Served, *arguments: str) -> str:
    command = ["git", "-C", str(_folder(server)), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _meter(server: Served, **options: int) -> GitSizeMeter:
    return GitSizeMeter(f"{server.url}/{REPOSITORY}", lambda: BASIC, **options)


def _cloned_pack(server: Served, folder: Path) -> int:
    """What Git itself keeps of a clone."""
    url = f"{server.url.replace('http://', f'http://x:{TOKEN}@')}/{REPOSITORY}"
    subprocess.run(["git", "clone", "--quiet", "--bare", url, str(folder)], check=True)
    return sum(pack.stat().st_size for pack in folder.glob("objects/pack/*.pack"))


def test_a_clone_is_counted_as_large_as_git_keeps_it(server: Served, tmp_path: Path) -> None:
    _commit(server, "a.py")
    head = _commit(server, "b.py")
    found = _meter(server).measure(head, None)
    assert (found.source, found.head, found.whole, found.fetches) == (SizeSource.CLONE, head, True, 0)
    assert found.size == pytest.approx(_cloned_pack(server, tmp_path / "clone.git"), rel=0.01)
    assert found.size > FILE_BYTES


def test_what_came_since_is_added(server: Served) -> None:
    first = _meter(server).measure(_commit(server, "a.py"), None)
    assert _meter(server).measure(str(first.head), first) == first
    second = _meter(server).measure(_commit(server, "b.py"), first)
    assert (second.source, second.fetches) == (SizeSource.CLONE_AND_FETCHES, 1)
    assert FILE_BYTES / 2 < second.size - first.size < FILE_BYTES
    late = RepositorySize(second.size * 9, second.source, first.head, fetches=MOST_FETCHES)
    again = _meter(server).measure(str(second.head), late)
    assert (again.source, again.fetches) == (SizeSource.CLONE, 0)
    assert again.size == pytest.approx(second.size, rel=0.05)


def test_a_history_that_was_replaced_is_counted_anew(server: Served) -> None:
    head = _commit(server, "a.py")
    known = RepositorySize(10**9, SizeSource.CLONE, ABSENT)
    found = _meter(server).measure(head, known)
    assert (found.source, found.head) == (SizeSource.CLONE, head)
    assert found.size < 10**6


def test_no_more_than_the_bound_is_counted(server: Served) -> None:
    found = _meter(server, most_bytes=1_000).measure(_commit(server, "a.py"), None)
    assert (found.size, found.whole) == (1_000, False)
    more = _meter(server).measure(_commit(server, "b.py"), found)
    assert (more.source, more.whole) == (SizeSource.CLONE_AND_FETCHES, False)


@pytest.mark.parametrize("kind", ["401", "403", "lost_answer"])
def test_a_refusal_is_an_error_without_the_credential(server: Served, kind: str) -> None:
    head = _commit(server, "a.py")
    server.control("refuse", {"kind": kind, "times": 9, "service": "git-upload-pack"})
    with pytest.raises(RepositoryError) as caught:
        _meter(server).measure(head, None)
    assert TOKEN not in str(caught.value)


def test_a_commit_that_is_not_there_is_an_error(server: Served) -> None:
    _commit(server, "a.py")
    with pytest.raises(RepositoryError):
        _meter(server).measure(ABSENT, None)
