"""`./backup report` beside an app that gives canned answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_app import COMMIT, FakeApp, fake_app

ROUTE = "reports/changes"
TALLY = {"changes": 2, "notebooks": 1, "kinds": {"changed": 1, "moved_away": 1}, "added": 12, "removed": 3}
CHANGE = {"path": "/Clients/\x1b[31mjob", "kind": "changed", "person": "[red]Ada[/]", "added": 12, "removed": 3}
CHANGE |= {"committed_at": "2026-11-24T02:31:00+00:00", "commit": COMMIT}


@pytest.fixture
def fake() -> Iterator[FakeApp]:
    with fake_app() as served:
        yield served


def _report(**more: Any) -> dict[str, Any]:
    tally = {**TALLY, "without_lines": 1}
    changes = [CHANGE, {**CHANGE, "added": None, "removed": None}]
    groups = {
        "people": [{"name": "[red]Ada[/]", "mail": "ada@example.com", "team": None, **tally}],
        "teams": [{"team": None, **tally}],
        "folders": [{"folder": "/Clients/\ud800", **tally}],
    }
    without = {"limit": 0, "unreadable": 1}
    plain = {"period": "2026-11-24", "totals": tally, **groups, "changes": changes}
    return {**plain, "left_out": 0, "without_lines": without, **more}


def test_a_report_is_a_table_whose_names_cannot_play_with_the_terminal(fake: FakeApp) -> None:
    fake.give("GET", ROUTE, _report())
    code, output, errors = fake.piped("report", "--team", "Sales")
    shown = output.decode()
    assert code == 0
    assert "\x1b[31m" not in shown
    assert r"/Clients/\x1b[31mjob" in shown
    assert r"/Clients/\ud800" in shown
    assert "[red]Ada[/]" in shown
    assert "2026-11-24 02:31" in shown
    assert "no team" in shown
    assert "2 changes: 1 changed, 1 moved away; lines +12 -3" in shown
    assert "The lines of 1 change are not counted" in errors
    assert fake.asked[0].query == {"team": "Sales"}


def test_a_period_without_changes_is_said_so(fake: FakeApp) -> None:
    empty = {"changes": 0, "notebooks": 0, "kinds": {}, "added": 0, "removed": 0, "without_lines": 0}
    fake.give("GET", ROUTE, _report(totals=empty, people=[], teams=[], folders=[], changes=[]))
    found = fake.run("report")
    assert (found.exit_code, "No notebook changed." in found.output) == (0, True)


def test_what_a_table_leaves_out_is_said(fake: FakeApp) -> None:
    totals = {**TALLY, "changes": 100, "without_lines": 0}
    fake.give("GET", ROUTE, _report(totals=totals, changes=[CHANGE] * 60, left_out=40))
    _, _, errors = fake.piped("report")
    assert "and 60 more changes, in full with --format csv" in errors


def test_dates_and_filters_reach_the_app(fake: FakeApp) -> None:
    fake.give("GET", ROUTE, _report())
    fake.run("report", "--date", "2026-11-24", "--folder", "/Clients/a", "--author", "Ada")
    fake.run("report", "--from", "2026-11-01", "--to", "2026-11-30")
    assert [asked.query for asked in fake.asked] == [
        {"from": "2026-11-24", "to": "2026-11-24", "folder": "/Clients/a", "author": "Ada"},
        {"from": "2026-11-01", "to": "2026-11-30"},
    ]
    assert fake.run("report", "--date", "2026-11-24", "--to", "2026-11-24").exit_code == 2
    assert fake.run("report", "--output", "x").exit_code == 2
    assert len(fake.asked) == 2, "what goes not together is not asked for"


@pytest.mark.parametrize("form", ["csv", "html"])
def test_a_file_has_the_bytes_of_the_answer(fake: FakeApp, form: str, tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf"a","\xc3\xa9"\r\n'
    fake.give("GET", ROUTE, data)
    assert fake.piped("report", "--format", form)[:2] == (0, data)
    target = tmp_path / f"report.{form}"
    assert fake.run("report", "--format", form, "--output", str(target)).exit_code == 0
    assert target.read_bytes() == data
    assert [asked.query for asked in fake.asked] == [{"format": form}] * 2
    assert fake.run("report", "--format", form, "--output", str(tmp_path / "none" / "x")).exit_code == 2


@pytest.mark.parametrize("arguments", [("--json",), ("--format", "json")])
def test_json_is_the_whole_answer(fake: FakeApp, arguments: tuple[str, ...]) -> None:
    fake.give("GET", ROUTE, _report())
    code, output, _ = fake.piped("report", *arguments)
    assert (code, json.loads(output)) == (0, _report())
    assert output.isascii()
