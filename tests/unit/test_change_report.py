"""A report of any history equals a plain recount, and is whole in every format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.blob_ids import blob_id
from shared.domain.change_report import Selection
from shared.domain.line_counts import LineCount, code_lines, count_lines
from shared.domain.notebooks import ExportFormat
from shared.domain.report_period import Period, parse_date
from shared.errors import RepositoryError
from shared.services.reporting.line_counter import LineLimits
from shared.services.reporting.report_html import printable, report_html, report_styles, report_text
from shared.services.reporting.report_views import report_csv, report_json
from tests.telling import HOUR_MS, MIDNIGHT_MS, ROOT, Event, History, new_history, reports

PEOPLE = (
    '{"Ada@example.com": {"name": "Ada", "team": "Sales"}, "bob@example.com": {"name": "Bob", "team": "Sales"},'
    ' "eve@example.com": {"team": "<b>Ops</b>"}}'
)
NAMES = {"ada@example.com": ("Ada", "Sales"), "bob@example.com": ("Bob", "Sales")}
NAMES |= {"eve@example.com": ("eve@example.com", "<b>Ops</b>")}
AUTHORS = (None, "ada@example.com", "ADA@example.com", "bob@example.com", "eve@example.com", "=cmd@example.com")
PATHS = [
    f"{ROOT}{below}"
    for below in (
        "/load",
        "/acme/load",
        "/acme/etl/x",
        "/acme2/load",
        "/acme/=1+1",
        "/<script>alert(1)</script>/a\"'b",
        "/lone \ud800/\u202ereversed",
        "/line\nbreak/\x1b[31m",
        "/{{ 7 * 7 }}/é",
    )
]
LINES = [f"x = {n}" for n in range(30)]
DAY = Period.days(parse_date("from", "2026-11-24"), parse_date("to", "2026-11-24"))
type Drawn = list[list[tuple[str, int, int, frozenset[str], str | None]]]

steps = st.tuples(
    st.sampled_from(("write", "write", "write", "delete", "move", "overrule")),
    st.integers(0, len(PATHS) - 1),
    st.integers(0, len(PATHS) - 1),
    st.frozensets(st.sampled_from(LINES), max_size=12),
    st.sampled_from(AUTHORS),
)
histories = st.lists(st.lists(steps, max_size=8), min_size=1, max_size=8)
selections = st.builds(
    Selection,
    author=st.none() | st.sampled_from(("Ada", "ADA@EXAMPLE.COM", "unknown", "nobody@example.com", "Eve@example.com")),
    team=st.none() | st.sampled_from(("sales", "<B>ops</b>", "none such")),
    folder=st.none() | st.sampled_from((ROOT, f"{ROOT}/acme", f"{ROOT}/load", "/elsewhere", "/")),
)


def _live(history: History, drawn: Drawn) -> None:
    """A commit every 7 hours; what cannot happen, or would touch a path twice in one commit, does not happen."""
    for number, of_one in enumerate(drawn):
        touched: set[str] = set()
        for what, one, other, lines, author in of_one:
            path, to = PATHS[one], PATHS[other]
            if what != "write":
                path = sorted(history.living)[one % len(history.living)] if history.living else path
            if path in touched or (what != "write" and not history.living):
                continue
            if what == "move" and (to in touched or to in history.living):
                continue
            touched |= {path, to} if what == "move" else {path}
            _do(history, what, path, to, lines, author)
        history.commit(MIDNIGHT_MS - 10 * HOUR_MS + 7 * HOUR_MS * number)


def _do(history: History, what: str, path: str, to: str, lines: frozenset[str], author: str | None) -> None:
    if what == "move":
        history.move(path, to, lines, author)
    elif what == "delete":
        history.delete(path, author)
    else:
        getattr(history, what)(path, lines, author)


def _person(author: str | None) -> tuple[str, str | None]:
    return NAMES.get((author or "").lower(), (author or "unknown", None))


def _recount(events: list[Event], period: Period, selection: Selection) -> list[Event]:
    """What a report has to tell, looked through one by one."""
    found = []
    for event in events:
        name, team = _person(event.author)
        folder = (selection.folder or "/").rstrip("/")
        inside = event.path == folder or event.path.startswith(folder + "/")
        if event.kind == "moved_away" and event.other_path.startswith(folder + "/"):
            inside = False
        asked = (selection.author or name).lower() in (name.lower(), (event.author or name).lower())
        in_team = selection.team is None or (team is not None and team.lower() == selection.team.lower())
        if inside and asked and in_team and period.from_ms <= event.at_ms < period.to_ms:
            found.append(event)
    return found


def _sums(events: list[Event]) -> dict[str, Any]:
    kinds = [event.kind.value for event in events]
    return {
        "changes": len(events),
        "notebooks": len({event.path for event in events}),
        "kinds": {kind: kinds.count(kind) for kind in kinds},
        "added": sum(event.added for event in events),
        "removed": sum(event.removed for event in events),
        "without_lines": 0,
    }


def _folder(base: str, path: str) -> str:
    parts, above = path.split("/"), base.rstrip("/").split("/")
    return "/".join(parts[: len(above) + 1]) if len(parts) > len(above) + 1 else base


@given(histories, selections, st.integers(-2, 3), st.integers(0, 3))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_report_equals_a_plain_recount(
    tmp_path: Path, drawn: Drawn, selection: Selection, first: int, length: int
) -> None:
    history = new_history(tmp_path)
    _live(history, drawn)
    days = [parse_date("x", f"2026-11-{24 + day}") for day in (first, first + length)]
    period = Period.days(*days)
    told = report_json(reports(history, PEOPLE).changes(period, selection, 10_000))
    expected = _recount(history.events, period, selection)
    assert told["totals"] == _sums(expected)
    for person in told["people"]:
        mine = [e for e in expected if _person(e.author) == (person["name"], person["team"])]
        assert {k: v for k, v in person.items() if k not in ("name", "mail", "team")} == _sums(mine)
    assert {(p["name"], p["team"]) for p in told["people"]} == {_person(e.author) for e in expected}
    assert {t.pop("team"): t for t in told["teams"]} == {
        team: _sums([e for e in expected if _person(e.author)[1] == team])
        for team in {_person(e.author)[1] for e in expected}
    }
    base = selection.folder or ROOT
    assert {f.pop("folder"): f for f in told["folders"]} == {
        folder: _sums([e for e in expected if _folder(base, e.path) == folder])
        for folder in {_folder(base, e.path) for e in expected}
    }
    listed = [(c["path"], c["kind"], c["other_path"], c["added"], c["removed"]) for c in told["changes"]]
    assert sorted(listed, key=repr) == sorted(
        [(e.path, e.kind.value, e.other_path, e.added, e.removed) for e in expected], key=repr
    )


@given(histories)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_format_holds_every_change_whatever_its_names(tmp_path: Path, drawn: Drawn) -> None:
    history = new_history(tmp_path)
    _live(history, drawn)
    found = reports(history, PEOPLE).changes(Period.days(DAY.start.date(), DAY.start.date()), Selection(), 10_000)
    expected = _recount(history.events, DAY, Selection())
    assert len(json.loads(json.dumps(report_json(found)))["changes"]) == len(expected)
    rows = list(csv.DictReader(io.StringIO(b"".join(report_csv(found)).decode("utf-8-sig"), newline="")))
    assert len(rows) == len(expected)
    assert {row["kind"] for row in rows} == {e.kind.value for e in expected}
    shown, text = report_html(found), report_text(found)
    assert "<script" not in shown
    assert "<b>Ops" not in shown
    for event in expected:
        assert printable(event.path) in text
        assert printable(event.path).replace("&", "&amp;").partition("<")[0] in shown
    assert {unescape(style) for style in re.findall(r'style="([^"]*)"', shown)} <= set(report_styles())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff\u202e]", shown + text)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Five notebooks, of which each has two lines more than the one before."""
    found = new_history(tmp_path)
    for number in range(1, 6):
        found.write(f"{ROOT}/acme/{number}", LINES[: 2 * number], "ada@example.com")
    found.commit(MIDNIGHT_MS)
    return found


