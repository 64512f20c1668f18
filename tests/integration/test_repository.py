"""The Git adapter against a real Git server over HTTP."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.git_server import REPOSITORY
from shared.adapters.git_mirror import GitMirror
from shared.adapters.git_program import system_git
from shared.adapters.git_stream import commit_stream
from shared.adapters.repository import GitRepository
from shared.domain.own_commits import ToldCommit
from shared.errors import RepositoryError
from shared.protocols import Signature, WriteFile
from tests.servers import TOKEN, Serve, Served

WHO = Signature("Notebook Backup", "backup@example.com", datetime(2026, 1, 2, tzinfo=UTC))
BASIC = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()


@pytest.fixture
def server(serve: Serve) -> Served:
    return serve("local.git_server")


def _repository(server: Served, mirror: Path, authorization: str = BASIC) -> GitRepository:
    return GitRepository(f"{server.url}/{REPOSITORY}", "main", mirror, lambda: authorization)


def _write(file: str, data: bytes) -> WriteFile:
    return WriteFile(file, len(data), iter([data[:2], data[2:]]))


def _commit(repository: GitRepository, parent: str | None, *writes: WriteFile, deletes: tuple[str, ...] = ()) -> str:
    commit = repository.build_commit(parent, deletes, writes, "a message", WHO, WHO)
    assert commit is not None
    return commit


def _on_server(server: Served, *arguments: str) -> str:
    command = ["git", "-C", str(server.folder / REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commits_are_told_with_their_committer_wherever_a_merge_brought_them(server: Served, tmp_path: Path) -> None:
    repository = _repository(server, tmp_path / "mirror")
    first = _commit(repository, None, _write("a.py", b"one"))
    repository.push(first, None)
    who = ("-c", "user.name=Ada \x01 <x", "-c", "user.email=ada@example.com")
    text = "Beside\n\nnothing but\nBackup-Audit: 1:f\n\nand more"
    beside = _on_server(server, *who, "commit-tree", f"{first}^{{tree}}", "-p", first, "-m", text)
    merged = _on_server(server, *who, "commit-tree", f"{first}^{{tree}}", "-p", beside, "-p", first, "-m", "Merge")
    _on_server(server, "update-ref", "refs/heads/main", merged)
    assert repository.fetch() == merged
    assert repository.commits_with(merged, "Backup-Audit: ") == [ToldCommit(beside, "ada@example.com", text)]
    assert [c.commit for c in repository.commits_with(merged, "a message")] == [first]
    assert repository.commits_with(merged, "Audit: ") == []
    found = repository.parents(merged)
    assert found == {merged: (beside, first), beside: (first,), first: ()}
    assert list(found) == [merged, beside, first]


_ENDS_EARLY = """#!/bin/sh
case " $* " in
*" --raw "*) git "$@" | head -c {cut}; echo broken in between >&2; exit 9 ;;
*) exec git "$@" ;;
esac
"""


@pytest.mark.parametrize("question", ["history", "own_files"])
@pytest.mark.parametrize("cut", [0, 500, 10_000])
def test_a_reading_that_ends_before_its_end_is_an_error(
    server: Served, tmp_path: Path, question: str, cut: int
) -> None:
    program = tmp_path / "git that ends early"
    program.write_text(_ENDS_EARLY.format(cut=cut))
    program.chmod(0o755)
    head = None
    for number in range(3):
        whole = _repository(server, tmp_path / "mirror")
        commit = _commit(whole, head, *(_write(f"{name}-{number}.py", b"12") for name in range(9)))
        whole.push(commit, head)
        head = commit
    assert head is not None
    url = f"{server.url}/{REPOSITORY}"
    broken = GitRepository(url, "main", tmp_path / "other", lambda: BASIC, git=system_git(str(program)))
    assert broken.fetch() == head
    with pytest.raises(RepositoryError, match=r"broken in between|in the middle of a change"):
        list(getattr(broken, question)(head))


def test_own_files_without_end_are_an_error(server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.adapters.repository.MOST_CHANGES", 5)
    repository, head = _repository(server, tmp_path / "mirror"), None
    text = "Back up 3 notebooks at 2026-01-02 00:00:00 UTC\n\nBackup-Run: r1\n"
    for number in range(2):
        assert head is None or repository.own_files(head) == {"0-0.py", "1-0.py", "2-0.py"}
        writes = [_write(f"{name}-{number}.py", b"12") for name in range(3)]
        commit = repository.build_commit(head, (), writes, text, WHO, WHO)
        assert commit is not None
        repository.push(commit, head)
        head = commit
    with pytest.raises(RepositoryError, match="name more than 5 files"):
        repository.own_files(str(head))


@pytest.mark.parametrize("authorization", [BASIC, f"Bearer {TOKEN}"])
def test_commits_are_pushed_and_read_back(server: Served, tmp_path: Path, authorization: str) -> None:
    repository = _repository(server, tmp_path / "mirror", authorization)
    assert repository.fetch() is None
    first = _commit(repository, None, _write("a b/ü.py", b"one\r\n"), _write('"odd\nname".py', b"two"))
    repository.push(first, None)
    assert repository.fetch() == first
    assert set(repository.tree(first)) == {"a b/ü.py", '"odd\nname".py'}
    second = _commit(repository, first, _write("c.py", b"three"), deletes=("a b/ü.py",))
    repository.push(second, first)
    fresh = _repository(server, tmp_path / "other", authorization)
    assert fresh.fetch() == second
    assert set(fresh.tree(second)) == {'"odd\nname".py', "c.py"}
    assert _on_server(server, "show", "main:c.py") == "three"
    assert fresh.message(second).strip() == "a message"


@pytest.mark.parametrize("kind", ["401", "403", "413", "429", "503"])
def test_a_refusal_is_an_error_that_shows_no_secret(server: Served, tmp_path: Path, kind: str) -> None:
    repository = _repository(server, tmp_path / "mirror")
    commit = _commit(repository, None, _write("a.py", b"one"))
    server.control("refuse", {"kind": kind, "times": 5})
    with pytest.raises(RepositoryError) as caught:
        repository.push(commit, None)
    assert TOKEN not in str(caught.value)
    assert BASIC.split()[1] not in str(caught.value)


def test_the_token_is_in_no_file_of_the_mirror(server: Served, tmp_path: Path) -> None:
    repository = _repository(server, tmp_path / "mirror")
    repository.push(_commit(repository, None, _write("a.py", b"one")), None)
    repository.fetch()
    secrets = (TOKEN.encode(), BASIC.split()[1].encode())
    files = [f for f in (tmp_path / "mirror").rglob("*") if f.is_file()]
    assert len(files) > 5
    assert [f for f in files if any(s in f.read_bytes() for s in secrets)] == []


def test_the_server_refuses_a_tree_that_no_checkout_should_hold(server: Served, tmp_path: Path) -> None:
    repository = _repository(server, tmp_path / "mirror")
    with pytest.raises(RepositoryError):
        repository.push(_commit(repository, None, _write(".git/config", b"x")), None)


@pytest.mark.parametrize("commands", [1, 2, 3, 4])
def test_a_stream_that_ends_between_two_commands_makes_nothing(tmp_path: Path, commands: int) -> None:
    """Its sender was killed there: without `--done`, git would take what came for the whole commit."""
    mirror = GitMirror("http://127.0.0.1:9/none.git", tmp_path / "mirror", lambda: BASIC)
    whole = b"".join(
        commit_stream("refs/backup/x", None, (), [_write("a.py", b"12"), _write("b.py", b"34")], "m", WHO, WHO)
    )
    ends = [
        whole.index(b"M 100644 inline a.py"),
        whole.index(b"M 100644 inline b.py"),
        whole.index(b"done"),
        len(whole),
    ]
    if commands == len(ends):
        mirror.fast_import([whole])
        assert mirror.has("refs/backup/x")
        return
    with pytest.raises(RepositoryError, match="import"):
        mirror.fast_import([whole[: ends[commands - 1]]])
    assert not mirror.has("refs/backup/x")
