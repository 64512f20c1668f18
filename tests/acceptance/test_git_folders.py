"""Folders become Git folders on the whole real system, whose host is ended by SIGKILL at each step."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Any

import pytest
import requests

from local.app import follow
from local.faults.crash_points import CONVERSION_POINTS, ROLLBACK_POINTS
from local.lab import Lab, git
from tests.commands import command

OPTIONS = {"notebooks": 60, "folders": 18, "plain": True, "invisible_seconds": 2}
MOST_SECONDS = 60
FOLDER, OTHER = "/Clients/client_0002", "/Clients/client_0001"
POLL_SECONDS = 0.2
pytestmark = pytest.mark.xdist_group("kills")


@pytest.fixture(scope="module", autouse=True)
def first(lab: Lab) -> None:
    grants = [["group_name", "client", "CAN_EDIT"]]
    lab.edit({"action": "grant", "path": FOLDER, "grants": grants})
    assert lab.back_up()["status"] == "succeeded"


@pytest.fixture(autouse=True)
def plain(lab: Lab) -> None:
    """Each test begins with a plain folder, whatever became of the one before."""
    _start(lab, "rollback", FOLDER)
    _ended(lab)


def _running(lab: Lab) -> list[dict[str, Any]]:
    found = lab.client.call("GET", "git-folders")["operations"]
    return [operation for operation in found if operation["status"] == "running"]


def _start(lab: Lab, kind: str, *folders: str) -> None:
    """Ask for an operation; the host may die before it has answered."""
    body = {"kind": kind, "folders": list(folders)}
    headers = {"x-functions-key": lab.system.key}
    with contextlib.suppress(requests.ConnectionError):
        url = f"{lab.system.url}/api/git-folders/operations"
        requests.post(url, json=body, headers=headers, timeout=MOST_SECONDS).raise_for_status()


def _ended(lab: Lab) -> dict[str, Any]:
    """The last operation, once it is over."""
    deadline = time.monotonic() + MOST_SECONDS
    while active := _running(lab):
        assert time.monotonic() < deadline, active
        time.sleep(POLL_SECONDS)
    newest = lab.client.call("GET", "git-folders")["operations"][0]["id"]
    found: dict[str, Any] = lab.client.call("GET", f"git-folders/operations/{newest}")
    return found


def _killed(lab: Lab, point: str, kind: str) -> dict[str, Any]:
    """An operation whose host dies at a point; the next host goes on with it."""
    lab.system.kill_host()
    lab.system.start_host(crash_at=point)
    _start(lab, kind, FOLDER)
    deadline = time.monotonic() + MOST_SECONDS
    while lab.system.host.exit_code is None:
        assert time.monotonic() < deadline, "the point was never reached"
        time.sleep(POLL_SECONDS)
    assert lab.system.host.exit_code == -signal.SIGKILL
    lab.system.kill_host()
    lab.system.start_host()
    for operation in _running(lab):
        lab.let_time_pass_without_host(f"leases/gitfolders-{operation['id']}")
    lab.let_time_pass_without_host("leases/commit")
    return _ended(lab)


def _outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {row["path"]: row["outcome"] for row in found["outcomes"]}


def _state(lab: Lab) -> str:
    (found,) = [f["state"] for f in lab.client.call("GET", "git-folders")["folders"] if f["path"] == FOLDER]
    return str(found)


def _rolled_back(lab: Lab) -> None:
    _start(lab, "rollback", FOLDER)
    assert _outcomes(_ended(lab)) == {FOLDER: "rolled_back"}


@pytest.mark.parametrize("move", [True, False], ids=["moved", "copied"])
def test_a_plan_a_pilot_and_the_way_back(lab: Lab, move: bool) -> None:
    lab.control("behaviour", {"rename": move})
    before = lab.truth()
    _start(lab, "plan")
    plan = _ended(lab)["plan"]
    assert [(f["path"], f["branch"]) for f in plan["folders"]] == [("/Clients", "folders/%root")]
    _start(lab, "convert", FOLDER, OTHER)
    found = _ended(lab)
    assert _outcomes(found) == {FOLDER: "converted", OTHER: "refused"}, found
    assert "workspace files" in found["outcomes"][0]["reason"], found["outcomes"]
    assert lab.truth() == before
    lab.edit({"action": "edit", "path": next(path for path, _ in before if path.startswith(FOLDER))})
    edited = lab.truth()
    assert lab.back_up()["status"] == "succeeded"
    assert lab.cloned(lab.clone()) == edited
    _rolled_back(lab)
    assert lab.truth() == edited
    assert lab.back_up()["status"] == "succeeded"


@pytest.mark.parametrize("move", [True, False], ids=["moved", "copied"])
@pytest.mark.parametrize("point", ["said to be moving", "removed, or made", "checked out", "permissions set"])
def test_a_host_that_dies_in_a_conversion_is_gone_on_with(lab: Lab, point: str, move: bool) -> None:
    assert point in CONVERSION_POINTS
    lab.control("behaviour", {"rename": move})
    before = lab.truth()
    found = _killed(lab, point, "convert")
    assert (_outcomes(found), _state(lab)) == ({FOLDER: "converted"}, "converted"), found
    assert lab.truth() == before
    _rolled_back(lab)
    assert lab.truth() == before


@pytest.mark.parametrize("point", ["collected", "Git folder removed", "half back", "back, not proved"])
def test_a_host_that_dies_on_the_way_back_is_gone_on_with(lab: Lab, point: str) -> None:
    assert point in ROLLBACK_POINTS
    lab.back_up()
    _start(lab, "convert", FOLDER)
    assert _outcomes(_ended(lab)) == {FOLDER: "converted"}
    before = lab.truth()
    found = _killed(lab, point, "rollback")
    assert (_outcomes(found), _state(lab)) == ({FOLDER: "rolled_back"}, "rolled_back"), found
    assert lab.truth() == before


def _folder(lab: Lab) -> dict[str, Any]:
    (found,) = [f for f in lab.client.call("GET", "git-folders")["folders"] if f["path"] == FOLDER]
    return dict(found)


def _together(lab: Lab) -> dict[str, Any]:
    """A backup, and the one that follows where people's commits came to the workspace."""
    run = lab.back_up()
    if "folder_edits_merged" in _codes(run):
        deadline = time.monotonic() + MOST_SECONDS
        while (newest := lab.client.call("GET", "runs")["runs"][0])["run_id"] == run["run_id"]:
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)
        assert follow(lab.client, newest["run_id"], show=False)["status"] == "succeeded"
    return run