def test_a_cell_that_a_spreadsheet_would_run_is_text(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    starts = ("=1+1", "+1", "-1", "@x", "\t=1", " =1", "＝1")
    for number, start in enumerate(starts):
        history.write(f"{ROOT}/{number}", ["x"], f"{start}@example.com")
    history.commit(MIDNIGHT_MS)
    data = b"".join(report_csv(reports(history).changes(DAY, Selection(), 100))).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(data, newline="")))
    assert [row["person"] for row in rows] == [f"'{start.strip()}@example.com" for start in starts]
    assert [row["mail"] for row in rows] == [row["person"] for row in rows]


def test_links_name_the_file_of_the_commit(history: History) -> None:
    (first, *_) = report_json(reports(history).changes(DAY, Selection(), 10))["changes"]
    base = f"https://dev.azure.com/o/p/_git/r/commit/{1:040x}"
    assert first["commit_link"] == base
    assert first["difference_link"] == f"{base}?path=/file%20of%20/Clients/acme/1.py"
    unknown = reports(history, remote="https://git.example.com/r").changes(DAY, Selection(), 10)
    assert {(c["commit_link"], c["difference_link"]) for c in report_json(unknown)["changes"]} == {(None, None)}


def test_what_a_restore_did_is_told_as_such_in_every_format(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    history.write(f"{ROOT}/back", LINES[:2], "ada@example.com")
    history.write(f"{ROOT}/gone", LINES[:2], "ada@example.com")
    history.commit(MIDNIGHT_MS - 24 * HOUR_MS)
    history.write(f"{ROOT}/back", LINES[:3], "bob@example.com")
    history.delete(f"{ROOT}/gone", "bob@example.com")
    marks = {"restore": "20261124T010203Z-abcdef", "restored_from": MIDNIGHT_MS - 25 * HOUR_MS}
    history.waiting = [(replace(version, **marks), event) for version, event in history.waiting]
    history.commit(MIDNIGHT_MS)
    found = reports(history, PEOPLE).changes(DAY, Selection(), 10)
    for change in report_json(found)["changes"]:
        assert (change["restore"], change["restored_from"]) == (marks["restore"], "2026-11-22T23:00:00+00:00")
    for shown in (report_html(found), report_text(found)):
        assert "restored by Bob from 2026-11-22 23:00" in shown
        assert "deleted by Bob in a restore" in shown
    table = b"".join(report_csv(found)).decode("utf-8-sig").splitlines()
    assert [row["restore"] for row in csv.DictReader(table)] == [marks["restore"]] * 2


def test_a_missing_content_leaves_its_lines_out_and_the_report_says_so(history: History) -> None:
    del history.contents[blob_id("".join(f"{line}\n" for line in sorted(LINES[:4])).encode())]
    found = reports(history, PEOPLE).changes(DAY, Selection(), 10)
    told = report_json(found)
    assert [c["added"] for c in told["changes"]] == [2, None, 6, 8, 10]
    assert told["without_lines"] == {"limit": 0, "unreadable": 1}
    assert (told["totals"]["added"], told["totals"]["without_lines"]) == (26, 1)
    assert told["people"][0]["without_lines"] == 1
    assert "1 whose contents the repository did not give" in report_html(found)
    assert "1 change without lines" in report_text(found)


def test_a_remote_that_does_not_answer_is_asked_once_and_the_report_stands(history: History) -> None:
    asked = []

    def refused(ids: list[str]) -> Iterator[tuple[str, bytes]]:
        asked.append(ids)
        raise RepositoryError(action="fetch", detail="no answer")
        yield

    history.blobs = refused
    for number in range(300):
        history.write(f"{ROOT}/more/{number}", LINES[: number % 20], None)
    history.commit(MIDNIGHT_MS + HOUR_MS)
    told = report_json(reports(history).changes(DAY, Selection(), 10))
    assert len(asked) == 1
    assert (told["totals"]["changes"], told["without_lines"]["unreadable"]) == (305, 305)


@pytest.mark.parametrize(
    ("limits", "counted"),
    [(LineLimits(changes=2), 2), (LineLimits(megabytes=0), 0), (LineLimits(seconds=-1), 0), (LineLimits(), 5)],
)
def test_lines_over_the_limit_are_left_out_and_the_report_says_so(
    history: History, limits: LineLimits, counted: int
) -> None:
    found = reports(history, limits=limits).changes(DAY, Selection(), 10)
    told = report_json(found)
    assert [c["added"] for c in told["changes"]] == [2, 4, 6, 8, 10][:counted] + [None] * (5 - counted)
    assert told["without_lines"] == {"limit": 5 - counted, "unreadable": 0}
    assert ("over the limit of one report" in report_html(found)) == (counted < 5)


def test_changes_that_are_not_listed_are_counted(history: History) -> None:
    found = reports(history).changes(DAY, Selection(), 2)
    told = report_json(found)
    assert (len(told["changes"]), told["left_out"], told["totals"]["changes"]) == (2, 3, 5)
    assert "3 more changes are counted above" in report_html(found)
    assert b"3 more changes are left out" in list(report_csv(found))[-1]


def test_the_period_is_that_of_the_last_change_unless_one_is_named(history: History, tmp_path: Path) -> None:
    service = reports(history)
    assert service.period(None, None) == DAY
    assert service.period(None, "2026-11-20") == service.period("2026-11-20", "2026-11-20")
    assert str(service.period("2025-12-30", None)) == "2025-12-30 to 2026-01-01", "until today"
    assert str(reports(new_history(tmp_path)).period(None, None)) == "2026-01-01", "today, where nothing is backed up"
    for first, last in (("2026-11-25", "2026-11-24"), ("24.11.2026", None), (None, "2026-W48-2"), ("", "9999-12-31")):
        with pytest.raises(ValueError, match=r"^(from|to) must"):
            service.period(first, last)


JUPYTER = {"cells": [{"cell_type": "code", "source": ["a\n", "b"], "outputs": ["x" * 100]}], "metadata": {}}


def test_jupyter_counts_by_its_cells_without_outputs() -> None:
    other = {**JUPYTER, "cells": [{**JUPYTER["cells"][0], "outputs": []}, {"cell_type": "markdown", "source": "c"}]}
    before, after = (code_lines(json.dumps(n).encode(), ExportFormat.JUPYTER) for n in (JUPYTER, other))
    assert before == ["a\n", "b\n"]
    assert count_lines(before, after) == LineCount(added=1, removed=0)


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"cells": 1}', b'{"cells": [{"source": 1}]}', b'{"cells": [1]}'])
def test_jupyter_that_is_none_counts_as_text(data: bytes) -> None:
    assert code_lines(data, ExportFormat.JUPYTER) == [data.decode()]


@pytest.mark.parametrize(
    ("before", "after", "added", "removed"),
    [
        (b"", b"a\nb\n", 2, 0),
        (b"a\nb\n", b"", 0, 2),
        (b"a", b"a\n", 1, 1),
        (b"a\r\n", b"a\n", 1, 1),
        (b"\xff\n", b"\xff\n\n", 1, 0),
    ],
)
def test_lines_are_counted_as_git_counts_them(before: bytes, after: bytes, added: int, removed: int) -> None:
    sides = (code_lines(data, ExportFormat.SOURCE) for data in (before, after))
    assert count_lines(*sides) == LineCount(added, removed)
