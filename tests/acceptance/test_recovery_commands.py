"""Recovery by the command line, and by the notebook that people import, on a whole system."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.lab import Lab

ROOT = Path(__file__).resolve().parent.parent.parent
OPTIONS = {"notebooks": 120}
SOURCE, BROKEN = "# Databricks notebook source\nprint(1)\n", "# Databricks notebook source\nprint(2)\n"
FOLDER = "/Clients/[red]a b[/]"
PATH = f"{FOLDER}/\x1b[31mjob"
pytestmark = pytest.mark.xdist_group("recovery commands")


@pytest.fixture(scope="module")
def commit(lab: Lab) -> str:
    """The first backup, after which the notebook was broken."""
    lab.edit({"action": "mkdir", "path": FOLDER})
    lab.edit({"action": "create", "path": PATH, "language": "PYTHON", "content": SOURCE})
    found = str(lab.back_up()["commit"])
    lab.edit({"action": "edit", "path": PATH, "content": BROKEN})
    lab.back_up()
    return found


@pytest.fixture(autouse=True)
def broken(lab: Lab, commit: str) -> None:
    lab.edit({"action": "edit", "path": PATH, "content": BROKEN})


def _command(lab: Lab, *arguments: str) -> tuple[int, bytes, str]:
    environment = {**os.environ, "BACKUP_DATA": str(lab.system.options.data), "COLUMNS": "200"}
    command = [sys.executable, "-m", "shared.cli", *arguments]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=120, check=False)
    return result.returncode, result.stdout, result.stderr.decode()


def _live(lab: Lab) -> bytes:
    code, output, _ = _command(lab, "show", PATH, "--at", "live")
    assert code == 0
    return output


def test_a_notebook_is_found_and_its_name_cannot_play_with_the_terminal(lab: Lab) -> None:
    for arguments in (("find", "JOB"), ("tree", FOLDER), ("history", PATH)):
        code, output, _ = _command(lab, *arguments)
        assert (code, b"\x1b[31m" in output) == (0, False)
        assert b"\\x1b[31mjob" in output
    assert b"[red]a b[/]" in _command(lab, "find", "JOB")[1]
    _, output, _ = _command(lab, "history", PATH, "--json")
    assert {v["kind"] for v in json.loads(output)["versions"]} == {"changed", "created"}


def test_a_version_is_shown_byte_for_byte(lab: Lab, commit: str, tmp_path: Path) -> None:
    assert _command(lab, "show", PATH, "--at", commit)[1] == SOURCE.encode()
    assert _command(lab, "show", PATH, "--at", commit, "--output", str(tmp_path / "x"))[0] == 0
    assert (tmp_path / "x").read_bytes() == SOURCE.encode()
    code, output, _ = _command(lab, "show", PATH, "--at", commit, "--json")
    assert (code, json.loads(output)["content"]) == (0, SOURCE)


def test_a_difference_ends_with_1_and_none_with_0(lab: Lab, commit: str) -> None:
    code, output, _ = _command(lab, "diff", PATH, "--from", commit)
    assert (code, b"-print(1)" in output, b"+print(2)" in output) == (1, True, True)
    assert _command(lab, "diff", PATH, "--from", commit, "--to", commit)[0] == 0


def test_a_moment_is_marked_and_restored_by_its_tag(lab: Lab, commit: str) -> None:
    asked = ("tag", "before/it-broke", "--message", "as it was", "--at", commit)
    for _ in range(2):
        code, output, _ = _command(lab, *asked, "--json")
        made = json.loads(output)
        assert (code, made["commit"], made["message"]) == (0, commit, "as it was")
    code, _, told = _command(lab, "tag", "before/it-broke")
    assert (code, "never moved" in told) == (2, True)
    code, output, _ = _command(lab, "tags", "--json")
    kinds = {tag["name"]: (tag["kind"], tag["commit"]) for tag in json.loads(output)["tags"]}
    assert kinds.pop("before/it-broke") == ("requested", commit)
    assert set(kinds.values()) <= {("first", commit), ("monthly", commit)}
    assert "backup/first-sync" in kinds
    assert _command(lab, "show", PATH, "--tag", "before/it-broke")[1] == SOURCE.encode()
    assert _command(lab, "restore", PATH, "--tag", "before/it-broke", "--yes")[0] == 0
    assert _live(lab) == SOURCE.encode()
    assert _command(lab, "restore", PATH, "--tag", "none", "--yes")[0] == 2
    assert "tag_created" in _command(lab, "audit", "--action", "tag_created")[1].decode()


def test_a_restore_shows_its_plan_proves_itself_and_is_undone(lab: Lab, commit: str) -> None:
    code, output, _ = _command(lab, "restore", PATH, "--at", commit, "--dry-run")
    assert (code, b"1 to overwrite" in output, _live(lab)) == (0, True, BROKEN.encode())
    code, output, messages = _command(lab, "restore", PATH, "--at", commit)
    assert (code, "--yes" in messages, _live(lab)) == (2, True, BROKEN.encode())
    code, output, _ = _command(lab, "restore", PATH, "--at", commit, "--yes", "--json")
    done = json.loads(output)
    assert (code, done["status"], _live(lab)) == (0, "succeeded", SOURCE.encode())
    code, output, _ = _command(lab, "restore", "--undo", done["id"], "--yes")
    assert (code, b"succeeded" in output, _live(lab)) == (0, True, BROKEN.encode())
    code, output, _ = _command(lab, "restores", "--json", "--limit", "50")
    assert done["id"] in [r["id"] for r in json.loads(output)["restores"]]
    assert done["id"].encode() in _command(lab, "restores", done["id"])[1]


def test_a_folder_is_restored_beside(lab: Lab, commit: str) -> None:
    code, output, _ = _command(lab, "restore", f"{FOLDER}/", "--at", commit, "--to", "/Beside", "--yes", "--json")
    done = json.loads(output)
    assert (code, [i["target"] for i in done["items"]]) == (0, ["/Beside/\x1b[31mjob"])
    assert _command(lab, "restore", "--undo", done["id"], "--yes")[0] == 0


@pytest.mark.parametrize(
    "arguments", [("restore",), ("restore", PATH), ("restore", PATH, FOLDER, "--folder", "--at", "latest")]
)
def test_a_restore_that_says_too_little_is_told_what_to_say(lab: Lab, arguments: tuple[str, ...]) -> None:
    assert _command(lab, *arguments)[0] == 2


def test_what_is_not_there_is_said_with_what_to_do(lab: Lab) -> None:
    code, _, messages = _command(lab, "history", "/Clients/none")
    assert (code, "search for its name" in " ".join(messages.split())) == (2, True)
    code, output, _ = _command(lab, "restore", "/Clients/none", "--at", "latest", "--yes", "--json")
    assert (code, json.loads(output)["items"][0]["reason"]) == (1, "not_in_backup")


def test_paths_are_completed_from_the_backup(lab: Lab) -> None:
    environment = {
        **os.environ,
        "BACKUP_URL": lab.system.url,
        "BACKUP_KEY": lab.system.key,
        "_BACKUP_COMPLETE": "complete_bash",
        "COMP_WORDS": "backup history /Clients/client_0001/",
        "COMP_CWORD": "2",
    }
    program = [sys.executable, "-c", "from shared.cli import app; app(prog_name='backup')"]
    result = subprocess.run(program, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "/Clients/client_0001/" in result.stdout
    quiet = {**environment, "BACKUP_URL": "http://127.0.0.1:9"}
    result = subprocess.run(program, env=quiet, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), "Traceback" in result.stderr) == ("", False)


class Widgets:
    """Databricks' widgets and secrets, as far as the notebook uses them."""

    def __init__(self, key: str, **values: str) -> None:
        self._key, self._values, self._defaults = key, values, dict[str, str]()
        self.widgets = self.secrets = self

    def dropdown(self, name: str, default: str, choices: list[str]) -> None:
        assert default in choices
        self._defaults[name] = default

    def text(self, name: str, default: str) -> None:
        self._defaults[name] = default

    def get(self, name: str, secret: str | None = None) -> str:
        if secret is not None:
            assert (name, secret) == ("notebook-backup", "function-key")
            return self._key
        return self._values.get(name.replace(" ", "_"), self._defaults[name])


