"""The history tells what was, on every day, however its index came to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.memory.world import ROOT, Notebooks, World
from shared.domain.versions import VersionKind
from shared.services.recovery.history import NotInBackup, UnknownMoment
from tests.faults.recovering import Day, lived
from tests.remotes import GitRemote


@pytest.fixture(params=["memory", "git"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    remote = GitRemote(tmp_path / "remote.git") if request.param == "git" else None
    return World(tmp_path / "scratch", seed=5, remote=remote)


def _told(world: World, at: str) -> Notebooks:
    """What the history says that the root held."""
    history, content = world.app.history, world.app.content
    found = history.below(ROOT, history.moment(at).sequence)
    return {(f.version.path, f.version.language.value): content.blob(f.version.blob) for f in found}


def _check(world: World, days: list[Day]) -> None:
    for day in days:
        assert _told(world, day.commit) == day.notebooks
        assert _walked(world, day.commit) == {path for path, _ in day.notebooks}


def _walked(world: World, at: str) -> set[str]:
    """The same by going from folder to folder, in pages of two."""
    history = world.app.history
    sequence, found, waiting = history.moment(at).sequence, list[str](), [(ROOT, 0)]
    while waiting:
        folder, offset = waiting.pop()
        folders, notebooks = history.children(folder, sequence, 2, offset)
        assert len(folders) + len(notebooks) <= 2
        waiting += [(path, 0) for path in folders] + ([(folder, offset + 2)] if folders or notebooks else [])
        found += [n.version.path for n in notebooks]
    assert len(found) == len(set(found))
    return set(found)


def test_every_day_is_told_as_it_was(world: World) -> None:
    _check(world, lived(world, 6))


def test_a_lost_log_is_read_from_git_and_tells_the_same_contents(world: World) -> None:
    days = lived(world, 5)
    for name in [n for n in world.blobs.stored if n.startswith("history")]:
        world.blobs.delete(name)
    _forget_index(world)
    world.process()
    _check(world, days)


def test_one_damaged_blob_of_the_log_costs_nothing_but_a_look_at_git(world: World) -> None:
    days = lived(world, 5)
    name = sorted(n for n in world.blobs.stored if n.startswith("history/"))[2]
    world.blobs.stored[name] = (b"x", world.blobs.stored[name][1])
    _forget_index(world)
    world.process()
    _check(world, days)


def test_a_new_instance_starts_from_the_kept_copy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.services.recovery.history.COPY_AFTER", 2)
    days = lived(world, 4)
    world.app.history.publish()
    copies = [n for n in world.blobs.stored if n.startswith("history-index/")]
    assert len(copies) == 1
    for name in sorted(n for n in world.blobs.stored if n.startswith("history/"))[:3]:
        world.blobs.delete(name)  # the copy holds them: nothing before it is asked for
    _forget_index(world)
    world.process()
    monkeypatch.setattr("shared.services.recovery.history.versions_from_git", _never)
    _check(world, days)


def test_a_copy_that_is_damaged_is_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.services.recovery.history.COPY_AFTER", 2)
    days = lived(world, 4)
    world.app.history.publish()
    name = next(n for n in world.blobs.stored if n.startswith("history-index/"))
    world.blobs.put(name, b"no database")
    _forget_index(world)
    world.process()
    _check(world, days)


def test_an_index_that_was_damaged_on_disk_is_made_again(world: World, tmp_path: Path) -> None:
    days = lived(world, 3)
    _check(world, days)
    for file in (tmp_path / "scratch").glob("history.sqlite*"):
        file.write_bytes(b"garbage" * 1000)
    world.process()
    _check(world, days)


def test_a_rename_is_followed_and_told_at_both_places(world: World) -> None:
    edit = world.model.apply
    edit("create", "ada", path=f"{ROOT}/old", language="PYTHON", content="# 1\n")
    world.back_up()
    edit("move", "ada", path=f"{ROOT}/old", to=f"{ROOT}/new")
    world.back_up()
    edit("edit", "ada", path=f"{ROOT}/new", content="# 2\n")
    world.back_up()
    world.clock.sleep(60)
    new = [(v.version.path, v.version.kind, v.version.other_path) for v in world.app.history.versions(f"{ROOT}/new")]
    assert new == [
        (f"{ROOT}/new", VersionKind.CHANGED, None),
        (f"{ROOT}/new", VersionKind.RENAMED, f"{ROOT}/old"),
        (f"{ROOT}/old", VersionKind.CREATED, None),
    ]
    old = [(v.version.kind, v.version.other_path) for v in world.app.history.versions(f"{ROOT}/old")]
    assert old == [(VersionKind.MOVED_AWAY, f"{ROOT}/new"), (VersionKind.CREATED, None)]
    assert [f.version.path for f in world.app.history.find("OLD", deleted=True, limit=5)] == [f"{ROOT}/old"]
    assert [f.version.path for f in world.app.history.find("NEW", deleted=False, limit=5)] == [f"{ROOT}/new"]


def test_a_persons_edit_on_the_branch_is_a_version_that_can_be_read(world: World) -> None:
    world.model.apply("create", "ada", path=f"{ROOT}/job", language="PYTHON", content="# ours\n")
    world.back_up()
    pushed = world.remote.person_commits({"job.py": b"# theirs\n"})
    world.back_up()
    world.clock.sleep(60)
    kinds = [v.version.kind for v in world.app.history.versions(f"{ROOT}/job")]
    assert kinds == [VersionKind.CONFLICT, VersionKind.BRANCH_EDIT, VersionKind.CREATED]
    assert world.app.content.at(f"{ROOT}/job", pushed).data == b"# theirs\n"
    assert world.app.content.at(f"{ROOT}/job", "latest").data == b"# ours\n"


def test_a_date_stands_for_the_last_backup_by_its_end(world: World) -> None:
    days = lived(world, 3)
    history = world.app.history
    commits = {history.moment(day.commit).committed_at: day.commit for day in days}
    for at, commit in commits.items():
        date = world.clock.now().fromtimestamp(at / 1000, world.clock.now().tzinfo)
        assert history.moment(f"{date:%Y-%m-%d}").commit == commit
        assert history.moment(date.isoformat()).commit == commit
    for nonsense in ("1999-01-01", "abcdef0", "abc", "yesterday", "", "2026-13-01", "%"):
        with pytest.raises(UnknownMoment):
            history.moment(nonsense)
    with pytest.raises(NotInBackup):
        history.version(f"{ROOT}/never there", "latest")


def _forget_index(world: World) -> None:
    for file in world.scratch.glob("history.sqlite*"):
        file.unlink()


def _never(*_: object) -> None:
    raise AssertionError("Git was read, though the log holds everything")
