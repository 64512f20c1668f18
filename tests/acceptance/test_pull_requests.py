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


def test_what_is_backed_up_waits_for_its_reviewer_and_comes_whole(lab: Lab) -> None:
    run = lab.back_up()
    assert (run["status"], run["notices"]) == ("succeeded", [])
    (request,) = _requests(lab)
    assert (request["status"], request["mergeStatus"]) == ("active", "succeeded")
    assert request["completionOptions"]["mergeStrategy"] == "noFastForward"
    told = _publication(lab)
    assert (told["pull_request"], told["status"], told["target"]) == (1, "active", PROTECTED)
    assert f"pull request {request['pullRequestId']}" in command(lab, "status")[1]
    assert lab.cloned(_clone(lab)) == {}, "nobody has agreed to it"
    path = next(path for path, language in lab.truth() if language == "PYTHON")
    assert command_json(lab, "history", path)["versions"], "it is restored from already"
    lab.git_control("repos", {"action": "approve", "id": 1})
    clone = _clone(lab)
    assert lab.cloned(clone) == lab.truth()
    assert (clone / "README.md").read_text() == "read me\n"
    assert int(git(clone, "rev-list", "--count", "HEAD")) >= 4
    assert "Backup-Audit: " in git(clone, "log", "--format=%B")


def test_later_runs_replace_what_nobody_agreed_to(lab: Lab) -> None:
    lab.back_up()
    assert _publication(lab)["status"] == "completed"
    path = next(path for path, language in lab.truth() if language == "PYTHON")
    for number in range(2):
        text = f"# Databricks notebook source\n# {number}\n"
        lab.edit({"action": "edit", "path": path, "content": text})
        assert lab.back_up()["status"] == "succeeded"
    found = _requests(lab)
    assert [r["status"] for r in found] == ["completed", "abandoned", "active"]
    assert found[1]["comments"] == ["Replaced by pull request 3."]
    branches = git(_clone(lab), "branch", "--remotes", "--list", "origin/backup/*").split()
    assert branches == ["origin/backup/head/main", f"origin/{found[2]['sourceRefName'].removeprefix('refs/heads/')}"]
    lab.git_control("repos", {"action": "approve", "id": 3})
    assert lab.cloned(_clone(lab)) == lab.truth()
    text = command(lab, "doctor")[1]
    assert "pull requests" in text
