"""The storage account lost, the repository lost, both: what comes back by which command, and what does not."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.git_server import make_repository
from local.lab import Lab, git
from tests.commands import command, command_json

OPTIONS = {"notebooks": 40, "folders": 8, "plain": True}
NUMBERS = itertools.count(1)
SECOND = "# Databricks notebook source\nprint(2)\n"
pytestmark = pytest.mark.xdist_group("disasters")


def _first(path: str) -> str:
    """Bytes that no other notebook has: a cache must not know them."""
    return f"# Databricks notebook source\nprint({path!r})\n"


@pytest.fixture
def path(lab: Lab) -> str:
    """A notebook with two versions: tests may come in any order, and each takes something away."""
    found = f"/Clients/kept/load {next(NUMBERS)}"
    lab.edit({"action": "mkdir", "path": "/Clients/kept"})
    lab.edit({"action": "create", "path": found, "language": "PYTHON", "content": _first(found)})
    assert lab.back_up()["status"] == "succeeded"
    lab.edit({"action": "edit", "path": found, "content": SECOND})
    assert lab.back_up()["status"] == "succeeded"
    return found


def _lose_storage(lab: Lab) -> None:
    """An empty account of the same name; what the platform keeps of orchestrations and timers was in it, too."""
    lab.system.kill_host()
    connection = lab.system.settings["AzureWebJobsStorage"]
    with TableServiceClient.from_connection_string(connection) as tables:
        for table in list(tables.list_tables()):
            tables.delete_table(table.name)
    with BlobServiceClient.from_connection_string(connection) as blobs:
        for container in list(blobs.list_containers()):
            blobs.delete_container(container.name)
    with QueueServiceClient.from_connection_string(connection) as queues:
        for queue in list(queues.list_queues()):
            queues.delete_queue(queue.name)
    host = lab.system.options.data / "host"
    for left in [*host.glob("durable.sqlite*"), *host.glob("timers/*")]:
        left.unlink()
    shutil.rmtree(lab.system.options.data / "scratch")
    lab.system.start_host()


def _lose_repository(lab: Lab) -> None:
    """An empty repository of the same name."""
    repository = lab.system.options.data / "git" / "notebooks.git"
    shutil.rmtree(repository)
    make_repository(repository)


def _versions(lab: Lab, path: str) -> list[str]:
    found = command_json(lab, "history", path)["versions"]
    return [v["kind"] for v in found]


def _content(lab: Lab, path: str, at: str) -> str:
    return command(lab, "show", path, "--at", at)[1]


def _is_whole(lab: Lab) -> dict[str, Any]:
    """The repository holds the workspace, and a verification says so."""
    assert lab.cloned(lab.clone()) == lab.source_truth()
    proof = command_json(lab, "verify", code=None)
    return {"status": proof["status"], "failures": {f["code"] for f in proof["failures"]}} | {
        "notices": {n["code"] for n in proof["notices"]}
    }


def test_the_storage_is_lost_and_the_history_comes_back_from_git(lab: Lab, path: str) -> None:
    clone = lab.clone()
    first, before = (
        git(clone, "log", "--format=%H", "--reverse", "--", f"{path.removeprefix('/Clients/')}.py").split()[0],
        _versions(lab, path),
    )
    anchors = re.findall(r"^Backup-Audit: (\d+:[0-9a-f]{64})$", git(clone, "log", "--format=%B"), re.MULTILINE)
    head = git(clone, "rev-parse", "HEAD")
    _lose_storage(lab)
    assert command_json(lab, "rebuild")["status"] == "passed"
    run = command_json(lab, "sync")
    # Git does not say when a notebook was modified: each is exported once, and none differs.
    assert (run["status"], run["planned"]) == ("succeeded", run["notebooks"])
    assert git(lab.clone(), "rev-parse", "HEAD") == head
    assert _versions(lab, path) == before
    assert _content(lab, path, first) == _first(path)
    restored = command_json(lab, "restore", path, "--at", first, "--yes")
    assert [i["outcome"] for i in restored["items"]] == ["verified"]
    found = _is_whole_after_change(lab, path)
    assert found["failures"] == {"audit_broken"}
    lab.system.settings["BACKUP_AUDIT_LOST"] = anchors[0]
    lab.system.kill_host()
    lab.system.start_host()
    found = _is_whole(lab)
    assert (found["status"], found["notices"]) == ("passed", {"audit_trail_lost"})
    assert [r["run_id"] for r in command_json(lab, "runs")["runs"]] != []
    del lab.system.settings["BACKUP_AUDIT_LOST"]


def _is_whole_after_change(lab: Lab, path: str) -> dict[str, Any]:
    lab.edit({"action": "edit", "path": path, "content": SECOND})
    assert command_json(lab, "sync")["status"] == "succeeded"
    return _is_whole(lab)


def test_the_repository_is_lost_and_a_clone_brings_everything_back(lab: Lab, path: str) -> None:
    clone, before = lab.clone(), _versions(lab, path)
    _lose_repository(lab)
    subprocess.run(["git", "-C", str(clone), "push", "--quiet", "origin", "main"], check=True)
    run = command_json(lab, "sync")
    assert (run["status"], run["planned"], run["notices"]) == ("succeeded", 0, [])
    assert _versions(lab, path) == before


def test_the_repository_is_lost_without_a_clone_and_the_present_comes_back(lab: Lab, path: str) -> None:
    oldest = command_json(lab, "history", path)["versions"][-1]["commit"]
    _lose_repository(lab)
    run = command_json(lab, "sync")
    assert (run["status"], [n["code"] for n in run["notices"]]) == ("succeeded", ["history_lost"])
    assert run["planned"] == run["notebooks"]
    assert _content(lab, path, "latest") == SECOND
    code, _, told = command(lab, "show", path, "--at", oldest)
    assert (code, "content_missing" in told or "repository" in told) == (2, True)
    assert not _is_whole(lab)["failures"] - {"audit_broken"}


def test_both_are_lost_and_the_present_comes_back(lab: Lab, path: str) -> None:
    _lose_storage(lab)
    _lose_repository(lab)
    run = command_json(lab, "sync")
    assert (run["status"], run["planned"], run["notices"]) == ("succeeded", run["notebooks"], [])
    found = _is_whole(lab)
    assert (found["status"], found["failures"]) == ("passed", set())
    assert _versions(lab, path) == ["created"]
    assert json.loads(command(lab, "audit", "--verify", "--json")[1])["intact"] is True


def test_the_guide_names_each_case() -> None:
    guide = (Path(__file__).resolve().parent.parent.parent / "docs" / "disaster-recovery.md").read_text()
    for words in ("./backup rebuild", "./backup sync", "BACKUP_AUDIT_LOST", "history_lost", "git push"):
        assert words in guide
