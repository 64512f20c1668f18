"""The runbooks, played: a fault of each kind on a whole system, the runbook's commands, and all is well again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.lab import LONG_AGO, Lab
from tests.commands import ROOT, command, command_json

OPTIONS = {"notebooks": 60, "folders": 12, "plain": True}
GUIDE = (ROOT / "docs" / "runbooks.md").read_text()
POISON = "backup-export-poison"
pytestmark = pytest.mark.xdist_group("runbooks")


@pytest.fixture(scope="module", autouse=True)
def first(lab: Lab) -> None:
    lab.system.settings["BACKUP_GIVE_UP_HOURS"] = "0.0001"
    _restart(lab)
    assert lab.back_up()["status"] == "succeeded"


@pytest.fixture(autouse=True)
def well(lab: Lab) -> Iterator[None]:
    """After each runbook, the doctor finds nothing that has failed."""
    yield
    rows = _doctor(lab, code=0)
    assert [row for row in rows.values() if row["level"] == "failed"] == []


def _restart(lab: Lab, **settings: str) -> None:
    lab.system.kill_host()
    kept = dict(lab.system.settings)
    lab.system.settings |= settings
    lab.system.start_host()
    lab.system.settings = kept


def _doctor(lab: Lab, code: int) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in command_json(lab, "doctor", code=code)}


def _does(section: str, line: str) -> None:
    """The runbook tells people to run just this."""
    text = GUIDE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    assert line in text, f"{section} does not say {line}"


def _edit(lab: Lab, seed: int) -> None:
    lab.control("random_edits", {"count": 3, "seed": seed})


@contextmanager
def _denied(lab: Lab, *paths: str) -> Iterator[None]:
    lab.control("behaviour", {"denied": list(paths)})
    yield
    lab.control("behaviour", {"denied": []})


def test_run_failed(lab: Lab) -> None:
    _edit(lab, 1)
    lab.git_control("refuse", {"kind": "403", "service": "git-receive-pack", "times": 1_000})
    failed = command_json(lab, "sync", code=1)
    assert (failed["status"], "403" in failed["error"]) == ("failed", True)
    rows = _doctor(lab, code=1)
    assert (rows["repository push"]["level"], rows["last run"]["level"]) == ("failed", "failed")
    assert "Contribute" in rows["repository push"]["remedy"]
    lab.git_control("settle", {})
    _does("run-failed", "./backup sync")
    assert command_json(lab, "sync")["status"] == "succeeded"


def test_run_partial(lab: Lab) -> None:
    with _denied(lab, "/Clients/client_0001"):
        partial = command_json(lab, "sync", code=1)
    assert [f["code"] for f in partial["failures"]] == ["folder_unknown"]
    assert "folder_unknown" in command(lab, "status")[1]
    _does("run-partial", "./backup sync --retry RUN")
    assert command_json(lab, "sync", "--retry", partial["run_id"])["status"] == "succeeded"


def test_no_success(lab: Lab) -> None:
    with TableServiceClient.from_connection_string(lab.system.settings["AzureWebJobsStorage"]) as tables:
        runs = tables.get_table_client("runs")
        for row in list(runs.query_entities("PartitionKey eq 'run'")):
            runs.update_entity({**row, "finished_at": LONG_AGO})
    assert _doctor(lab, code=0)["last run"]["level"] == "warning"
    _does("no-success", "./backup doctor --here")
    assert command(lab, "doctor", "--here")[0] == 0
    assert command(lab, "runs")[0] == 0
    assert command_json(lab, "sync")["status"] == "succeeded"
    assert _doctor(lab, code=0)["last run"]["level"] == "ok"


def test_poison_messages(lab: Lab) -> None:
    off = {"AzureWebJobs.export_batch.Disabled": "true", "AzureWebJobs.export_poison.Disabled": "true"}
    _restart(lab, **off)
    _edit(lab, 2)
    run_id = command_json(lab, "sync", "--no-wait")["run_id"]
    _fail_every_delivery(lab, run_id)
    assert command(lab, "poison", "list")[0] == 1
    assert _doctor(lab, code=1)["poison queues"]["level"] == "failed"
    _restart(lab, **{"AzureWebJobs.export_poison.Disabled": "true"})
    _does("poison-messages", "./backup poison requeue --all")
    assert len(command_json(lab, "poison", "requeue", "--all")["done"]) >= 1
    assert command(lab, "poison", "list")[0] == 0
    run = _ended(lab, run_id)
    assert (run["status"], run["failures"]) == ("succeeded", [])
    _restart(lab)
    assert "message_requeued" in command(lab, "audit", "--action", "message_requeued")[1]


def _fail_every_delivery(lab: Lab, run_id: str) -> None:
    """What the platform does after the fifth: the messages stand in the poison queue."""
    connection = lab.system.settings["AzureWebJobsStorage"]
    while (run := lab.client.call("GET", f"runs/{run_id}"))["phase"] in ("queued", "planning"):
        continue
    assert run["planned"]
    with QueueServiceClient.from_connection_string(connection) as queues:
        work, poison = queues.get_queue_client("backup-export"), queues.get_queue_client(POISON)
        # The messages leave by an output binding, after the run's row already says that it exports.
        while not (messages := list(work.receive_messages())):
            continue
        for message in messages:
            poison.send_message(message.content)
            work.delete_message(message)


def _ended(lab: Lab, run_id: str) -> dict[str, Any]:
    while (run := lab.client.call("GET", f"runs/{run_id}"))["status"] == "running":
        continue
    return run


def test_poison_messages_that_name_nothing_are_dropped_by_hand(lab: Lab) -> None:
    _restart(lab, **{"AzureWebJobs.export_poison.Disabled": "true"})
    with QueueServiceClient.from_connection_string(lab.system.settings["AzureWebJobsStorage"]) as queues:
        queues.get_queue_client(POISON).send_message("bm90aGluZw==")
    (message,) = command_json(lab, "poison", "list", code=1)["messages"]
    assert message["text"] == "nothing"
    _does("poison-messages", "./backup poison drop ID")
    assert command_json(lab, "poison", "drop", message["id"])["done"] == [message["id"]]
    assert command(lab, "poison", "list")[0] == 0
    _restart(lab)


def test_deletions_held(lab: Lab) -> None:
    gone = sorted(path for path, _ in lab.truth())[:20]
    lab.edit(*({"action": "delete", "path": path} for path in gone))
    held = command_json(lab, "sync", code=1)
    assert (held["status"], held["counts"]["held"]) == ("partial", 20)
    assert held["run_id"] in command(lab, "audit", "--action", "deletion_held")[1]
    _does("deletions-held", "./backup sync --confirm-deletions RUN")
    run = command_json(lab, "sync", "--confirm-deletions", held["run_id"])
    assert (run["status"], run["counts"]["held"], run["counts"]["deleted"]) == ("succeeded", 0, 20)
    assert command(lab, "sync", "--confirm-deletions", run["run_id"])[0] == 2


def test_verification_failed(lab: Lab) -> None:
    with BlobServiceClient.from_connection_string(lab.system.settings["AzureWebJobsStorage"]) as blobs:
        container = blobs.get_container_client("backup")
        newest = lab.checkpoint()[:12]
        (name,) = [b.name for b in container.list_blobs(name_starts_with="manifests/") if newest in b.name]
        container.delete_blob(name)
    assert "manifest_missing" in {f["code"] for f in command_json(lab, "verify", code=1)["failures"]}
    for line in ("./backup rebuild", "./backup sync", "./backup verify"):
        _does("verification-failed", line)
    assert command(lab, "rebuild")[0] == 0
    assert command(lab, "sync")[0] == 0
    assert command(lab, "verify")[0] == 0


def test_restore_failed(lab: Lab) -> None:
    path = next(p for p, language in sorted(lab.truth()) if language == "PYTHON")
    lab.edit({"action": "edit", "path": path, "content": "# Databricks notebook source\nbroken\n"})
    with _denied(lab, path):
        failed = command_json(lab, "restore", path, "--at", "latest", "--yes", code=1)
    reasons = {i["reason"] for i in failed["items"]}
    assert reasons == {"permission_denied"}
    assert command(lab, "restores", failed["id"])[0] == 0
    _does("restore-failed", "./backup restore PATH --at REV")
    done = command_json(lab, "restore", path, "--at", "latest", "--yes")
    assert [i["outcome"] for i in done["items"]] == ["verified"]


def test_slow_answers(lab: Lab) -> None:
    paths = sorted(path for path, language in lab.truth() if language == "PYTHON")[:8]
    _restart(lab)
    lab.control("behaviour", {"ceiling": 5})
    assert _refused_while_reading(lab, paths) > 0
    _does("slow-answers", "lower `BACKUP_WORKSPACE_CALLS_PER_SECOND`")
    _restart(lab, BACKUP_WORKSPACE_CALLS_PER_SECOND="4")
    assert _refused_while_reading(lab, paths) == 0
    lab.control("behaviour", {"ceiling": 0})
    _restart(lab)


def _refused_while_reading(lab: Lab, paths: list[str]) -> int:
    """Calls that the workspace throttled while somebody read what it holds now."""
    before = lab.control("stats").json()["refused"]
    for path in paths:
        lab.client.call("GET", "diff", params={"path": path})
    return int(lab.control("stats").json()["refused"]) - int(before)


def test_credential_expiry(lab: Lab) -> None:
    _restart(lab, GIT_TOKEN="an-expired-one")
    rows = _doctor(lab, code=1)
    assert (rows["repository"]["level"], rows["repository push"]["level"]) == ("failed", "failed")
    _restart(lab)
    _does("credential-expiry", "./backup doctor")
    assert command_json(lab, "sync")["status"] == "succeeded"


def test_repository_size(lab: Lab) -> None:
    _does("repository-size", "./backup capacity")
    assert command(lab, "capacity")[0] == 0
