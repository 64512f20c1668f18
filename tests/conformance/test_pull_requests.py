"""Pull requests: what the adapter makes of Azure Repos' API over HTTP, and what the one in memory does."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from local.azure.repos import API, MOST_DESCRIPTION, REMOTE
from local.git_server import REPOSITORY, person_commits
from local.memory.commits import MemoryCommit
from local.memory.pull_requests import MemoryPullRequests
from local.memory.repository import MemoryRemote
from shared.adapters.devops_pull_requests import DevOpsPullRequests
from shared.adapters.repository import GitRepository
from shared.errors import PullRequestRefused, RepositoryError
from shared.protocols import PullRequests, RequestStatus, Signature, WriteFile
from tests.servers import CONTROL, TOKEN

WHO = Signature("Backup", "backup@example.com", datetime(2026, 1, 2, tzinfo=UTC))
BASIC = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()


@dataclass
class Server:
    """One implementation, and what people do on it."""

    requests: PullRequests
    write: Callable[[str, str, str | None], str]
    approve: Callable[[int], Any]
    reject: Callable[[int], Any]
    head: Callable[[str], str]


@pytest.fixture(params=["memory", "http"])
def server(request: pytest.FixtureRequest) -> Server:
    if request.param == "memory":
        return _in_memory()
    return _over_http(request.getfixturevalue("serve")("local.git_server"))


def _in_memory() -> Server:
    remote = MemoryRemote()
    made = MemoryPullRequests(remote, approves=False)

    def write(branch: str, text: str, onto: str | None) -> str:
        tree = {"a.py": remote.add(text.encode())}
        remote.branches[branch] = remote.enter(MemoryCommit(onto, tree, text, "ada <ada@x> 2026-01-01"))
        return remote.branches[branch]

    return Server(made, write, made.approve, made.reject, lambda branch: remote.branches.get(branch, ""))


def _over_http(served: Any) -> Server:
    _control(served, {"action": "protect", "branch": "main", "approvals": 1})
    path = served.folder / REPOSITORY

    def write(branch: str, text: str, onto: str | None) -> str:
        if onto:
            _git(path, "update-ref", f"refs/heads/{branch}", onto)
        person_commits(path, branch, {"a.py": text}, "ada")
        return _git(path, "rev-parse", branch)

    def head(branch: str) -> str:
        told = subprocess.run(
            ["git", "-C", str(path), "rev-parse", "-q", "--verify", branch], capture_output=True, text=True
        )
        return told.stdout.strip()

    return Server(
        DevOpsPullRequests(f"{served.url}{API}", f"{served.url}{REMOTE}", lambda: BASIC),
        write,
        lambda number: _control(served, {"action": "approve", "id": number}),
        lambda number: _control(served, {"action": "reject", "id": number}),
        head,
    )


def _control(served: Any, body: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {CONTROL}"}
    answer = requests.post(f"{served.url}/control/repos", json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer.json()


def _git(path: Path, *arguments: str) -> str:
    command = ["git", "-C", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_one_is_opened_found_and_completed_once_it_is_approved(server: Server) -> None:
    first = server.write("main", "one", None)
    tip = server.write("topic", "two", first)
    assert server.requests.active("main") == []
    made = server.requests.create("topic", "main", "Back up", "what and why")
    assert (made.status, made.source, made.target, made.conflicts) == (RequestStatus.ACTIVE, "topic", "main", False)
    assert made.page.endswith(f"/pullrequest/{made.id}")
    assert server.requests.create("topic", "main", "again", "") == made
    assert server.requests.active("main") == [made]
    assert server.requests.active("other") == []
    server.requests.complete_by_itself(made, "merged")
    assert server.requests.get(made.id) == made, "nobody approved it yet"
    server.approve(made.id)
    done = server.requests.get(made.id)
    assert done is not None
    assert done.status is RequestStatus.COMPLETED
    assert server.head("main") not in ("", first, tip)
    assert server.head("topic") == ""
    assert server.requests.active("main") == []


def test_conflicts_are_told_and_keep_it_open(server: Server) -> None:
    first = server.write("main", "one", None)
    server.write("topic", "two", first)
    made = server.requests.create("topic", "main", "Back up", "")
    server.requests.complete_by_itself(made, "merged")
    moved = server.write("main", "three", first)
    found = server.requests.get(made.id)
    assert found is not None
    assert found.conflicts
    server.approve(made.id)
    assert server.head("main") == moved


def test_one_that_is_abandoned_says_why_and_stays_so(server: Server) -> None:
    first = server.write("main", "one", None)
    server.write("topic", "two", first)
    made = server.requests.create("topic", "main", "Back up", "x" * (MOST_DESCRIPTION + 1))
    server.requests.abandon(made, "Replaced by another.")
    found = server.requests.get(made.id)
    assert found is not None
    assert found.status is RequestStatus.ABANDONED
    server.requests.abandon(made, "once more")
    again = server.requests.create("topic", "main", "Back up", "")
    assert again.id != made.id
    server.reject(again.id)
    assert server.requests.active("main") == []
    assert server.requests.get(99) is None


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("serve")("local.git_server")


def _repository(served: Any, folder: Path, branch: str = "main") -> GitRepository:
    return GitRepository(f"{served.url}{REMOTE}", branch, folder / f"{branch.replace('/', '-')}.git", lambda: BASIC)


def _pushed(repository: GitRepository, text: str) -> str:
    head = repository.fetch()
    writes = [WriteFile("a.py", len(text), iter([text.encode()]))]
    commit = str(repository.build_commit(head, (), writes, text, WHO, WHO))
    repository.push(commit, head)
    return commit


def test_a_protected_branch_refuses_a_push_as_azure_repos_does(served: Any, tmp_path: Path) -> None:
    repository = _repository(served, tmp_path)
    first = _pushed(repository, "one")
    _control(served, {"action": "protect", "branch": "main"})
    with pytest.raises(RepositoryError, match="TF402455: Pushes to this branch are not permitted"):
        _pushed(repository, "two")
    assert repository.fetch() == first
    own = _repository(served, tmp_path, "backup/head/main")
    assert own.revive(first), "a branch of its own is made at the same commit, by a mirror that lacks it"
    assert own.fetch() == first
    assert _pushed(own, "two") == own.fetch()


def test_refusals_say_what_to_do_and_passing_errors_are_tried_again(served: Any) -> None:
    def client(header: str = BASIC) -> DevOpsPullRequests:
        return DevOpsPullRequests(f"{served.url}{API}", f"{served.url}{REMOTE}", lambda: header)

    with pytest.raises(PullRequestRefused, match="Contribute to pull requests"):
        client("Basic eDp5").active("main")
    with pytest.raises(PullRequestRefused, match="TF401398"):
        client().create("none", "main", "title", "")
    headers = {"Authorization": f"Bearer {CONTROL}"}
    for times, passes in ((2, True), (9, False)):
        body = {"kind": "503", "service": "api", "times": times}
        requests.post(f"{served.url}/control/refuse", json=body, headers=headers, timeout=30)
        if passes:
            assert client().active("main") == []
        else:
            with pytest.raises(RepositoryError, match="HTTP 503"):
                client().active("main")
