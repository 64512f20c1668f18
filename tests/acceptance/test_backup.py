"""The main job: a workspace into a repository through the real chain, then its changes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.queue import QueueServiceClient

from local.app import wait_for_new_run
from local.lab import Lab, git
from shared.cli import follow

ROOT = Path(__file__).resolve().parent.parent.parent
OPTIONS = {"notebooks": 300}
MOST_SECONDS, POLL_SECONDS = 90, 0.1
pytestmark = pytest.mark.xdist_group("backup")


@dataclass
class First:
    """The first run, with the repository and the workspace as they were after it."""

    run: dict[str, Any]
    clone: Path
    truth: dict[tuple[str, str], str]


@pytest.fixture(scope="module", autouse=True)
def first(lab: Lab) -> First:
    return First(lab.back_up(), lab.clone(), lab.source_truth())


def test_a_first_run_brings_every_notebook_byte_for_byte(lab: Lab, first: First) -> None:
    run = first.run
    assert (run["status"], run["failures"], run["notebooks"]) == ("succeeded", [], 300)
    assert len(first.truth) == 299
    assert lab.cloned(first.clone) == first.truth
    assert len(list(first.clone.rglob("*.ipynb"))) == 1
    assert "dangling" not in git(first.clone, "fsck", "--full", "--strict")
    assert f"Backup-Run: {run['run_id']}" in git(first.clone, "log", "-1", "--format=%B")


def test_a_run_without_changes_makes_no_commit_and_no_export(lab: Lab) -> None:
    lab.control("reset_stats", {})
    run = lab.back_up()
    assert (run["status"], run["planned"], run["commit"]) == ("succeeded", 0, None)
    calls = lab.control("stats").json()["calls"]
    assert "workspace/export" not in calls
    assert calls["workspace/list"] == run["counts"]["folders"]


def test_exactly_the_changes_are_committed(lab: Lab) -> None:
    paths = sorted(p for p, language in lab.truth() if language == "PYTHON" and "names that hurt" not in p)
    edited, renamed, moved, deleted, again, retyped = paths[3], paths[40], paths[60], paths[80], paths[100], paths[120]
    before = git(lab.clone(), "rev-parse", "HEAD")
    lab.edit(
        {"action": "edit", "path": edited},
        {"action": "rename", "path": renamed, "to": f"{renamed} renamed"},
        {"action": "mkdir", "path": "/Clients/moved here"},
        {"action": "move", "path": moved, "to": "/Clients/moved here/it"},
        {"action": "delete", "path": deleted},
        {"action": "delete", "path": again},
        {"action": "create", "path": again, "language": "PYTHON", "content": "# Databricks notebook source\n1\n"},
        {"action": "set_language", "path": retyped, "language": "SQL"},
        {"action": "create", "path": "/Clients/moved here/new", "language": "SCALA"},
    )
    run = lab.back_up()
    counts = run["counts"]
    assert run["status"] == "succeeded"
    seen = [counts[k] for k in ("created", "changed", "renamed", "deleted", "conflict")]
    assert seen == [1, 3, 2, 1, 0]
    clone = lab.clone()
    assert lab.cloned(clone) == lab.source_truth()
    changes = git(clone, "diff", "--name-status", "--no-renames", f"{before}..HEAD").splitlines()
    relative = [p.removeprefix("/Clients/") for p in (edited, renamed, moved, deleted, again, retyped)]
    expected = {
        f"M\t{relative[0]}.py",
        f"D\t{relative[1]}.py",
        f"A\t{relative[1]} renamed.py",
        f"D\t{relative[2]}.py",
        "A\tmoved here/it.py",
        f"D\t{relative[3]}.py",
        f"M\t{relative[4]}.py",
        f"D\t{relative[5]}.py",
        f"A\t{relative[5]}.sql",
        "A\tmoved here/new.scala",
    }
    assert set(changes) == expected
    followed = git(clone, "log", "--follow", "--format=%H", "--", "moved here/it.py").splitlines()
    assert len(followed) == 2


def test_what_a_person_pushes_stays_and_their_edit_of_a_notebook_is_overruled(lab: Lab) -> None:
    clone = lab.clone()
    file = next(p for p in sorted(clone.rglob("*.py")) if "client_" in str(p)).relative_to(clone).as_posix()
    lab.git_control("commit", {"files": {file: "overwritten", "team/README.md": "ours"}, "author": "grace"})
    run = lab.back_up()
    assert (run["status"], run["counts"]["conflict"]) == ("succeeded", 1)
    after = lab.clone()
    assert (after / "team/README.md").read_text() == "ours"
    assert lab.cloned(after) == lab.source_truth()
    assert "grace" in git(after, "log", "-3", "--format=%cn")


@pytest.mark.parametrize("kind", ["moved", "lost_answer", "503"])
def test_a_push_that_is_refused_or_loses_its_answer_is_done_again(lab: Lab, kind: str) -> None:
    lab.git_control("refuse", {"kind": kind, "times": 1})
    lab.control("random_edits", {"count": 3, "seed": len(kind)})
    run = lab.back_up()
    assert run["status"] == "succeeded"
    clone = lab.clone()
    assert lab.cloned(clone) == lab.source_truth()
    assert git(clone, "log", "--format=%B").count(f"Backup-Run: {run['run_id']}") == 1


def test_a_folder_that_cannot_be_listed_keeps_its_notebooks(lab: Lab) -> None:
    folder = "/Clients/client_0001"
    lab.control("behaviour", {"denied": [folder]})
    run = lab.back_up()
    lab.control("behaviour", {"denied": []})
    assert (run["status"], run["counts"]["deleted"]) == ("partial", 0)
    assert [f["path"] for f in run["failures"]] == [folder]
    assert lab.cloned(lab.clone()) == lab.source_truth()


def test_a_run_goes_on_after_the_host_was_killed(lab: Lab) -> None:
    lab.control("behaviour", {"latency_ms": 60})
    lab.control("random_edits", {"count": 40, "seed": 77})
    before = {r["run_id"] for r in lab.client.call("GET", "runs")["runs"]}
    lab.system.fire_timer("daily_backup")
    run_id = wait_for_new_run(lab.client, before)["run_id"]
    lab.system.kill_host()
    lab.control("behaviour", {"latency_ms": 0})
    lab.system.start_host()
    assert lab.client.call("GET", f"runs/{run_id}")["run_id"] == run_id
    _redeliver(lab, run_id)
    run = follow(lab.client, run_id, show=False)
    assert run["status"] == "succeeded"
    assert lab.cloned(lab.clone()) == lab.source_truth()


def _command(lab: Lab, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and messages of `./backup`, run beside the system."""
    environment = {**os.environ, "BACKUP_DATA": str(lab.system.options.data), "COLUMNS": "160"}
    command = [sys.executable, "-m", "shared.cli", *arguments]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    return result.returncode, result.stdout, result.stderr


