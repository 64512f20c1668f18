"""Tokens in the vault of a whole system: watched, rotated while it works, and shown nowhere."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.data.tables import TableServiceClient

from local.azure.embedded import CLIENT_ID
from local.lab import LONG_AGO, Lab

OPTIONS = {
    "notebooks": 40,
    "plain": True,
    "settings": {"DATABRICKS_TOKEN_SECRET": "databricks-token", "GIT_TOKEN_SECRET": "git-token"},
}
HOLDERS = {"secrets.json", "vault.json", "key.pem"}
"""Where credentials themselves are kept, readable by their owner alone."""
MOST_SECONDS, POLL_SECONDS = 60, 0.1
pytestmark = pytest.mark.xdist_group("credentials")


class _Seen:
    """Everything that was answered, and every secret that was there."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.answers, self.secrets = lab, [""], {lab.system.secrets["workspace"], lab.system.secrets["git"]}

    def call(self, method: str, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A request to the app, whatever its status."""
        headers = {"x-functions-key": self.lab.system.key}
        url = f"{self.lab.system.url}/api/{route}"
        answer = requests.request(method, url, json=body, headers=headers, timeout=120)
        self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    def user_token(self) -> str:
        token = self.lab.user_token()
        self.secrets.add(token)
        return token

    def versions(self) -> None:
        """Remember what the vault holds now."""
        stored = self.lab.vault_secrets()
        self.secrets |= {version["value"] for versions in stored.values() for version in versions}


@pytest.fixture(scope="module")
def seen(lab: Lab) -> _Seen:
    """The system after every kind of rotation, each between two backups."""
    seen = _Seen(lab)
    _backs_up(lab, 1)
    _meet_trouble(lab, seen)
    _rotate_workspace(lab, seen)
    _rotate_repository(lab, seen)
    _rotate_by_timer(lab, seen)
    return seen


def _end_grace(lab: Lab, seen: _Seen, name: str) -> dict[str, Any]:
    """Five minutes pass, and the timer comes by; how the rotation stands then."""
    connection = lab.system.settings["AzureWebJobsStorage"]
    with TableServiceClient.from_connection_string(connection) as tables:
        table = tables.get_table_client("credentials")
        table.update_entity({**table.get_entity("rotation", name), "switched_at": LONG_AGO})
    lab.system.fire_timer("continue_rotations")
    deadline = time.monotonic() + MOST_SECONDS
    while (found := _credential(seen, name)["last_rotation"])["step"] == "switched":
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
    return dict(found)


def _credential(seen: _Seen, name: str) -> dict[str, Any]:
    (found,) = [c for c in seen.call("GET", "credentials")["credentials"] if c["name"] == name]
    return dict(found)


def _backs_up(lab: Lab, number: int) -> None:
    lab.control("random_edits", {"count": 3, "seed": number})
    run = lab.back_up()
    assert (run["status"], run["failures"]) == ("succeeded", [])
    assert lab.cloned(lab.clone()) == lab.truth()


def _meet_trouble(lab: Lab, seen: _Seen) -> None:
    """Issuer and vault refuse, and one of them repeats the credential that it was asked with."""
    for kind in ("echo", "cut_body", "500"):
        lab.control("behaviour", {"faults": [{"kind": kind, "endpoint": "token/create", "times": 1}]})
        found = seen.call("POST", "credentials/workspace/rotate")
        lab.control("behaviour", {"faults": []})
        assert found["error"]
        assert (found["step"] == "failed") == (kind == "echo")
        if kind != "echo":
            assert seen.call("POST", "credentials/workspace/rotate")["step"] == "switched"
            assert _end_grace(lab, seen, "workspace")["step"] == "done"
        seen.versions()
    lab.vault_secrets(roles={CLIENT_ID: ""})
    assert "ForbiddenByRbac" in str(seen.call("POST", "credentials/check"))
    lab.vault_secrets(roles={CLIENT_ID: "officer"})


def _rotate_workspace(lab: Lab, seen: _Seen) -> None:
    assert lab.client.call("GET", "doctor")["checks"][0]["ok"]
    assert seen.call("POST", "credentials/workspace/rotate")["step"] == "switched"
    seen.versions()
    _backs_up(lab, 2)
    ended = _end_grace(lab, seen, "workspace")
    assert (ended["step"], ended["error"], ended["note"]) == ("done", None, None)
    _backs_up(lab, 3)
    assert seen.call("POST", "credentials/check")["credentials"][0]["days_left"] == 89


def _rotate_repository(lab: Lab, seen: _Seen) -> None:
    """A personal token: with a token of its user alone."""
    refused = seen.call("POST", "credentials/repository/rotate")
    assert (refused["status"], refused["type"]) == (409, "urn:notebook-backup:user_token_needed")
    wrong = seen.call("POST", "credentials/repository/rotate", {"user_token": lab.system.secrets["git"]})
    assert (wrong["step"], "HTTP 401" in wrong["error"]) == ("failed", True)
    first = seen.call("POST", "credentials/repository/rotate", {"user_token": seen.user_token()})
    seen.versions()
    assert (first["step"], "by hand" in first["note"]) == ("done", True)
    _backs_up(lab, 4)
    second = seen.call("POST", "credentials/repository/rotate", {"user_token": seen.user_token()})
    seen.versions()
    assert (second["step"], second["note"]) == ("done", None)
    _backs_up(lab, 5)
    shown = seen.call("POST", "credentials/check", {"user_token": seen.user_token()})["credentials"]
    assert [(c["name"], c["days_left"]) for c in shown] == [("workspace", 89), ("repository", 89)]


def _rotate_by_timer(lab: Lab, seen: _Seen) -> None:
    """A token near its end."""
    before = _credential(seen, "workspace")["last_rotation"]["rotation"]
    lab.control("expire_tokens", {"seconds": 5 * 86_400})
    lab.system.fire_timer("watch_credentials")
    deadline = time.monotonic() + MOST_SECONDS
    while (last := _credential(seen, "workspace")["last_rotation"])["rotation"] == before or last["step"] != "switched":
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
    seen.versions()
    assert _end_grace(lab, seen, "workspace")["step"] == "done"
    assert seen.call("POST", "credentials/check")["credentials"][0]["days_left"] == 89
    _backs_up(lab, 6)


def test_one_token_of_the_workspace_is_left_and_it_is_none_of_those_before(lab: Lab, seen: _Seen) -> None:
    first = lab.system.secrets["workspace"]
    current = lab.vault_secrets()["databricks-token"][-1]["value"]
    url = f"{lab.system.workspace_url}/api/2.0/token/list"
    answers = [requests.get(url, headers={"Authorization": f"Bearer {t}"}, timeout=30) for t in (first, current)]
    assert [a.status_code for a in answers] == [403, 200]
    assert len(answers[1].json()["token_infos"]) == 1


def test_every_step_is_in_the_trail(lab: Lab, seen: _Seen) -> None:
    records = seen.call("GET", "audit?action=credential_rotated&limit=200")["records"]
    steps = [(r["object"], r["detail"]["step"], r["result"]) for r in records]
    assert steps.count(("workspace", "ended", "done")) == 4
    assert steps.count(("workspace", "ended", "failed")) == 1
    assert steps.count(("repository", "ended", "done")) == 1
    assert ("repository", "ended", "partial") in steps
    assert ("repository", "ended", "failed") in steps
    assert seen.call("GET", "audit/verify")["intact"] is True


def test_no_file_and_no_answer_holds_a_secret(lab: Lab, seen: _Seen) -> None:
    seen.call("GET", "status")
    seen.versions()
    assert len(seen.secrets) >= 8
    basic = [base64.b64encode(f":{s}".encode()).decode() for s in seen.secrets]
    forms = [*seen.secrets, *basic]
    assert [a[:80] for a in seen.answers if any(form in a for form in forms)] == []
    data = lab.system.options.data
    files = [f for f in data.rglob("*") if f.is_file() and f.name not in HOLDERS]
    assert {"azurite", "logs", "host", "git", "azure", "workspace"} <= {f.relative_to(data).parts[0] for f in files}
    assert [str(f) for f in files if _holds(f, forms)] == []


def _holds(file: Path, forms: list[str]) -> bool:
    data = file.read_bytes()
    return any(form.encode() in data for form in forms)


def test_the_holders_are_readable_by_their_owner_alone(lab: Lab, seen: _Seen) -> None:
    found = [f for f in lab.system.options.data.rglob("*") if f.name in HOLDERS]
    assert {f.name for f in found} == HOLDERS
    assert [f for f in found if f.stat().st_mode & 0o077] == []
