"""A whole system without one token in its settings: identities open everything, restores with one of their own."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from local.lab import Lab

BACKUP_ID, RESTORE_ID = (f"{n:08}-0000-4000-8000-000000000000" for n in (1, 2))
OPTIONS = {
    "notebooks": 40,
    "plain": True,
    "settings": {
        "AZURE_CLIENT_ID": BACKUP_ID,
        "BACKUP_RESTORE_CLIENT_ID": RESTORE_ID,
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": BACKUP_ID,
    },
}
MOST_SECONDS, POLL_SECONDS = 60, 0.1
pytestmark = pytest.mark.xdist_group("identity")


def _restored(lab: Lab, body: dict[str, Any]) -> dict[str, Any]:
    found = lab.client.call("POST", "restores", json=body)
    deadline = time.monotonic() + MOST_SECONDS
    while found["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
        found = lab.client.call("GET", f"restores/{found['id']}")
    return found


def test_backup_and_restore_go_by_identity_alone(lab: Lab) -> None:
    told = {name for name in lab.system.settings if "TOKEN" in name or name == "AzureWebJobsStorage"}
    assert told == set()
    first = lab.back_up()
    assert (first["status"], first["notebooks"]) == ("succeeded", 40)
    assert lab.cloned(lab.clone()) == lab.truth()
    checks = lab.client.call("GET", "doctor")["checks"]
    assert len(checks) >= 5
    assert [c for c in checks if not c["ok"]] == []
    before = lab.truth()
    path = min(p for p, language in before if language == "PYTHON")
    lab.edit({"action": "edit", "path": path, "content": "# Databricks notebook source\nbroken\n"})
    assert lab.truth() != before
    found = _restored(lab, {"paths": [path], "at": first["commit"]})
    assert (found["status"], found["items"][0]["outcome"]) == ("succeeded", "verified")
    assert lab.truth() == before


def test_the_backups_own_identity_may_not_write_to_the_workspace(lab: Lab) -> None:
    """What the restore above wrote, it wrote with the other identity."""
    azure = lab.system.azure
    assert azure is not None
    headers = {"X-IDENTITY-HEADER": lab.system.secrets["identity"]}
    query = {"api-version": "2019-08-01", "resource": "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d", "client_id": BACKUP_ID}
    url = f"http://127.0.0.1:{azure.port}/msi/token"
    token = requests.get(url, params=query, headers=headers, timeout=30).json()["access_token"]
    url, body = f"{lab.system.workspace_url}/api/2.0/workspace/mkdirs", {"path": "/Clients/new"}
    answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_identities_are_shown_as_what_renews_itself(lab: Lab) -> None:
    found = lab.client.call("POST", "credentials/check")["credentials"]
    assert [(c["name"], c["kind"], c["renewed_by"]) for c in found] == [
        ("workspace", "identity", "itself"),
        ("repository", "identity", "itself"),
        ("restore", "identity", "itself"),
    ]