def test_the_command_line_backs_up_shows_runs_and_checks_every_system(lab: Lab) -> None:
    lab.edit({"action": "mkdir", "path": "/Clients/shown"})
    lab.edit({"action": "create", "path": "/Clients/shown/by command", "language": "SQL"})
    code, output, _ = _command(lab, "sync", "--json")
    run = json.loads(output)
    assert (code, run["status"], run["counts"]["created"]) == (0, "succeeded", 1)
    code, output, _ = _command(lab, "runs", "--json", "--limit", "1")
    assert (code, [r["run_id"] for r in json.loads(output)["runs"]]) == (0, [run["run_id"]])
    code, output, _ = _command(lab, "status")
    assert (code, run["run_id"] in output, "succeeded" in output) == (0, True, True)
    code, output, _ = _command(lab, "doctor", "--json")
    found = json.loads(output)
    assert (code, [c["detail"] for c in found if c["level"] == "failed"]) == (0, [])
    assert {c["name"] for c in found} == {
        *("address", "clock here", "role", "workspace", "workspace export", "who changed it", "workspace identity"),
        *("workspace settings", "repository", "repository push", "git", "blobs", "queues", "tables", "clock", "disk"),
        *("memory", "mail", "state version", "last run", "lease", "committer", "poison queues", "verification"),
        *("audit trail", "settings", "host"),
    }


def test_a_verification_proves_the_backup_and_a_rebuild_makes_its_record_again(lab: Lab) -> None:
    lab.back_up()
    code, output, _ = _command(lab, "verify", "--json")
    proved = json.loads(output)
    assert (code, proved["status"], proved["failures"]) == (0, "passed", [])
    assert proved["files"] == len(lab.truth())
    assert proved["sampled"] > 0
    code, output, _ = _command(lab, "rebuild", "--json")
    assert (code, json.loads(output)["notebooks"]) == (0, proved["files"])
    run = lab.back_up()
    assert (run["status"], run["counts"]["deleted"], run["notices"]) == ("succeeded", 0, [])
    assert lab.cloned(lab.clone()) == lab.source_truth()
    code, output, _ = _command(lab, "verify")
    assert (code, "passed" in output) == (0, True)


