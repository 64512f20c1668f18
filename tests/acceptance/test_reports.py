"""The change report of a living day, over HTTP, by the command line, and in a browser."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import Browser, sync_playwright

from local.lab import Lab

ROOT = Path(__file__).resolve().parent.parent.parent
OPTIONS = {"notebooks": 60}
FOLDER = "/Clients/a day <script>alert(1)<"
SOURCE = "# Databricks notebook source\n"
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
EVER = {"from": "2020-01-01"}
"""A backup just before midnight is on another day than the next."""
DONE = {
    (f"{FOLDER}/new \x1b[31m", "created", None, 2, 0),
    (f"{FOLDER}/edited", "changed", None, 2, 1),
    (f"{FOLDER}/sub/moved", "renamed", f"{FOLDER}/stays", 0, 0),
    (f"{FOLDER}/=1+1", "deleted", None, 0, 2),
}
pytestmark = pytest.mark.xdist_group("reports")


def _make(name: str, content: str) -> dict[str, str]:
    return {"action": "create", "path": f"{FOLDER}/{name}", "language": "PYTHON", "content": SOURCE + content}


@pytest.fixture(scope="module")
def day(lab: Lab) -> str:
    """The commit that holds a day's work; the one before it holds the workspace as it was."""
    lab.edit({"action": "mkdir", "path": f"{FOLDER}/sub"})
    lab.edit(*(_make(name, f"x = '{name}'\n") for name in ("edited", "stays", "=1+1", "untouched")))
    lab.back_up()
    lab.edit(
        _make("new \x1b[31m", "y = 1\n"),
        {"action": "edit", "path": f"{FOLDER}/edited", "content": SOURCE + "x = 2\nx += 1\n"},
        {"action": "move", "path": f"{FOLDER}/stays", "to": f"{FOLDER}/sub/moved"},
        {"action": "delete", "path": f"{FOLDER}/=1+1"},
    )
    return str(lab.back_up()["commit"])


def _get(lab: Lab, **query: str) -> requests.Response:
    headers = {"x-functions-key": lab.system.key}
    return requests.get(f"{lab.system.url}/api/reports/changes", params=query, headers=headers, timeout=120)


def _command(lab: Lab, *arguments: str) -> tuple[int, bytes]:
    environment = {**os.environ, "BACKUP_DATA": str(lab.system.options.data)}
    command = [sys.executable, "-m", "shared.cli", "report", *arguments]
    result = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=120, check=False)
    return result.returncode, result.stdout


def _told(report: dict[str, Any], commit: str) -> set[tuple[str, str, str | None, int, int]]:
    names = ("path", "kind", "other_path", "added", "removed")
    return {tuple(c[name] for name in names) for c in report["changes"] if c["commit"] == commit}


def test_a_day_is_told_as_it_was(lab: Lab, day: str) -> None:
    assert _told(_get(lab).json(), day) == DONE
    report = _get(lab, **EVER).json()
    truth = lab.truth()
    assert Counter(c["kind"] for c in report["changes"])["created"] == len(truth) - 1 + 2, "one was moved, two are gone"
    assert report["totals"]["changes"] == len(report["changes"])
    assert report["without_lines"] == {"limit": 0, "unreadable": 0}
    assert sum(person["changes"] for person in report["people"]) == report["totals"]["changes"]
    assert {c["commit_link"] for c in report["changes"]} == {None}, "the embedded Git server has no pages"


def test_filters_and_ranges_narrow_it(lab: Lab, day: str) -> None:
    inside = _get(lab, folder=FOLDER, **EVER).json()
    assert inside["totals"]["kinds"] == {"created": 5, "changed": 1, "renamed": 1, "deleted": 1}
    assert {f["folder"] for f in inside["folders"]} == {FOLDER, f"{FOLDER}/sub"}
    assert _get(lab, folder=f"{FOLDER}/sub").json()["totals"]["kinds"] == {"renamed": 1}
    for empty in ({"team": "none such"}, {"author": "nobody@example.com"}, {"to": "2020-01-01"}):
        assert _get(lab, **empty).json()["totals"]["changes"] == 0
    wrong = ({"from": "yesterday"}, {"from": "2026-02-02", "to": "2026-02-01"}, {"format": "xml"}, {"folder": "x"})
    for query in wrong:
        answer = _get(lab, **query)
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:notebook-backup:invalid_request")
    assert requests.get(f"{lab.system.url}/api/reports/changes", timeout=60).status_code == 401


def test_the_command_line_gives_the_same_in_every_format(lab: Lab, day: str, tmp_path: Path) -> None:
    code, output = _command(lab, "--folder", FOLDER, "--json")
    assert (code, _told(json.loads(output), day)) == (0, DONE)
    code, output = _command(lab, "--folder", FOLDER)
    assert (code, b"\x1b[31m" in output, rb"new \x1b[31m" in output) == (0, False, True)
    assert _command(lab, "--folder", FOLDER, "--format", "csv", "--output", str(tmp_path / "x.csv"))[0] == 0
    rows = list(csv.DictReader((tmp_path / "x.csv").read_text("utf-8-sig").splitlines()))
    assert {(r["path"], r["kind"], int(r["added"]), int(r["removed"])) for r in rows if r["commit"] == day} == {
        (path, kind, added, removed) for path, kind, _, added, removed in DONE
    }
    code, output = _command(lab, "--folder", FOLDER, "--format", "html")
    assert (code, b"<script" in output) == (0, False)
    assert _command(lab, "--date", "nonsense")[0] == 2


@pytest.fixture
def browser() -> Iterator[Browser]:
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.mark.skipif(
    not Path(CHROMIUM).exists() and "CI" not in os.environ, reason="no Chromium is installed: apt-get install chromium"
)
def test_it_fits_a_phone_and_runs_nothing(lab: Lab, day: str, browser: Browser) -> None:
    query = {"format": "html", "folder": FOLDER, "code": lab.system.key}
    for name, width in (("phone", 360), ("desk", 1280)):
        page = browser.new_page(viewport={"width": width, "height": 800})
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))  # noqa: B023 - read within the round
        page.goto(f"{lab.system.url}/api/reports/changes?{urlencode(query)}")
        assert page.get_by_role("heading", level=1).inner_text() == "Notebook changes"
        assert page.get_by_text(f"{FOLDER}/sub/moved", exact=True).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.evaluate("getComputedStyle(document.body).margin") == "0px", "the styles were refused"
        assert (page.locator("script, style, link, img").count(), dialogs) == (0, [])
        if folder := os.environ.get("BACKUP_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/report, {name}.png", full_page=True)
