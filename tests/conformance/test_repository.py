"""What a repository promises, kept by git (beside it and over HTTP) and by the one in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.git_server import REPOSITORY, make_repository, person_commits
from local.memory.repository import MemoryRemote, MemoryRepository
from shared.adapters.repository import GitRepository
from shared.errors import RemoteMoved, RepositoryError
from shared.protocols import PointFile, Repository, Signature, WriteFile
from tests.remotes import GitRemote
from tests.servers import TOKEN

WHO = Signature("Notebook Backup", "backup@example.com", datetime(2026, 1, 2, tzinfo=UTC))
BASIC = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()
MESSAGE = "Back up 1 notebook at 2026-01-02 00:00:00 UTC\n\nBackup-Run: r1\n"


@dataclass
class Remote:
    """One implementation: mirrors of one remote, and what people and administrators do to it."""

    mirror: Callable[[], Repository]
    person: Callable[[dict[str, str | None]], object]
    delete_branch: Callable[[], object]
    rewind: Callable[[str], object]


@pytest.fixture(params=["memory", "git", "git over http"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "memory":
        return _memory()
    if request.param == "git":
        make_repository(tmp_path / "remote.git")
        return _git(tmp_path / "remote.git", f"file://{tmp_path}/remote.git", tmp_path)
    server = request.getfixturevalue("serve")("local.git_server")
    return _git(server.folder / REPOSITORY, f"{server.url}/{REPOSITORY}", tmp_path)


def _memory() -> Remote:
    held = MemoryRemote()

    def person(files: dict[str, str | None]) -> None:
        held.person_commits({f: None if t is None else t.encode() for f, t in files.items()})

    return Remote(
        lambda: MemoryRepository(held),
        person,
        lambda: setattr(held, "head", None),
        lambda commit: setattr(held, "head", commit),
    )


def _git(served: Path, url: str, folder: Path) -> Remote:
    made: list[GitRepository] = []

    def mirror() -> Repository:
        made.append(GitRepository(url, "main", folder / f"mirror-{len(made)}", lambda: BASIC))
        return made[-1]

    return Remote(
        mirror,
        lambda files: person_commits(served, "main", files, "grace"),
        lambda: GitRemote(served).move(None),
        lambda commit: GitRemote(served).move(commit),
    )


def _write(file: str, data: bytes) -> WriteFile:
    return WriteFile(file, len(data), iter([data[:2], data[2:]]))


def _commit(
    repository: Repository, parent: str | None, *writes: WriteFile | PointFile, deletes: tuple[str, ...] = ()
) -> str:
    commit = repository.build_commit(parent, deletes, writes, MESSAGE, WHO, WHO)
    assert commit is not None
    return commit


def _pushed(repository: Repository, *writes: WriteFile | PointFile, deletes: tuple[str, ...] = ()) -> str:
    head = repository.fetch()
    commit = _commit(repository, head, *writes, deletes=deletes)
    repository.push(commit, head)
    return commit


def test_messages_are_found_by_the_beginning_of_a_line(remote: Remote) -> None:
    mirror = remote.mirror()
    _pushed(mirror, _write("a", b"12"))
    remote.person({"b": "theirs"})
    head = str(mirror.fetch())
    other = remote.mirror()
    assert other.fetch() == head
    assert [m.strip() for m in other.messages_with(head, "Backup-Run: ")] == [MESSAGE.strip()]
    assert other.messages_with(head, "Backup-Audit: ") == []
    assert other.messages_with(head, "Run: ") == []
    (told,) = other.commits_with(head, "Backup-Run: ")
    assert (told.committer, told.message) == (WHO.email, MESSAGE.strip())
    assert other.commits_with(head, "Run: ") == []
    assert other.parents(head) == {head: (told.commit,), told.commit: ()}


def test_commits_are_pushed_and_read_back_by_another_mirror(remote: Remote) -> None:
    repository = remote.mirror()
    assert repository.fetch() is None
    first = _pushed(repository, _write("a b/ü.py", b"one\r\n"), _write('"odd\nname".py', b"two"))
    assert repository.fetch() == first
    second = _pushed(repository, _write("c.py", b"three"), deletes=("a b/ü.py", "not there"))
    other = remote.mirror()
    assert other.fetch() == second
    assert set(other.tree(second)) == {'"odd\nname".py', "c.py"}
    assert other.message(second).strip() == MESSAGE.strip()
    assert set(other.tree(first)) == {"a b/ü.py", '"odd\nname".py'}


def test_two_commits_are_compared(remote: Remote) -> None:
    repository = remote.mirror()
    first = _pushed(repository, _write("a b/ü.py", b"one"), _write('"odd\nname".py', b"two"), _write("same.py", b"x"))
    second = _pushed(repository, _write('"odd\nname".py', b"new"), _write("c.py", b"three"), deletes=("a b/ü.py",))
    tree = repository.tree(second)
    expected = {"a b/ü.py": None, '"odd\nname".py': tree['"odd\nname".py'], "c.py": tree["c.py"]}
    assert repository.changes(first, second) == expected
    assert repository.changes(second, second) == {}
    assert repository.changes(None, second) == tree


def test_a_tree_that_does_not_change_gives_no_commit(remote: Remote) -> None:
    repository = remote.mirror()
    first = _pushed(repository, _write("a.py", b"one"))
    blob = repository.tree(first)["a.py"]
    for write in (_write("a.py", b"one"), PointFile("a.py", blob)):
        assert repository.build_commit(first, (), [write], "again", WHO, WHO) is None
    assert repository.build_commit(first, ("nobody.py",), [], "again", WHO, WHO) is None


def test_a_blob_that_the_remote_alone_has_is_put_into_a_tree(remote: Remote) -> None:
    blob = remote.mirror().tree(_pushed(remote.mirror(), _write("a.py", b"one")))["a.py"]
    fresh = remote.mirror()
    _pushed(fresh, PointFile("b/c.py", blob), PointFile("é.py", blob), deletes=("a.py",))
    other = remote.mirror()
    assert other.tree(str(other.fetch())) == {"b/c.py": blob, "é.py": blob}
    assert list(other.blobs([blob])) == [(blob, b"one")]


def test_a_stream_that_ends_early_makes_nothing(remote: Remote) -> None:
    repository = remote.mirror()
    first = _pushed(repository, _write("a.py", b"one"))
    with pytest.raises(RepositoryError):
        repository.build_commit(first, (), [WriteFile("b.py", 1000, iter([b"short"]))], "m", WHO, WHO)
    assert repository.fetch() == first


def test_a_stream_whose_source_fails_makes_nothing(remote: Remote) -> None:
    repository = remote.mirror()
    first = _pushed(repository, _write("a.py", b"one"))

    def chunks() -> object:
        yield b"some"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        repository.build_commit(first, (), [WriteFile("b.py", 8, chunks())], "m", WHO, WHO)  # type: ignore[arg-type]
    assert repository.fetch() == first


@pytest.mark.parametrize(("there", "written", "left"), [("a.py", "a.py/b", {"a.py/b"}), ("a.py/b", "a.py", {"a.py"})])
def test_a_file_and_a_folder_of_one_name_do_not_stand_together(
    remote: Remote, there: str, written: str, left: set[str]
) -> None:
    repository = remote.mirror()
    _pushed(repository, _write(there, b"one"))
    assert set(repository.tree(_pushed(repository, _write(written, b"two")))) == left


def test_a_branch_that_moved_refuses_the_push(remote: Remote) -> None:
    repository = remote.mirror()
    first = _pushed(repository, _write("a.py", b"one"))
    remote.person({"README.md": "theirs"})
    second = _commit(repository, first, _write("a.py", b"two"))
    with pytest.raises(RemoteMoved):
        repository.push(second, first)
    head = repository.fetch()
    assert head not in (None, first, second)
    assert set(repository.tree(str(head))) == {"a.py", "README.md"}


def test_only_the_first_of_two_mirrors_makes_the_branch(remote: Remote) -> None:
    one, two = remote.mirror(), remote.mirror()
    mine, theirs = _commit(one, None, _write("a.py", b"1")), _commit(two, None, _write("b.py", b"2"))
    one.push(mine, None)
    with pytest.raises(RemoteMoved):
        two.push(theirs, None)
    assert two.fetch() == mine


def test_history_is_known_though_the_mirror_is_shallow(remote: Remote) -> None:
    repository = remote.mirror()
    first = _pushed(repository, _write("a.py", b"1"))
    second = _pushed(repository, _write("a.py", b"2"))
    remote.person({"README.md": "theirs"})
    other = remote.mirror()
    head = str(other.fetch())
    assert [other.contains(head, c) for c in (head, second, first, "0" * 40)] == [True, True, True, False]
    assert other.contains(first, second) is False
    assert set(other.tree(head)) == {"a.py", "README.md"}
    assert _pushed(other, _write("b.py", b"3")) == other.fetch()


def test_a_deleted_branch_is_revived_at_a_commit_that_the_remote_holds(remote: Remote) -> None:
    repository = remote.mirror()
    _pushed(repository, _write("a.py", b"1"))
    last = _pushed(repository, _write("a.py", b"2"))
    assert repository.revive(last) is False
    remote.delete_branch()
    assert repository.fetch() is None
    assert repository.revive("0" * 40) is False
    assert repository.revive(last) is True
    assert repository.fetch() == last
    assert len([c for c in [last] if repository.contains(last, c)]) == 1


def test_a_rewound_branch_does_not_hold_what_it_lost(remote: Remote) -> None:
    repository = remote.mirror()
    first = _pushed(repository, _write("a.py", b"1"))
    second = _pushed(repository, _write("a.py", b"2"))
    remote.rewind(first)
    assert repository.fetch() == first
    assert repository.contains(first, second) is False


@pytest.mark.parametrize(
    "text",
    [
        "by hand",
        f'Revert "{MESSAGE}',
        f"Merged PR 7: Tidy\n\n{MESSAGE}",
        f"{MESSAGE}\nand what I think of it\n",
        f"{MESSAGE}Backup-Run: r2\n",
    ],
)
def test_files_of_the_backup_are_told_from_those_of_people_who_quote_it(remote: Remote, text: str) -> None:
    repository = remote.mirror()
    _pushed(repository, _write("a.py", b"1"), _write("ü b.py", b"1"), _write("odd\n.py", b"1"))
    _pushed(repository, _write("ü b.py", b"2"), deletes=("odd\n.py",))
    remote.person({"README.md": "theirs", "a.py": "theirs"})
    head = str(repository.fetch())
    commit = repository.build_commit(head, ("a.py",), [_write("c.py", b"3")], text, WHO, WHO)
    assert commit is not None
    repository.push(commit, head)
    assert remote.mirror().own_files(commit) == {"a.py", "ü b.py", "odd\n.py"}


def test_blobs_are_read_in_bulk(remote: Remote) -> None:
    repository = remote.mirror()
    data = {f"f{n}.py": f"bytes {n}\n".encode() * n for n in range(40)}
    commit = _pushed(repository, *(_write(f, d) for f, d in data.items()))
    other = remote.mirror()
    assert other.fetch() == commit
    tree = other.tree(commit)
    assert dict(other.blobs(tree.values())) == {tree[f]: d for f, d in data.items()}
    assert list(other.blobs([])) == []
    with pytest.raises(RepositoryError):
        list(other.blobs(["1" * 40]))


@pytest.mark.parametrize("others", [1, 40])
def test_a_blob_of_more_bytes_than_asked_for_is_left_out(remote: Remote, others: int) -> None:
    repository = remote.mirror()
    data = {f"f{n}.py": f"bytes {n}\n".encode() for n in range(others)}
    large = b"0123456789" * 10
    commit = _pushed(repository, *(_write(f, d) for f, d in {**data, "large.py": large}.items()))
    other = remote.mirror()
    other.fetch()
    tree = other.tree(commit)
    small = {tree[f]: d for f, d in data.items()}
    assert dict(other.blobs(tree.values(), len(large) - 1)) == small
    assert dict(other.blobs(tree.values(), len(large))) == {**small, tree["large.py"]: large}
    assert list(other.blobs([tree["large.py"]], 0)) == []


def test_a_whole_mirror_has_no_problems_and_a_forgotten_one_comes_again(remote: Remote) -> None:
    repository = remote.mirror()
    commit = _pushed(repository, _write("a.py", b"1"))
    assert repository.check() == []
    repository.forget()
    assert repository.fetch() == commit
    assert repository.check() == []


def test_the_history_names_each_commit_with_the_files_it_changed(remote: Remote) -> None:
    mirror = remote.mirror()
    head = mirror.fetch()
    first = mirror.build_commit(head, (), [_write("a.py", b"1\n"), _write("d/b.py", b"2\n")], MESSAGE, WHO, WHO)
    assert first
    mirror.push(first, head)
    writes = [_write("c d.py", b"1\n"), _write("é\n.py", b"3\n")]
    second = mirror.build_commit(first, ["a.py", "d/b.py"], writes, "x", WHO, WHO)
    assert second
    mirror.push(second, first)
    remote.person({"README.md": "ours"})
    third = remote.mirror().fetch()
    assert third
    found = list(remote.mirror().history(third))
    assert [c.commit for c in found] == [first, second, third]
    assert (found[0].message, found[0].when) == (MESSAGE.strip("\n"), WHO.when)
    changed = [{(f.file, f.old_file, f.blob is None) for f in c.changes} for c in found]
    assert changed[0] == {("a.py", None, False), ("d/b.py", None, False)}
    assert changed[1] == {("c d.py", "a.py", False), ("d/b.py", None, True), ("é\n.py", None, False)}
    assert changed[2] == {("README.md", None, False)}
