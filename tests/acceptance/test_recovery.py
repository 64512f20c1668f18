"""Recovery through the HTTP API of a whole system."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from local.lab import Lab

OPTIONS = {"notebooks": 300}
BROKEN = "# Databricks notebook source\nbroken\n"
MOST_SECONDS, POLL_SECONDS = 60, 0.1
pytestmark = pytest.mark.xdist_group("recovery")
type Truth = dict[tuple[str, str], str]


class Past:
    """The state of the first backup: what may be restored."""

    def __init__(self, lab: Lab) -> None:
        self.run = _backed_up(lab)
        self.truth: Truth = lab.truth()
        self.commit = str(self.run["commit"])
        self.python = sorted(p for p, lang in lab.source_truth() if lang == "PYTHON" and "names that hurt" not in p)


@pytest.fixture(scope="module", autouse=True)
def past(lab: Lab) -> Iterator[Past]:
    yield Past(lab)


def _get(lab: Lab, route: str, headers: dict[str, str] | None = None, **query: Any) -> requests.Response:
    given = {"x-functions-key": lab.system.key, **(headers or {})}
    return requests.get(f"{lab.system.url}/api/{route}", params=query, headers=given, timeout=60)


def _post(lab: Lab, route: str, body: dict[str, Any]) -> requests.Response:
    headers = {"x-functions-key": lab.system.key}
    return requests.post(f"{lab.system.url}/api/{route}", json=body, headers=headers, timeout=60)


def _backed_up(lab: Lab) -> dict[str, Any]:
    """A run, once the history knows of it."""
    run = lab.back_up()
    deadline = time.monotonic() + MOST_SECONDS
    while _get(lab, "tree").json().get("at", {}).get("commit") != run["commit"]:
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
    return run


def _ended(lab: Lab, answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json()
    deadline = time.monotonic() + MOST_SECONDS
    while found["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
        found = _get(lab, f"restores/{found['id']}", limit=1000).json()
    return found


def test_a_broken_notebook_is_found_looked_at_and_restored(lab: Lab, past: Past) -> None:
    path = past.python[0]
    lab.edit({"action": "edit", "path": path, "content": BROKEN})
    _backed_up(lab)
    name = path.rpartition("/")[2]
    assert path in [n["path"] for n in _get(lab, "notebooks", q=name.upper(), limit=500).json()["notebooks"]]
    versions = _get(lab, "versions", path=path).json()
    assert [v["kind"] for v in versions["versions"]] == ["changed", "created"]
    assert versions["next"] is None
    difference = _get(lab, "diff", path=path, **{"from": past.commit}).json()
    assert (difference["equal"], "+broken" in difference["unified"].splitlines()) == (False, True)
    text = _get(lab, "diff", path=path, **{"from": past.commit, "format": "text"})
    assert (text.text, text.headers["Content-Type"].split(";")[0]) == (difference["unified"], "text/plain")
    found = _ended(lab, _post(lab, "restores", {"paths": [path], "at": past.commit}))
    assert (found["status"], found["items"][0]["outcome"]) == ("succeeded", "verified")
    assert lab.truth() == past.truth


def test_content_has_a_tag_that_saves_sending_it_again(lab: Lab, past: Past) -> None:
    path = past.python[1]
    first = _get(lab, "content", path=path, at=past.commit)
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-store")
    assert first.content.startswith(b"# Databricks notebook source")
    again = _get(lab, "content", {"If-None-Match": first.headers["ETag"]}, path=path, at=past.commit)
    assert (again.status_code, again.content) == (304, b"")
    latest = _get(lab, "content", path=path)
    assert latest.headers["Cache-Control"] == "no-store"
    told = _get(lab, "content", {"Accept": "application/json"}, path=path, at="live").json()
    assert (told["content"].encode(), told["commit"]) == (first.content, None)


def test_versions_come_in_pages(lab: Lab, past: Past) -> None:
    path = past.python[2]
    for n in range(3):
        lab.edit({"action": "edit", "path": path, "content": f"{BROKEN}# {n}\n"})
        _backed_up(lab)
    seen, before = [], ""
    while before is not None:
        page = _get(lab, "versions", path=path, limit=2, **({"before": before} if before else {})).json()
        seen += [v["sequence"] for v in page["versions"]]
        before = page["next"]
    assert len(seen) == len(set(seen)) >= 4
    assert seen == sorted(seen, reverse=True)
    # The tests of this module share one workspace, and leave it as it was.
    assert _ended(lab, _post(lab, "restores", {"paths": [path], "at": past.commit}))["status"] == "succeeded"


def test_a_folder_as_of_then_is_restored_in_the_background_and_undone(lab: Lab, past: Past) -> None:
    folder = past.python[3].rpartition("/")[0]
    later = f"{folder}/not there then"
    lab.edit(
        {"action": "delete", "path": past.python[3]},
        {"action": "create", "path": later, "language": "SQL", "content": "-- new\n"},
    )
    changed = lab.truth()
    body = {"folder": "/Clients", "at": past.commit, "remove_extra": True}
    answer = _post(lab, "restores", body)
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/api/restores/{answer.json()['id']}")
    done = _ended(lab, answer)
    assert (done["status"], done["counts"]["removed"]) == ("succeeded", 1)
    assert lab.truth() == past.truth
    verified = _get(lab, f"restores/{done['id']}", outcome="verified").json()["items"]
    assert {i["outcome"] for i in verified} == {"verified"}
    assert past.python[3] in [i["path"] for i in verified]
    assert _ended(lab, _post(lab, f"restores/{done['id']}/undo", {}))["status"] == "succeeded"
    assert lab.truth() == changed
    assert _ended(lab, _post(lab, "restores", body))["status"] == "succeeded"


def test_a_restore_goes_on_after_the_host_was_killed(lab: Lab, past: Past) -> None:
    lab.edit(*({"action": "edit", "path": p, "content": BROKEN} for p in past.python[:60]))
    lab.control("behaviour", {"latency_ms": 60})
    started = _post(lab, "restores", {"folder": "/Clients", "at": past.commit}).json()
    lab.system.kill_host()
    lab.control("behaviour", {"latency_ms": 0})
    lab.let_time_pass_without_host(f"leases/restore-{started['id']}")
    lab.system.start_host()
    done = _ended(lab, _get(lab, f"restores/{started['id']}", limit=1000))
    assert (done["status"], done["counts"]["verified"]) == ("succeeded", 60)
    assert lab.truth() == past.truth


@pytest.mark.parametrize(
    ("route", "query", "status", "code"),
    [
        ("versions", {}, 400, "invalid_request"),
        ("versions", {"path": "/Clients/none"}, 404, "not_in_backup"),
        ("versions", {"path": "/Clients/none", "limit": "0"}, 400, "invalid_request"),
        ("content", {"path": "/Clients/none"}, 404, "not_in_backup"),
        ("content", {"path": "/Clients/none", "at": "live"}, 404, "not_found"),
        ("tree", {"at": "1999-01-01"}, 404, "unknown_moment"),
        ("tree", {"at": "--all"}, 400, "invalid_request"),
        ("content", {"path": "/Clients/a", "at": "HEAD~1"}, 400, "invalid_request"),
        ("tree", {"at": "x" * 205}, 400, "invalid_request"),
        ("diff", {"path": "/Clients/none", "format": "pdf"}, 400, "invalid_request"),
        ("restores/none", {}, 404, "unknown_restore"),
        ("restores", {"limit": "1000"}, 400, "invalid_request"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_what_to_do(
    lab: Lab, route: str, query: dict[str, str], status: int, code: str
) -> None:
    answer = _get(lab, route, **query)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:notebook-backup:{code}")
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '{"at": 7}', '{"at": "latest", "paths": []}', '{"at":"latest","paths":["/a"],"x":1}']
)
def test_a_body_that_makes_no_sense_starts_nothing(lab: Lab, body: str) -> None:
    before = len(_get(lab, "restores", limit=200).json()["restores"])
    headers = {"x-functions-key": lab.system.key}
    answer = requests.post(f"{lab.system.url}/api/restores", data=body, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["title"]) == (400, "invalid request")
    assert len(_get(lab, "restores", limit=200).json()["restores"]) == before


def test_the_description_of_the_api_is_true(lab: Lab, past: Past) -> None:
    """Whatever schemathesis makes of the description, an answer is one that it names, and never a failure."""
    schema = schemathesis.openapi.from_dict(requests.get(f"{lab.system.url}/api/openapi.json", timeout=30).json())
    quiet = ("start_run", "start_verification", "start_rebuild")
    asked: set[str] = set()

    for found in schema.get_all_operations():
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        if name in quiet:
            continue  # each starts work on the whole system

        @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            headers = {"x-functions-key": lab.system.key}
            response = case.call(base_url=lab.system.url, headers=headers)
            assert response.status_code < 500, response.text
            # A path has to be absolute, and a folder goes with no paths: a schema cannot say all of it.
            case.validate_response(response, excluded_checks=[positive_data_acceptance])

        ask()
        asked.add(name)
    assert len(asked) >= 12
