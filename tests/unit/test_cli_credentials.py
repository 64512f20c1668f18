"""The command `credentials` over canned answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_app import FakeApp, fake_app

NEAR: dict[str, Any] = {
    "name": "workspace",
    "label": "Workspace token",
    "kind": "vault",
    "renewed_by": "the backup",
    "expires_at": "2026-12-01T08:30:00+00:00",
    "days_left": 6,
    "source": "vault",
    "missing": None,
    "checked_at": "2026-11-24T08:00:00+00:00",
    "last_rotation": {"step": "done", "started_at": "2026-09-02T08:00:00+00:00"},
}
UNKNOWN = {**NEAR, "name": "repository", "days_left": None, "expires_at": None, "missing": "say when", "source": None}
UNKNOWN["last_rotation"] = None
ROTATION = {"rotation": "20261124T080000Z-aa", "step": "switched", "error": None, "note": None}


@pytest.fixture
def app() -> Iterator[FakeApp]:
    with fake_app() as running:
        yield running


def _az(folder: Path, script: str) -> str:
    """A folder with an `az` that runs a line of shell."""
    command = folder / "az"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return str(folder)


def test_days_dates_and_what_is_missing_are_listed(app: FakeApp) -> None:
    app.give("GET", "credentials", {"credentials": [NEAR, UNKNOWN]})
    result = app.run("credentials")
    rows = [line for line in result.stdout.splitlines() if "workspace" in line or "repository" in line]
    assert result.exit_code == 0
    assert [w in rows[0] for w in ("6", "2026-12-01 08:30", "the backup", "done 2026-09-02")] == [True] * 4
    assert "say when" in rows[1]


def test_json_is_what_was_answered(app: FakeApp) -> None:
    app.give("POST", "credentials/check", {"credentials": [NEAR]})
    result = app.run("credentials", "list", "--check", "--json")
    assert json.loads(result.stdout) == [NEAR]
    assert app.bodies() == [{}]


def test_an_expired_one_ends_with_1(app: FakeApp) -> None:
    app.give("GET", "credentials", {"credentials": [{**NEAR, "days_left": -1}]})
    assert app.run("credentials").exit_code == 1


@pytest.mark.parametrize(("step", "code"), [("switched", 0), ("started", 0), ("done", 0), ("failed", 1)])
def test_a_rotation_says_how_it_stands(app: FakeApp, step: str, code: int) -> None:
    app.give("POST", "credentials/workspace/rotate", {**ROTATION, "step": step})
    result = app.run("credentials", "rotate", "workspace")
    assert (result.exit_code, step in result.stdout) == (code, True)
    assert ("by itself" in result.stdout) == (step in ("switched", "started"))


def test_a_users_token_comes_from_az_and_is_not_shown(
    app: FakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", _az(tmp_path, 'echo "token-by-$2-for-$4"'))
    app.give("POST", "credentials/repository/rotate", ROTATION)
    result = app.run("credentials", "rotate", "repository", "--user-token")
    (body,) = app.bodies()
    assert body["user_token"] == "token-by-get-access-token-for-499b84ac-1321-427f-aa17-267ca6975798"
    assert body["user_token"] not in result.output


@pytest.mark.parametrize("script", ["exit 1", "exit 0", ""])
def test_without_a_login_nothing_is_asked(
    app: FakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv("PATH", _az(tmp_path, script) if script else str(tmp_path))
    result = app.run("credentials", "rotate", "repository", "--user-token")
    assert (result.exit_code, app.asked) == (2, [])
    assert "az login" in result.stderr


@pytest.mark.parametrize("arguments", [("rotate",), ("list", "workspace"), ("revoke", "workspace")])
def test_what_makes_no_sense_is_refused(app: FakeApp, arguments: tuple[str, ...]) -> None:
    assert app.run("credentials", *arguments).exit_code == 2
    assert app.asked == []
