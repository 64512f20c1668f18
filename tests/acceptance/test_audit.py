"""The audit trail of a whole system, over HTTP and by the command line, and forged behind its back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from azure.data.tables import TableClient
from playwright.sync_api import Browser

from local.lab import Lab
from shared.services.audit.rows import MOST_CARRIED_RECORDS
from tests.browser import DESK, PHONE, needs_chromium

ROOT = Path(__file__).resolve().parent.parent.parent
OPTIONS = {"notebooks": 60}
PATH = "/Clients/audited"
SOURCE = "# Databricks notebook source\nprint(1)\n"
FROM = "203.0.113.9"
pytestmark = pytest.mark.xdist_group("audit")


@pytest.fixture(scope="module", autouse=True)
def run(lab: Lab) -> dict[str, Any]:
    lab.edit({"action": "create", "path": PATH, "language": "PYTHON", "content": SOURCE})
    return lab.back_up()


def _get(lab: Lab, route: str, **query: Any) -> requests.Response:
    headers = {"x-functions-key": lab.system.key, "X-Forwarded-For": f"10.0.0.1, {FROM}"}
    return requests.get(f"{lab.system.url}/api/{route}", params=query, headers=headers, timeout=60)


def _command(lab: Lab, *arguments: str) -> tuple[int, bytes, str]:
    environment = {**os.environ, "BACKUP_DATA": str(lab.system.options.data), "COLUMNS": "200"}
    command = [sys.executable, "-m", "shared.cli", *arguments]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=120, check=False)
    return result.returncode, result.stdout, result.stderr.decode()


def _records(lab: Lab, **query: Any) -> list[dict[str, Any]]:
    answer = _get(lab, "audit", limit=20_000, **query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["records"]
    return found


@contextmanager
def _table(lab: Lab) -> Iterator[TableClient]:
    connection = lab.system.settings["AzureWebJobsStorage"]
    with TableClient.from_connection_string(connection, "audit") as table:
        yield table


def test_a_run_is_recorded_from_its_start_to_its_end(lab: Lab, run: dict[str, Any]) -> None:
    records = [r for r in _records(lab) if r["correlation"] == run["run_id"]]
    assert [r["action"] for r in records if r["action"] != "exported"][:2] == ["run_started", "listed"]
    ended = records[-1]
    assert (ended["action"], ended["result"], ended["detail"]["commit"]) == ("run_ended", "done", run["commit"])
    exported = [r["detail"]["notebooks"] for r in records if r["action"] == "exported"]
    assert sum(exported) == run["planned"]


def test_who_reads_a_content_a_difference_a_preview_or_the_trail_is_recorded_with_the_address(lab: Lab) -> None:
    last = _records(lab)[-1]["sequence"]
    assert _get(lab, "content", path=PATH).content == SOURCE.encode()
    assert _get(lab, "diff", path=PATH).status_code == 200
    assert _get(lab, "preview", path=PATH).status_code == 200
    assert _get(lab, "reports/changes", folder="/Clients").status_code == 200
    assert _get(lab, "content", path=f"{PATH}/none").status_code == 404
    new = _records(lab, after=last)
    # What was asked for before is there; of this reading itself the next one tells.
    assert [r["action"] for r in new] == ["audit_read", "content_read", "content_read", "previewed", "report_read"]
    content = new[1]
    assert (content["actor"], content["object"], content["detail"]["from"]) == ("function key", PATH, FROM)
    assert content["detail"]["sha256"] == hashlib.sha256(SOURCE.encode()).hexdigest()
    assert lab.system.key not in json.dumps(new)
    assert _records(lab, action="audit_read", after=new[-1]["sequence"])[0]["detail"]["asked after"] == str(last)


def test_a_restore_a_verification_and_a_run_name_who_asked_for_them(lab: Lab) -> None:
    headers = {"x-functions-key": lab.system.key, "X-Forwarded-For": FROM}
    body = {"paths": [PATH], "at": "latest"}
    restored = requests.post(f"{lab.system.url}/api/restores", json=body, headers=headers, timeout=60).json()
    (record,) = [r for r in _records(lab, action="restored") if r["correlation"] == restored["id"]]
    assert (record["object"], record["detail"]["from"], record["result"]) == (PATH, FROM, "done")
    code, output, _ = _command(lab, "verify", "--json")
    proved = json.loads(output)
    assert (code, proved["failures"]) == (0, [])
    (verified,) = [r for r in _records(lab, action="verified") if r["correlation"] == proved["id"]]
    assert (verified["actor"], verified["detail"]["trigger"]) == ("function key", "http")
    code, output, _ = _command(lab, "sync", "--json")
    (started,) = [r for r in _records(lab, action="run_started") if r["correlation"] == json.loads(output)["run_id"]]
    assert (code, started["actor"], started["detail"]["trigger"]) == (0, "function key", "http")


def test_the_trail_is_paged_filtered_and_exported_in_every_format(lab: Lab) -> None:
    first = _get(lab, "audit", limit=2).json()
    second = _get(lab, "audit", limit=2, after=first["next"]).json()
    assert [r["sequence"] for r in first["records"] + second["records"]] == [1, 2, 3, 4]
    assert second["records"][0]["previous"] == first["records"][1]["hash"]
    assert {r["action"] for r in _records(lab, action="exported")} == {"exported"}
    assert _records(lab, to="2020-01-01") == []
    lines = _get(lab, "audit", format="jsonl", limit=3)
    assert [json.loads(line)["sequence"] for line in lines.text.splitlines()] == [1, 2, 3]
    assert lines.headers["X-Audit-Next"] == "3"
    table = list(csv.DictReader(io.StringIO(_get(lab, "audit", format="csv", limit=3).text)))
    assert [row["action"] for row in table] == [r["action"] for r in _get(lab, "audit", limit=3).json()["records"]]
    masked = _records(lab, actor="function key", pseudonymise="true")
    assert {r["actor"] == "function key" or "hash" in r for r in masked} == {False}


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"to": "9999-12-31"},
        {"action": "unheard_of"},
        {"format": "pdf"},
        {"limit": "0"},
        {"after": "x"},
        {"pseudonymise": "perhaps"},
    ],
    ids=str,
)
def test_a_question_that_makes_no_sense_is_refused(lab: Lab, query: dict[str, str]) -> None:
    answer = _get(lab, "audit", **query)
    assert (answer.status_code, answer.json()["title"]) == (400, "invalid request")


def test_the_command_line_exports_the_records_that_the_reports_hash_is_of(lab: Lab, tmp_path: Path) -> None:
    today = _records(lab)[-1]["time"][:10]
    moment = _records(lab)[-1]["time"]
    period = ("--from", today, "--to", moment)
    page = tmp_path / "report.html"
    code, _, said = _command(lab, "audit", *period, "--format", "html", "--output", str(page))
    assert (code, str(page) in said.replace("\n", "")) == (0, True), said
    report = page.read_text()
    code, lines, _ = _command(lab, "audit", *period, "--format", "jsonl")
    assert code == 0
    assert hashlib.sha256(lines).hexdigest() in report
    for words in ("The audit trail holds", PATH, "run ended", "function key", "Place, date, signature"):
        assert words in report
    code, output, _ = _command(lab, "audit", "--action", "exported")
    assert (code, b"exported" in output, b"run_ended" in output) == (0, True, False)
    code, output, _ = _command(lab, "audit", "--action", "run_started", "--json")
    assert {r["action"] for r in json.loads(output)} == {"run_started"}


def test_a_forged_row_is_found_and_the_command_names_the_first_bad_record(lab: Lab) -> None:
    for _ in range(MOST_CARRIED_RECORDS + 1):
        # The first of so many has its row.
        assert _get(lab, "content", path=PATH).status_code == 200
    code, output, _ = _command(lab, "audit", "--verify")
    assert (code, b"The audit trail holds" in output) == (0, True)
    victim = _records(lab, action="content_read")[0]
    with _table(lab) as table:
        day, key = victim["time"][:10], f"{victim['sequence']:012}"
        kept = table.get_entity(day, key)
        table.update_entity({**kept, "body": str(kept["body"]).replace(PATH, "/Clients/other")})
        try:
            code, output, _ = _command(lab, "audit", "--verify")
            proof = _get(lab, "audit/verify").json()
            code_of_daily, daily, _ = _command(lab, "verify", "--json")
        finally:
            table.update_entity(kept)
    assert (code, f"the first bad record is {victim['sequence']}".encode() in output) == (1, True)
    assert (proof["intact"], proof["fault"]["kind"], proof["fault"]["first_bad"]) == (
        False,
        "edited",
        victim["sequence"],
    )
    assert (code_of_daily, [f["code"] for f in json.loads(daily)["failures"]]) == (1, ["audit_broken"])
    code, output, _ = _command(lab, "audit", "--verify", "--json")
    proved = json.loads(output)
    assert (code, proved["intact"], proved["complete"], proved["fault"]) == (0, True, True, None)


@needs_chromium
def test_the_report_fits_a_desk_a_phone_and_paper_and_lists_what_the_export_has(lab: Lab, browser: Browser) -> None:
    first, end = _records(lab)[0]["time"][:10], _records(lab)[-1]["time"]
    query = {"from": first, "to": end, "format": "html", "code": lab.system.key}
    expected = [r["sequence"] for r in _records(lab, **{"from": first, "to": end})]
    for name, window in (("desk", DESK), ("phone", PHONE)):
        page = browser.new_page(viewport=window)
        page.goto(f"{lab.system.url}/api/audit?{urlencode(query)}")
        assert page.get_by_role("heading", level=1).inner_text() == "Audit report of the notebook backup"
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        listed = page.locator(".records:not(.repeated) td.number").all_inner_texts()
        assert sorted(map(int, listed)) == expected
        assert page.locator("script, link, img").count() == 0
        if folder := os.environ.get("BACKUP_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/audit report, {name}.png", full_page=True)
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_chain_is_proved_in_parts(lab: Lab) -> None:
    whole = _get(lab, "audit/verify").json()
    records, after = 0, None
    while True:
        part = _get(lab, "audit/verify", limit=25, **({"after": after} if after else {})).json()
        assert part["intact"]
        records, after = records + part["records"], part["next"]
        if after is None:
            break
    assert records == part["head"]["sequence"] == whole["head"]["sequence"] + 1
