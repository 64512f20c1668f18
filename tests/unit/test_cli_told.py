"""What goes wrong on the way to the app is told in a line with what to do, never by a traceback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.cli.sign_in import refusal
from tests.unit.fake_app import fake_app

ROOT = Path(__file__).resolve().parent.parent.parent
ID = "1b2c3d4e-0000-4000-8000-00000000000a"
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
COMMAND = f"export BACKUP_TOKEN=$(az account get-access-token --resource api://{ID} --query accessToken --output tsv)"


def _token(**claims: object) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "RS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "signature"])


def _backup(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """The command line in a folder where no app was started; its exit code and what it said."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith("BACKUP_")}
    done = subprocess.run(
        [sys.executable, "-m", "shared.cli", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_without_an_address_it_says_what_to_set(tmp_path: Path) -> None:
    # The address that is looked at where none is named may be in use on this machine: it is not, in this folder.
    code, said = _backup(tmp_path, "--key", "k", "status")
    assert code in (2, 3)
    if code == 3:
        assert ("set BACKUP_URL to its address" in said, "./start" in said) == (True, True)


def test_an_app_that_was_started_here_and_is_not_running_is_named(tmp_path: Path) -> None:
    (tmp_path / "backup.json").write_text('{"url": "http://127.0.0.1:9", "key": "k"}')
    code, said = _backup(tmp_path, "status", BACKUP_DATA=str(tmp_path))
    assert (code, said.startswith("The app of this checkout is not running: start it with ./start.")) == (3, True)


def test_a_damaged_file_of_a_started_app_is_named(tmp_path: Path) -> None:
    (tmp_path / "backup.json").write_text('{"url": ')
    code, said = _backup(tmp_path, "status", BACKUP_DATA=str(tmp_path))
    assert (code, "(backup.json) cannot be read" in said, "Traceback" in said) == (2, True, False)


@pytest.mark.parametrize(
    ("token", "challenge", "said"),
    [
        (None, f'Bearer realm="x" resource_id="{ID}"', COMMAND),
        (_token(aud=f"api://{ID}", exp=NOW.timestamp() + 60), "", COMMAND),
        (_token(aud=ID, exp=NOW.timestamp() - 60), "", "Your token expired at 2026-11-30 11:59 UTC."),
        (_token(aud="$(rm -rf ~)"), 'resource_id="`id`"', "api://APPLICATION_ID "),
        ("no token at all", "", "your administrator knows APPLICATION_ID"),
        (_token(aud=ID, exp="soon"), "", COMMAND),
    ],
)
def test_a_refused_token_comes_with_the_way_to_a_new_one(token: str | None, challenge: str, said: str) -> None:
    told = refusal(token, challenge, NOW)
    assert said in told
    assert ("rm -rf" in told, "`id`" in told) == (False, False)


def test_a_wrong_token_is_told_with_the_command_for_a_new_one() -> None:
    with fake_app() as fake:
        fake.give("GET", "status", {"detail": "Nobody is signed in."}, status=401)
        code, said = _backup(ROOT, "--url", fake.url, "--token", _token(aud=ID), "status")
    assert (code, said.startswith("Nobody is signed in."), COMMAND in said) == (2, True, True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"last": None}, "KeyError 'active' (shared/cli/operations.py, line"),
        ({"active": [1], "last": None, "publication": None}, "not of the form that this command line knows"),
        (b"<html>Sign in</html>", "no JSON object"),
        ([], "no JSON object"),
    ],
)
def test_an_answer_of_another_form_is_told_in_a_line(answer: object, said: str) -> None:
    with fake_app() as fake:
        fake.give("GET", "status", answer)
        code, told = _backup(ROOT, "--url", fake.url, "status")
    assert (code, said in told, "Traceback" in told, len(told.splitlines())) == (3, True, False, 1)


def test_a_set_up_without_anybody_to_answer_ends_and_says_how_to_go_on(tmp_path: Path) -> None:
    code, said = _backup(tmp_path, "setup", "--state", str(tmp_path / "state"))
    assert (code, "Stopped. What is done is remembered: `./backup setup backup` goes on." in said) == (1, True)
    assert "Traceback" not in said


def test_a_set_up_names_all_missing_answers_in_lines(tmp_path: Path) -> None:
    code, said = _backup(tmp_path, "setup", "--yes", "--state", str(tmp_path / "state"))
    named = [line.split(":")[0] for line in said.splitlines()]
    needed = ("subscription", "databricks-host", "organisation", "project", "alert-emails")
    assert (code, named) == (2, [f"give --{name}" for name in needed])


def test_a_state_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file stands here")
    code, said = _backup(tmp_path, "setup", "--yes", "--location", "westeurope", "--state", str(tmp_path / "state"))
    assert (code, "pass another --state" in said, "Traceback" in said) == (1, True, False)