def test_a_run_that_could_not_read_a_folder_is_completed_by_a_retry(lab: Lab) -> None:
    folder = "/Clients/client_0002"
    lab.edit({"action": "mkdir", "path": folder}, {"action": "create", "path": f"{folder}/late", "language": "SQL"})
    lab.control("behaviour", {"denied": [folder]})
    code, output, _ = _command(lab, "sync", "--json")
    failed = json.loads(output)
    lab.control("behaviour", {"denied": []})
    assert (code, failed["status"], [f["path"] for f in failed["failures"]]) == (1, "partial", [folder])
    code, output, _ = _command(lab, "sync", "--retry", failed["run_id"], "--json")
    retried = json.loads(output)
    assert (code, retried["status"], retried["retry_of"]) == (0, "succeeded", failed["run_id"])
    assert retried["counts"]["created"] == 1
    assert lab.cloned(lab.clone()) == lab.source_truth()
    code, _, messages = _command(lab, "sync", "--retry", "20200101T000000Z-0000")
    assert (code, "There is no run 20200101T000000Z-0000" in messages) == (2, True)


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"retry": 7}', b'{"retry": "../x"}', b'{"other": 1}'])
def test_a_run_is_not_started_by_a_request_that_makes_no_sense(lab: Lab, body: bytes) -> None:
    before = lab.client.call("GET", "runs")["runs"][0]["run_id"]
    headers = {"x-functions-key": lab.system.key}
    answer = requests.post(f"{lab.system.url}/api/runs", data=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["title"]) == (400, "invalid request")
    assert lab.client.call("GET", "runs")["runs"][0]["run_id"] == before


def test_a_token_in_a_notebook_is_named_without_showing_it(lab: Lab) -> None:
    token = "dapi" + "0123456789abcdef" * 2
    content = f"# Databricks notebook source\ntoken = '{token}'\n"
    lab.edit({"action": "create", "path": "/Clients/leaky", "language": "PYTHON", "content": content})
    run = lab.back_up()
    assert run["status"] == "succeeded"
    assert [(n["path"], n["code"]) for n in run["notices"]] == [("/Clients/leaky", "secret_found")]
    assert "line 2: Databricks token" in run["notices"][0]["reason"]
    assert token not in json.dumps(run)
    lab.edit({"action": "delete", "path": "/Clients/leaky"})
    assert lab.back_up()["counts"]["deleted"] == 1


def test_the_doctor_names_the_system_that_fails_and_what_to_do(lab: Lab) -> None:
    lab.control("behaviour", {"denied": ["/Clients"]})
    lab.git_control("refuse", {"kind": "403", "service": "git-upload-pack"})
    code, output, _ = _command(lab, "doctor", "--json")
    lab.control("behaviour", {"denied": []})
    checks = {c["name"]: c for c in json.loads(output)}
    assert code == 1
    assert {name for name, check in checks.items() if not check["ok"]} == {"workspace", "repository"}
    assert checks["workspace export"]["detail"].startswith("no notebook was found")
    assert "CAN READ" in checks["workspace"]["remedy"]
    assert "GIT_TOKEN" in checks["repository"]["remedy"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--key", "wrong", "status"), 2, "--key"),
        (("--url", "http://127.0.0.1:9", "status"), 3, "does not answer"),
    ],
)
def test_a_command_that_cannot_reach_its_app_says_what_to_do(
    lab: Lab, arguments: tuple[str, ...], code: int, words: str
) -> None:
    found, _, messages = _command(lab, *arguments)
    assert (found, words in messages) == (code, True)


def test_messages_of_the_poison_queues_that_name_nothing_are_dropped(lab: Lab) -> None:
    queues = ("backup-plan-poison", "backup-export-poison", "backup-maintenance-poison")
    with QueueServiceClient.from_connection_string(lab.system.settings["AzureWebJobsStorage"]) as service:
        for queue in queues:
            service.get_queue_client(queue).send_message(base64.b64encode(b"nonsense").decode())
    log = lab.system.options.data / "logs" / "functions-host.log"
    _until(lambda: log.read_text().count("a message was dropped") == len(queues))
    assert lab.back_up()["status"] == "succeeded"


def test_the_daily_verification_runs_by_its_timer(lab: Lab) -> None:
    before = len(lab.client.call("GET", "verifications")["verifications"])
    lab.system.fire_timer("daily_verification")

    def ended() -> bool:
        found = lab.client.call("GET", "verifications")["verifications"]
        return len(found) > before and found[0]["status"] not in ("queued", "running")

    _until(ended)
    newest = lab.client.call("GET", "verifications")["verifications"][0]
    assert (newest["status"], newest["trigger"]) == ("passed", "timer")


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)


def _redeliver(lab: Lab, run_id: str) -> None:
    """Make the killed host's message visible now, as the service does once its time is over."""
    service = QueueServiceClient.from_connection_string(lab.system.settings["AzureWebJobsStorage"])
    text = base64.b64encode(json.dumps({"run_id": run_id}).encode()).decode()
    service.get_queue_client("backup-plan").send_message(text)
    service.close()
