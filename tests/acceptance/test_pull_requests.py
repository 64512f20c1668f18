"""A protected branch on the whole real system: Azure Repos' policy, its pull requests, reviewers, and a clone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.lab import Lab, git
from local.system import LocalSystem, SystemOptions
from tests.commands import command, command_json

PROTECTED = "main"
pytestmark = pytest.mark.xdist_group("pull requests")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("protected")
    (folder / "clones").mkdir()
    settings = {"BACKUP_COMMIT_MODE": "pull_request"}
    options = SystemOptions(folder / "data", 0, 60, 18, plain=True, settings=settings)
    with LocalSystem(options) as system:
        lab = Lab(system, folder / "clones")
        lab.git_control("commit", {"branch": PROTECTED, "files": {"README.md": "read me\n"}})
        lab.git_control("repos", {"action": "protect", "branch": PROTECTED, "approvals": 1})
        yield lab


def _requests(lab: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.git_control("repos", {"action": "list"})["requests"]
    return found


def _publication(lab: Lab) -> dict[str, Any]:
    return dict(lab.client.call("GET", "status")["publication"])


def _clone(lab: Lab) -> Path:
    clone = lab.clone()
    git(clone, "checkout", "--quiet", PROTECTED)
    return clone


def _approve(lab: Lab) -> None:
    """Everything that is open is agreed to."""
    for request in _requests(lab):
        if request["status"] == "active":
            lab.git_control("repos", {"action": "approve", "id": request["pullRequestId"]})


def _edit(lab: Lab, text: str) -> None:
    path = next(path for path, language in lab.truth() if language == "PYTHON")
    lab.edit({"action": "edit", "path": path, "content": f"# Databricks notebook source\n# {text}\n"})


def test_what_is_backed_up_waits_for_its_reviewer_and_comes_whole(lab: Lab) -> None:
    _edit(lab, "for a reviewer")
    run = lab.back_up()
    assert (run["status"], run["notices"]) == ("succeeded", [])
    request = _requests(lab)[-1]
    number = request["pullRequestId"]
    assert (request["status"], request["mergeStatus"]) == ("active", "succeeded")
    assert request["completionOptions"]["mergeStrategy"] == "noFastForward"
    told = _publication(lab)
    assert (told["pull_request"], told["status"], told["target"]) == (number, "active", PROTECTED)
    assert f"pull request {number} active" in command(lab, "status")[1]
    assert lab.cloned(_clone(lab)) != lab.truth(), "nobody has agreed to it"
    path = next(path for path, language in lab.truth() if language == "PYTHON")
    assert command_json(lab, "history", path)["versions"], "it is restored from already"
    _approve(lab)
    clone = _clone(lab)
    assert lab.cloned(clone) == lab.truth()
    assert (clone / "README.md").read_text() == "read me\n"
    assert "Backup-Audit: " in git(clone, "log", "--format=%B")
    assert "ada" in git(clone, "log", "--format=%an")


def test_later_runs_replace_what_nobody_agreed_to(lab: Lab) -> None:
    lab.back_up()
    _approve(lab)
    lab.back_up()
    assert _publication(lab)["status"] == "completed"
    before = len(_requests(lab))
    for number in range(2):
        _edit(lab, f"edit {number}")
        assert lab.back_up()["status"] == "succeeded"
    older, newer = _requests(lab)[before:]
    assert (older["status"], newer["status"]) == ("abandoned", "active")
    assert older["comments"] == [f"Replaced by pull request {newer['pullRequestId']}."]
    branches = git(_clone(lab), "branch", "--remotes", "--list", "origin/backup/*").split()
    topic = newer["sourceRefName"].removeprefix("refs/heads/")
    assert branches == ["origin/backup/head/main", f"origin/{topic}"]
    _approve(lab)
    assert lab.cloned(_clone(lab)) == lab.truth()
    assert "pull requests" in command(lab, "doctor")[1]