def _run_notebook(lab: Lab, folder: Path, **values: str) -> str:
    target = folder / "notebook.py"
    assert _command(lab, "--url", lab.system.url, "--key", lab.system.key, "notebook", "--output", str(target))[0] == 0
    source = target.read_text()
    assert source.startswith("# Databricks notebook source\n")
    assert lab.system.key not in source
    printed = io.StringIO()
    scope: dict[str, Any] = {"dbutils": Widgets(lab.system.key, **values)}
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "notebook", "exec"), scope)  # noqa: S102 - the notebook is the thing under test
    return printed.getvalue()


def test_the_imported_notebook_shows_restores_and_undoes(lab: Lab, commit: str, tmp_path: Path) -> None:
    assert "created" in _run_notebook(lab, tmp_path, path=PATH)
    assert "print(1)" in _run_notebook(lab, tmp_path, action="preview", path=PATH, version=commit)
    assert "-print(1)" in _run_notebook(lab, tmp_path, action="difference", path=PATH, version=commit)
    told = _run_notebook(lab, tmp_path, action="restore", path=PATH, version=commit)
    assert ("Nothing was changed" in told, _live(lab)) == (True, BROKEN.encode())
    told = _run_notebook(lab, tmp_path, action="restore", path=PATH, version=commit, confirm="yes")
    assert ("verified" in told, _live(lab)) == (True, SOURCE.encode())
    identity = told.rpartition(" ")[2].strip()
    told = _run_notebook(lab, tmp_path, action="undo", restore_to_undo=identity, confirm="yes")
    assert ("verified" in told, _live(lab)) == (True, BROKEN.encode())
    with pytest.raises(RuntimeError, match="search for its name"):
        _run_notebook(lab, tmp_path, path="/Clients/none")
