"""Tags in memory and on a real Git server: made, listed, never moved, removed while they are what was seen."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.git_server import REPOSITORY
from local.memory.repository import MemoryRemote, MemoryRepository
from shared.adapters.repository import GitRepository
from shared.errors import RepositoryError
from shared.protocols import Repository, Signature, Tags, WriteFile
from tests.servers import TOKEN, Serve, Served

WHO = Signature("Notebook Backup", "backup@example.com", datetime(2026, 1, 2, tzinfo=UTC))
TAGGER = Signature("Notebook Backup", "backup@example.com", datetime(2026, 11, 1, 5, tzinfo=UTC))


@dataclass
class Remote:
    """A remote with three commits, the oldest first, and a process that has nothing of it yet."""

    commits: list[str]
    repository: Repository
    tags: Tags


@pytest.fixture
def server(serve: Serve) -> Served:
    return serve("local.git_server")


@pytest.fixture(params=["memory", "git"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "memory":
        held = MemoryRemote()
        fresh = MemoryRepository(held)
        return Remote(_history(MemoryRepository(held)), fresh, fresh.tags())
    return _on_git(request.getfixturevalue("server"), tmp_path)


@pytest.fixture
def git(server: Served, tmp_path: Path) -> Remote:
    return _on_git(server, tmp_path)


def _on_git(server: Served, folder: Path) -> Remote:
    def mirror(name: str) -> GitRepository:
        return GitRepository(f"{server.url}/{REPOSITORY}", "main", folder / name, lambda: f"Bearer {TOKEN}")

    fresh = mirror("fresh.git")
    return Remote(_history(mirror("writer.git")), fresh, fresh.tags())


def _history(repository: Repository) -> list[str]:
    commits: list[str] = []
    for number in range(3):
        commits.append(_commit(repository, commits[-1] if commits else None, number))
    return commits


def _commit(repository: Repository, parent: str | None, number: int) -> str:
    repository.fetch()
    write = WriteFile(f"{number}.py", 4, iter([b"te", b"xt"]))
    commit = repository.build_commit(parent, (), [write], "a message\n", WHO, WHO)
    assert commit is not None
    repository.push(commit, parent)
    return commit


def test_a_tag_of_any_commit_is_made_and_read_back(remote: Remote) -> None:
    tags = remote.tags
    assert (tags.all(), tags.commits()) == ([], {})
    assert tags.create("v1/ü", remote.commits[0], "First\n\nBackup-Tag: requested\n", TAGGER)
    assert tags.create("backup/2026-11", remote.commits[2], "month\n", TAGGER)
    month, first = tags.all()
    assert (month.name, month.commit, month.text) == ("backup/2026-11", remote.commits[2], "month")
    assert (first.name, first.commit, first.kind, first.text) == ("v1/ü", remote.commits[0], "requested", "First")
    assert (first.tagger, first.when) == ("Notebook Backup <backup@example.com>", TAGGER.when)
    assert tags.commits() == {"v1/ü": remote.commits[0], "backup/2026-11": remote.commits[2]}


def test_a_tag_is_never_moved(remote: Remote) -> None:
    assert remote.tags.create("v1", remote.commits[0], "one\n", TAGGER)
    assert not remote.tags.create("v1", remote.commits[1], "other\n", TAGGER)
    assert remote.tags.commits() == {"v1": remote.commits[0]}


def test_one_that_was_removed_is_gone_and_stays_so(remote: Remote) -> None:
    assert remote.tags.create("v1", remote.commits[0], "one\n", TAGGER)
    (found,) = remote.tags.all()
    assert remote.tags.delete(found)
    assert remote.tags.all() == []
    assert remote.tags.delete(found)


def test_a_tag_that_was_made_anew_meanwhile_is_not_removed(remote: Remote) -> None:
    assert remote.tags.create("v1", remote.commits[0], "one\n", TAGGER)
    (found,) = remote.tags.all()
    assert remote.tags.delete(found)
    assert remote.tags.create("v1", remote.commits[1], "two\n", TAGGER)
    assert not remote.tags.delete(found)
    assert remote.tags.commits() == {"v1": remote.commits[1]}


def test_a_commit_that_the_branch_does_not_hold_gets_no_tag(remote: Remote) -> None:
    with pytest.raises(RepositoryError, match="does not hold"):
        remote.tags.create("v1", "1" * 40, "one\n", TAGGER)


def _on_server(server: Served, *arguments: str) -> str:
    command = ["git", "-C", str(server.folder / REPOSITORY), "-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_the_server_holds_an_annotated_tag_that_is_well_formed(git: Remote, server: Served) -> None:
    tagger = Signature("A <b>\n", "a b@example.com", TAGGER.when)
    assert git.tags.create("v1", git.commits[0], "one\n", tagger)
    assert _on_server(server, "cat-file", "-t", "v1") == "tag"
    assert _on_server(server, "for-each-ref", "--format=%(taggername) %(taggeremail)", "refs/tags") == (
        "A b <ab@example.com>"
    )
    assert _on_server(server, "fsck", "--strict") == ""


def test_tags_of_people_are_seen_too(git: Remote, server: Served) -> None:
    _on_server(server, "tag", "light", git.commits[1])
    _on_server(server, "tag", "-a", "-m", "by hand", "heavy", git.commits[0])
    _on_server(server, "tag", "-a", "-m", "no commit", "of-a-tree", f"{git.commits[1]}^{{tree}}")
    heavy, light = git.tags.all()
    assert (heavy.name, heavy.commit, heavy.message, heavy.kind) == ("heavy", git.commits[0], "by hand", None)
    assert (light.name, light.commit, light.message, light.when) == ("light", git.commits[1], "", None)


def test_the_history_of_the_mirror_stays_whole(git: Remote) -> None:
    assert git.tags.create("v1", git.commits[0], "one\n", TAGGER)
    assert git.tags.create("v2", git.commits[1], "two\n", TAGGER)
    assert len(git.tags.all()) == 2
    assert [c.commit for c in git.repository.history(git.commits[2])] == git.commits
    _commit(git.repository, git.commits[2], 3)
    assert git.repository.check() == []


@pytest.mark.parametrize(("kind", "made"), [("403", False), ("lost_answer", True)])
def test_a_push_that_fails_leaves_what_the_server_says(git: Remote, server: Served, kind: str, *, made: bool) -> None:
    push: Callable[[], bool] = lambda: git.tags.create("v1", git.commits[0], "one\n", TAGGER)  # noqa: E731
    server.control("refuse", {"kind": kind, "times": 2 if kind == "403" else 1})
    if made:
        assert push()
    else:
        with pytest.raises(RepositoryError, match="push a tag"):
            push()
    assert ("v1" in git.tags.commits()) is made