def _codes(run: dict[str, Any]) -> list[str]:
    return [notice["code"] for notice in run["notices"]]


def _repos(lab: Lab) -> dict[str, dict[str, Any]]:
    """The workspace's Git folders, by path."""
    url, headers = lab.system.workspace_url, {"Authorization": f"Bearer {lab.system.secrets['workspace']}"}
    answer = requests.get(f"{url}/api/2.0/repos", headers=headers, timeout=MOST_SECONDS).json()
    return {repo["path"]: repo for repo in answer.get("repos", [])}


def _switch(lab: Lab, branch: str) -> None:
    url, headers = lab.system.workspace_url, {"Authorization": f"Bearer {lab.system.secrets['workspace']}"}
    number = _repos(lab)[FOLDER]["id"]
    answer = requests.patch(
        f"{url}/api/2.0/repos/{number}", json={"branch": branch}, headers=headers, timeout=MOST_SECONDS
    )
    answer.raise_for_status()


def test_what_people_do_with_git_comes_to_the_workspace_and_the_backup_branch(lab: Lab) -> None:
    lab.back_up()
    _start(lab, "convert", FOLDER)
    assert _outcomes(_ended(lab)) == {FOLDER: "converted"}
    lab.back_up()
    branch, tree = _folder(lab)["branch"], FOLDER.removeprefix("/Clients/")
    python = sorted(p for p, language in lab.truth() if p.startswith(f"{FOLDER}/") and language == "PYTHON")
    live, theirs, gone = (p.removeprefix(f"{FOLDER}/") + ".py" for p in python[:3])
    text = "# Databricks notebook source\n# by grace\n"
    files = {live: text, theirs: text, gone: None, "new/made.py": text, "README.md": "read me\n"}
    lab.git_control("commit", {"branch": branch, "files": files, "author": "grace"})
    lab.edit({"action": "edit", "path": python[0], "content": "# Databricks notebook source\n# live\n"})
    run = _together(lab)
    assert (run["status"], sorted(_codes(run))) == ("succeeded", ["conflict_overruled", "folder_edits_merged"]), run
    truth = lab.truth()
    assert truth[(python[1], "PYTHON")] == truth[(f"{FOLDER}/new/made", "PYTHON")] != truth[(python[0], "PYTHON")]
    assert (python[2], "PYTHON") not in truth
    clone = lab.clone()
    git(clone, "checkout", "--quiet", "main")
    assert lab.cloned(clone) == truth
    assert git(clone, "rev-parse", f"origin/main:{tree}") == git(clone, "rev-parse", f"origin/{branch}^{{tree}}")
    assert git(clone, "log", "-1", "--format=%an", "--", f"{tree}/{theirs}") == "grace"
    assert git(clone, "log", "-1", "--format=%an", "--", f"{tree}/README.md") == "grace"
    assert _repos(lab)[FOLDER]["head_commit_id"] == git(clone, "rev-parse", f"origin/{branch}") == _folder(lab)["head"]
    again = _together(lab)
    assert (again["status"], again["notices"], again["counts"]["changed"]) == ("succeeded", [], 0)
    git(clone, "push", "--quiet", "origin", f"origin/{branch}:refs/heads/feature/x")
    _switch(lab, "feature/x")
    assert _codes(_together(lab)) == ["folder_switched"]
    assert _folder(lab)["standing_detail"] == "feature/x"
    assert "switched to feature/x" in command(lab, "gitfolder", "status")[1]
    _switch(lab, branch)
    assert _codes(_together(lab)) == []
    _rolled_back(lab)


def test_after_all_that_a_backup_finds_nothing_amiss(lab: Lab) -> None:
    run = lab.back_up()
    assert (run["status"], run["failures"], run["counts"]["deleted"]) == ("succeeded", [], 0)
    assert lab.cloned(lab.clone()) == lab.truth()
