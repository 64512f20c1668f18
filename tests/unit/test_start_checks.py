"""What is amiss is named before `./start` starts anything: all of it, a line each, without a traceback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import bootstrap
from local.start_checks import found_amiss

ROOT = Path(__file__).resolve().parent.parent.parent


def _amiss(folder: Path, port: int = 0, workspace_from: Path | None = None, **environment: str) -> list[str]:
    """Where every host but `*.invalid` has an address, and the disk has room."""
    return found_amiss(
        environment,
        folder / "data",
        port,
        workspace_from,
        resolves=lambda host: not host.endswith(".invalid"),
        free_megabytes=lambda _: 10_000,
    )


def test_nothing_is_amiss_where_no_setting_is_made(tmp_path: Path) -> None:
    assert _amiss(tmp_path) == []


def test_every_wrong_setting_is_named_in_a_line_and_without_its_value(tmp_path: Path) -> None:
    wrong = {
        "BACKUP_ROOT": "Clients",
        "BACKUP_VERIFY_DAYS": "many-of-them",
        "DATABRICKS_HOST": "http://workspace.example.com",
        "BACKUP_SECRETS": "perhaps",
    }
    lines = _amiss(tmp_path, **wrong)
    assert sorted(line.partition(":")[0] for line in lines) == sorted(wrong)
    assert [value for value in ("many-of-them", "workspace.example.com", "perhaps'") if value in "".join(lines)] == []
    assert all("docs/administrator.md#settings" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABRICKS_HOST", "https://adb-1.2.invalid"),
        ("GIT_REMOTE_URL", "https://git.invalid/x"),
        ("SMTP_URL", "smtps://user:secret@mail.invalid:465"),
    ],
)
def test_a_host_without_an_address_is_named(tmp_path: Path, name: str, value: str) -> None:
    (line,) = _amiss(tmp_path, **{name: value})
    assert (line.startswith(f"{name}: "), "has no address here" in line, "secret" in line) == (True, True, False)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (line,) = _amiss(tmp_path, port)
        assert line == f"port {port} is taken: pass --port with another one, or --port 0 for a free one"


def test_a_git_that_is_missing_is_named(tmp_path: Path) -> None:
    (line,) = _amiss(tmp_path, BACKUP_GIT="/nowhere/git")
    assert line.startswith("/nowhere/git is not installed")


def test_a_data_folder_that_cannot_be_written_or_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    (line,) = _amiss(tmp_path)
    assert line.endswith("is a file: pass another folder")
    (tmp_path / "data").unlink()
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o500)
    if os.getuid():  # root may write everywhere
        (line,) = _amiss(tmp_path)
        assert "cannot be written by this user" in line


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (line,) = found_amiss({}, tmp_path / "data", 0, None, free_megabytes=lambda _: 12.0)
    assert "the disk has 12 MB left" in line


def test_a_folder_of_notebooks_that_is_missing_or_holds_none_is_named(tmp_path: Path) -> None:
    (line,) = _amiss(tmp_path, workspace_from=tmp_path / "missing")
    assert line.endswith("there is no such folder")
    (tmp_path / "script.py").write_text("print(1)\n")
    (line,) = _amiss(tmp_path, workspace_from=tmp_path)
    assert "no file in it is a notebook" in line
    (tmp_path / "load.py").write_text("# Databricks notebook source\nprint(1)\n")
    assert _amiss(tmp_path, workspace_from=tmp_path) == []


def test_the_command_names_all_of_it_and_starts_nothing(tmp_path: Path) -> None:
    options = ["--once", "--port", "0", "--data", str(tmp_path / "data"), "--workspace-from", str(tmp_path / "missing")]
    environment = {**os.environ, "BACKUP_ROOT": "Clients", "BACKUP_GIT": "/nowhere/git"}
    done = subprocess.run(
        [sys.executable, "-m", "local.app", *options],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines), "Traceback" in done.stderr) == (2, 3, False)
    assert not (tmp_path / "data").exists()


def test_a_checkout_that_cannot_be_set_up_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tools").write_text("")
    monkeypatch.setattr(bootstrap, "TOOLS", tmp_path / "tools")
    with pytest.raises(SystemExit, match=r"^setting up failed: .*tools: File exists; make room"):
        bootstrap.main("local.app", [])


@pytest.mark.skipif(shutil.which("git") is None, reason="the check is of the git that is here")
def test_the_git_of_this_machine_is_found(tmp_path: Path) -> None:
    assert _amiss(tmp_path, BACKUP_GIT="git") == []
