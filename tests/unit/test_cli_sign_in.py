"""Key and token of the command line and the notebook go to the app alone."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from typer.testing import CliRunner, Result

from shared.cli import app
from tests.listeners import Answer, Sent, listening, redirecting
from tests.unit.fake_app import KEY, fake_app
from tests.unit.test_restore_notebook import run_notebook

TOKEN = "token-of-tests"
PATH = "/Clients/acme/load"
VERSIONS = {"path": PATH, "versions": [], "next": None}


def _run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--url", url, *arguments, "history", PATH], prog_name="backup")


def test_a_token_is_sent_as_bearer_whatever_netrc_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password of-another-system\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with fake_app() as fake:
        fake.give("GET", "versions", VERSIONS)
        assert _run(fake.url, "--token", TOKEN).exit_code == 0
        assert _run(fake.url, "--key", KEY).exit_code == 0
    first, second = (asked.headers for asked in fake.asked)
    assert (first["Authorization"], "x-functions-key" in first) == (f"Bearer {TOKEN}", False)
    assert (second["x-functions-key"], "Authorization" in second) == (KEY, False)


def test_no_redirect_takes_key_or_token_elsewhere() -> None:
    with redirecting() as (first, other):
        result = _run(first.url, "--token", TOKEN, "--key", KEY)
        assert (result.exit_code, "not followed" in result.stderr, "--token" in result.stderr) == (2, True, True)
        with pytest.raises(RuntimeError, match="answered 307"):
            run_notebook(first.url, path=PATH)
    assert (len(first.sent), other.sent) == (2, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://backup.example.com",
        "http://10.0.0.4:7071",
        "ftp://x",
        "https://u:p@x.example.com",
        "https://169.254.169.254",
    ],
)
def test_an_address_that_shows_the_token_to_the_network_is_not_called(url: str) -> None:
    result = _run(url, "--token", TOKEN)
    assert (result.exit_code, "Pass another --url" in result.stderr) == (2, True)
    assert "u:p" not in result.stderr


def test_who_is_not_signed_in_is_told_how() -> None:
    with fake_app() as fake:
        fake.give("GET", "versions", {"detail": "Nobody is signed in."}, status=401)
        result = _run(fake.url)
    assert (result.exit_code, "Nobody is signed in. Pass a token by --token" in result.stderr) == (2, True)


class Login:
    """The device flow of the Microsoft identity platform: pending twice, then a token, or an error."""

    def __init__(self, end: dict[str, object]) -> None:
        self._answers: list[dict[str, object]] = [{"error": "authorization_pending"}, {"error": "slow_down"}, end]

    def __call__(self, sent: Sent) -> Answer:
        if sent.path.endswith("/devicecode"):
            begun = {"device_code": "dc", "interval": 0.0, "message": "open \x1b[31mthe page, and type ABC"}
            return 200, {}, json.dumps(begun).encode()
        return 400, {}, json.dumps(self._answers.pop(0)).encode()


def test_whoever_runs_the_notebook_signs_in_as_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with fake_app() as served, listening(Login({"access_token": TOKEN, "expires_in": 3600})) as login:
        served.give("GET", "versions", VERSIONS)
        printed, asked = run_notebook(served.url, login.url, path=PATH, sign_in="app-1@tenant-1")
    assert [sent.path for sent in login.sent] == [
        "/tenant-1/oauth2/v2.0/devicecode",
        *["/tenant-1/oauth2/v2.0/token"] * 3,
    ]
    first = parse_qs(login.sent[0].body.decode())
    assert first == {"client_id": ["app-1"], "scope": ["app-1/.default"]}
    assert {a.headers["Authorization"] for a in served.asked} == {f"Bearer {TOKEN}"}
    assert (asked, "type ABC" in printed, "\x1b" in printed, TOKEN in printed) == ([], True, False, False)


def test_a_sign_in_that_fails_asks_the_backup_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    end = {"error": "access_denied", "error_description": "the user said no"}
    with fake_app() as served, listening(Login(end)) as login, pytest.raises(RuntimeError, match="the user said no"):
        run_notebook(served.url, login.url, path=PATH, sign_in="app-1@tenant-1")
    assert served.asked == []


def test_half_a_sign_in_is_none() -> None:
    with fake_app() as served, pytest.raises(ValueError, match="application id@tenant id"):
        run_notebook(served.url, path=PATH, sign_in="app-1")
    assert served.asked == []
