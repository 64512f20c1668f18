"""Dated copies on real Git: backdated commits, whole or not at all, the same however often it runs."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.git_server import make_repository, person_commits
from local.memory.clock import ManualClock
from shared.adapters.repository import GitRepository
from shared.adapters.volume_copies import VolumeCopies
from shared.errors import RepositoryError, VolumeUnreadable
from shared.protocols import VolumeFault, VolumeFile
from shared.services.volume.import_copies import BranchInUse
from tests.copies import branch_of, importing, source, write_copy

BRANCH = "imported/volume"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    make_repository(tmp_path / "remote.git")
    return tmp_path / "remote.git"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


@pytest.fixture
def repository(remote: Path, tmp_path: Path) -> GitRepository:
    return branch_of(remote, BRANCH, tmp_path / "mirror.git")


def _git(remote: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(remote), *arguments], check=True, capture_output=True, text=True).stdout


def _log(remote: Path, branch: str = BRANCH) -> list[str]:
    return _git(remote, "log", "--reverse", "--format=%at %ct %s", branch).splitlines()


def _tree(remote: Path, revision: str = BRANCH) -> set[str]:
    return set(_git(remote, "ls-tree", "-r", "--name-only", "-z", revision).split("\0")) - {"", ".gitattributes"}


def _show(remote: Path, file: str, revision: str = BRANCH) -> bytes:
    return subprocess.run(
        ["git", "-C", str(remote), "show", f"{revision}:{file}"], check=True, capture_output=True
    ).stdout


def test_each_copy_is_one_backdated_commit_of_what_differs(
    volume: Path, remote: Path, repository: GitRepository
) -> None:
    write_copy(volume, "20240301", {"acme/load.py": "1", "acme/q.sql": "select 2"})
    write_copy(volume, "2024-01-31", {"acme/load.py": "1", "acme/q.sql": "select 1", "old.r": "r", "b/M.scala": "m"})
    found = importing(volume, repository, ManualClock())
    assert [(o.status, dict(o.counts)) for o in found.values()] == [
        ("imported", {"created": 4, "changed": 0, "deleted": 0}),
        ("imported", {"created": 0, "changed": 1, "deleted": 2}),
    ]
    january, march = (int(datetime(2024, *day, tzinfo=UTC).timestamp()) for day in ((1, 31), (3, 1)))
    assert _log(remote) == [
        f"{january} {january} Import the full copy of 2024-01-31 00:00:00 UTC",
        f"{march} {march} Import the full copy of 2024-03-01 00:00:00 UTC",
    ]
    assert _tree(remote) == {"acme/load.py", "acme/q.sql"}
    assert _show(remote, "acme/q.sql") == source("q.sql", "select 2")
    assert _tree(remote, f"{BRANCH}~1") == {"acme/load.py", "acme/q.sql", "old.r", "b/M.scala"}


def test_a_second_run_and_a_later_copy_go_on_from_what_is_there(
    volume: Path, remote: Path, repository: GitRepository, tmp_path: Path
) -> None:
    write_copy(volume, "2024-01-01", {"a.py": "1"})
    write_copy(volume, "2024-01-02", {"a.py": "1"})
    first = importing(volume, repository, ManualClock())
    assert [o.status for o in first.values()] == ["imported", "unchanged"]
    before = _log(remote)
    other = branch_of(remote, BRANCH, tmp_path / "other.git")
    assert [o.status for o in importing(volume, other, ManualClock()).values()] == ["already", "unchanged"]
    assert _log(remote) == before
    write_copy(volume, "2024-01-03", {"a.py": "2"})
    write_copy(volume, "2023-12-31", {"a.py": "0"})
    late = importing(volume, other, ManualClock())
    assert {n: o.status for n, o in late.items()} == {
        "2023-12-31": "refused",
        "2024-01-01": "already",
        "2024-01-02": "unchanged",
        "2024-01-03": "imported",
    }
    assert late["2023-12-31"].failures[0].code == "older_than_imported"
    assert 'Backup-Volume-Same: "2024-01-02"' in _git(remote, "log", "-1", "--format=%B", BRANCH)
    assert [o.status for o in importing(volume, other, ManualClock()).values()] == ["refused", *["already"] * 3]
    assert len(_log(remote)) == len(before) + 1


def test_files_of_people_on_the_branch_stay(volume: Path, remote: Path, repository: GitRepository) -> None:
    write_copy(volume, "2024-01-01", {"a.py": "1", "b.py": "1"})
    importing(volume, repository, ManualClock())
    person_commits(remote, BRANCH, {"README.md": "theirs", "tool.py": "theirs"}, "ada")
    write_copy(volume, "2024-01-02", {"a.py": "2"})
    assert importing(volume, repository, ManualClock())["2024-01-02"].counts["deleted"] == 1
    assert _tree(remote) == {"a.py", "README.md", "tool.py"}


def test_a_push_beside_the_import_stops_it_and_the_next_run_goes_on(
    volume: Path, remote: Path, repository: GitRepository
) -> None:
    write_copy(volume, "2024-01-01", {"a.py": "1"})
    write_copy(volume, "2024-01-02", {"a.py": "2"})
    importing(volume, repository, ManualClock())

    class Moving(VolumeCopies):
        def walk(self, copy: str, wanted: Callable[[str], bool]) -> Iterator[VolumeFile | VolumeFault]:
            person_commits(remote, BRANCH, {"README.md": copy}, "ada")
            return super().walk(copy, wanted)

    write_copy(volume, "2024-01-03", {"a.py": "3"})
    with pytest.raises(RepositoryError, match="run the import again"):
        importing(Moving(volume), repository, ManualClock())
    assert importing(volume, repository, ManualClock())["2024-01-03"].status == "imported"
    assert _tree(remote) == {"a.py", "README.md"}


def test_links_devices_and_unreadable_files_are_named_and_prove_no_absence(
    volume: Path, remote: Path, repository: GitRepository, tmp_path: Path
) -> None:
    files = {"a.py": "1", "etl/b.py": "1", "etl/c.py": "1", "d.py": "1", "e.py": "1"}
    write_copy(volume, "2024-01-01", files)
    importing(volume, repository, ManualClock())
    secret = tmp_path / "secret.py"
    secret.write_bytes(source("x.py", "outside"))
    write_copy(volume, "2024-01-02", {"e.py": "2"})
    (volume / "2024-01-02" / "a.py").symlink_to(secret)
    (volume / "2024-01-02" / "etl").symlink_to(tmp_path)
    os.mkfifo(volume / "2024-01-02" / "d.py")
    (volume / "2024-01-03").symlink_to(volume / "2024-01-01")
    found = importing(volume, repository, ManualClock())
    assert {(f.path, f.code) for f in found["2024-01-02"].failures} == {
        ("a.py", "link"),
        ("etl", "link"),
        ("d.py", "no_file"),
    }
    assert [f.code for f in found["2024-01-03"].failures] == ["link"]
    assert _tree(remote) == files.keys()
    assert _show(remote, "a.py") == source("a.py", "1")
    assert _show(remote, "e.py") == source("e.py", "2")


class _Denied(VolumeCopies):
    """A volume that denies one file and one folder, as the system does to somebody without the right."""

    def _read(self, copy: str, name: str) -> tuple[bytes, bool]:
        if name == "a.py":
            raise PermissionError(13, "Permission denied")
        return super()._read(copy, name)

    def _children(self, copy: str, prefix: str) -> list[tuple[str, int]]:
        if prefix == "etl/":
            raise PermissionError(13, "Permission denied")
        return super()._children(copy, prefix)


def test_what_may_not_be_read_stays_as_it_was(volume: Path, remote: Path, repository: GitRepository) -> None:
    write_copy(volume, "2024-01-01", {"a.py": "1", "etl/b.py": "1", "gone.py": "1"})
    importing(volume, repository, ManualClock())
    write_copy(volume, "2024-01-02", {"a.py": "2", "etl/b.py": "2", "new.py": "1"})
    outcome = importing(_Denied(volume), repository, ManualClock())["2024-01-02"]
    assert [(f.path, f.code) for f in outcome.failures] == [("a.py", "unreadable"), ("etl", "unreadable")]
    assert _tree(remote) == {"a.py", "etl/b.py", "new.py"}
    assert _show(remote, "etl/b.py") == source("b.py", "1")


def test_names_that_collide_get_the_backups_own_files_and_keep_them(
    volume: Path, remote: Path, repository: GitRepository
) -> None:
    write_copy(
        volume, "2024-01-01", {"Load.py": "upper", "a:b.py": "1", "100%25.sql": "1", "x.ipynb": b'{"cells": []}'}
    )
    write_copy(
        volume, "2024-01-02", {"Load.py": "upper", "load.py": "lower", "a:b.py": "1", "100%25.sql": "1", "x.py": "1"}
    )
    found = importing(volume, repository, ManualClock())
    assert found["2024-01-02"].counts["deleted"] == 1
    tree = _tree(remote)
    assert {"Load.py", "a%3Ab.py", "x.py"} < tree
    assert _show(remote, "Load.py") == source("Load.py", "upper")
    lower = next(f for f in tree if f.startswith("load%~"))
    assert _show(remote, lower) == source("load.py", "lower")
    assert any(f.startswith("100%2525") for f in tree)


def test_a_copy_over_an_older_one_may_hold_two_languages_of_a_notebook(
    volume: Path, remote: Path, repository: GitRepository
) -> None:
    write_copy(volume, "2024-01-01", {"a.py": "1", "a.sql": "2", "a.ipynb": b'{"cells": []}'})
    importing(volume, repository, ManualClock())
    assert _tree(remote) == {"a.py", "a.sql", "a.ipynb"}


def test_a_half_written_copy_is_refused_until_somebody_vouches_for_it(
    volume: Path, remote: Path, repository: GitRepository
) -> None:
    write_copy(volume, "2024-01-01", {f"n{n}.py": "1" for n in range(40)})
    write_copy(volume, "2024-01-02", {f"n{n}.py": "1" for n in range(20)})
    found = importing(volume, repository, ManualClock())["2024-01-02"]
    assert (found.status, found.failures[0].code) == ("refused", "half_written")
    assert len(_tree(remote)) == 40
    importing(volume, repository, ManualClock(), accept=frozenset({"2024-01-02"}))
    assert len(_tree(remote)) == 20


def test_a_file_that_changes_between_two_readings_refuses_the_copy(
    volume: Path, remote: Path, repository: GitRepository
) -> None:
    class Growing(VolumeCopies):
        def read(self, copy: str, name: str) -> bytes:
            return super().read(copy, name) + b"more"

    write_copy(volume, "2024-01-01", {"a.py": "1"})
    found = importing(Growing(volume), repository, ManualClock())["2024-01-01"]
    assert (found.status, found.failures[0].code) == ("refused", "changed_while_read")
    assert _git(remote, "for-each-ref") == ""
    assert importing(volume, repository, ManualClock())["2024-01-01"].status == "imported"


def test_what_is_no_notebook_is_left_out_and_named(volume: Path, remote: Path, repository: GitRepository) -> None:
    write_copy(
        volume,
        "2024-01-01",
        {
            "a.py": "1",
            "crlf.py": b"\xef\xbb\xbf# Databricks notebook source\r\nx\r\n",
            "module.py": b"import os\n",
            "empty.sql": b"",
            "cut.ipynb": b'{"cells": [',
            "all.dbc": b"PK",
            "page.html": b"<html>",
            "data.csv": b"1,2",
            ".py": b"x",
        },
    )
    found = importing(volume, repository, ManualClock())["2024-01-01"]
    assert _tree(remote) == {"a.py", "crlf.py"}
    assert {f.path: f.code for f in found.failures} == {
        "empty.sql": "empty_file",
        "cut.ipynb": "not_jupyter",
        "all.dbc": "archive",
        "page.html": "html_export",
    }
    assert {f.path: f.code for f in found.notices} == {
        "module.py": "no_header",
        "data.csv": "no_notebook",
        ".py": "no_notebook",
    }


def test_the_backup_root_may_stand_below_each_copy(volume: Path, remote: Path, repository: GitRepository) -> None:
    write_copy(volume, "2024-01-01", {"Clients/a.py": "1"})
    unclear = importing(volume, repository, ManualClock())["2024-01-01"]
    assert unclear.failures[0].code == "root_unclear"
    write_copy(volume, "2024-01-01", {"Users/b.py": "1"})
    found = importing(volume, repository, ManualClock(), below="Clients")["2024-01-01"]
    assert [(n.path, n.code) for n in found.notices] == [("Users/b.py", "outside_root")]
    assert _tree(remote) == {"a.py"}


def test_dates_that_cannot_be_are_refused(volume: Path, repository: GitRepository) -> None:
    clock = ManualClock()
    soon = f"{clock.now().year + 1}-01-01"
    for name in (soon, "1999-01-01", "latest", "2024-02-30", "2024-01-01", "20240101", "2024-03-01 to 2024-03-02"):
        write_copy(volume, name, {"a.py": "1"})
    write_copy(volume, "backup_2024-05-01T0230Z", {"a.py": "1"})
    (volume / "2024-06-01.zip").write_bytes(b"PK")
    found = importing(volume, repository, clock)
    assert {n: o.failures[0].code for n, o in found.items() if o.failures} == {
        soon: "wrong_date",
        "1999-01-01": "wrong_date",
        "latest": "no_date",
        "2024-02-30": "no_date",
        "2024-01-01": "same_moment",
        "20240101": "same_moment",
        "2024-03-01 to 2024-03-02": "no_date",
        "2024-06-01.zip": "no_folder",
    }
    assert found["backup_2024-05-01T0230Z"].when == datetime(2024, 5, 1, 2, 30, tzinfo=UTC)


def test_as_the_root_of_history_only_where_the_branch_holds_nothing_else(
    volume: Path, remote: Path, tmp_path: Path
) -> None:
    main = branch_of(remote, "main", tmp_path / "main.git")
    write_copy(volume, "2024-01-01", {"a.py": "1"})
    importing(volume, main, ManualClock(), as_root=True)
    write_copy(volume, "2024-01-02", {"a.py": "2"})
    assert importing(volume, main, ManualClock(), as_root=True)["2024-01-02"].status == "imported"
    person_commits(remote, "main", {"README.md": "theirs"}, "ada")
    write_copy(volume, "2024-01-03", {"a.py": "3"})
    head = _git(remote, "rev-parse", "main")
    with pytest.raises(BranchInUse):
        importing(volume, main, ManualClock(), as_root=True)
    assert _git(remote, "rev-parse", "main") == head


def test_a_folder_that_is_not_there_is_said(repository: GitRepository, tmp_path: Path) -> None:
    with pytest.raises(VolumeUnreadable, match="No such file"):
        importing(tmp_path / "none", repository, ManualClock())


def test_copies_drawn_at_random_are_in_history_as_they_were(
    volume: Path, remote: Path, repository: GitRepository
) -> None:
    draw = random.Random(8)
    held: dict[str, str] = {f"d{n % 3}/n{n}.{draw.choice(('py', 'sql', 'r'))}": "0" for n in range(12)}
    days: list[dict[str, str]] = []
    for day in range(1, 9):
        for file in draw.sample(sorted(held), 2):
            held[file] = str(day)
        held.pop(draw.choice(sorted(held)))
        held[f"new/{day}.scala"] = "n"
        days.append(dict(held))
        write_copy(volume, f"2024-01-{day:02}", held)
    importing(volume, repository, ManualClock())
    commits = _git(remote, "rev-list", "--reverse", BRANCH).split()
    assert len(commits) == len(days)
    for commit, files in zip(commits, days, strict=True):
        assert _tree(remote, commit) == files.keys()
        for file, body in files.items():
            assert _show(remote, file, commit) == source(file, body)
