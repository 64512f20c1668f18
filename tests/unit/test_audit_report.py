"""The report of a period lists every record once, says when it is a part, and the parts come to the whole."""

from __future__ import annotations

import html
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.audit_views import SECTIONS, report_page
from local.memory.clock import ManualClock
from shared.domain.audit import GENESIS, AuditAction, AuditRecord, AuditResult
from shared.domain.audit_check import AuditVerdict
from shared.services.audit.export import Pseudonyms
from shared.services.audit.proof import ProvedPart
from shared.services.reporting import audit_report
from shared.services.reporting.audit_report import AuditReports, PeriodReport
from tests.telling import MIDNIGHT_MS, ROOT, History, new_history

ROW = re.compile(r'<tr><td class="number">(\d+)</td><td class="time">')
CHANGE = re.compile(r'<tr><td class="time">.*?</code></td><td>(.*?)</td>')
ACTIONS = [*(a.value for a in AuditAction), "of_a_later_version"]
PEOPLE = ("ada@example.com", "system", "<b>eve</b>")
records = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS),
        st.sampled_from(PEOPLE),
        st.sampled_from(AuditResult),
        st.integers(0, 2),
        st.dictionaries(st.sampled_from(["from", "paths", "sha256", "changed"]), st.text("abé<&\n", max_size=8)),
    ),
    max_size=30,
)


class _Proof:
    """A chain that holds."""

    def whole(self, goes_on: Any) -> ProvedPart:
        return ProvedPart(AuditVerdict(0, GENESIS, 0, None, 0), GENESIS, 0, complete=goes_on())


def _reports(history: History) -> AuditReports:
    return AuditReports(proof=_Proof(), history=history, clock=ManualClock())


def _chain(drawn: list[tuple[str, str, AuditResult, int, dict[str, str]]]) -> list[AuditRecord]:
    """Records in order of time, of which at most three are at one time."""
    at, found = MIDNIGHT_MS, []
    for number, (action, actor, result, pause, detail) in enumerate(drawn, 1):
        at += pause or number % 3 == 0
        found.append(AuditRecord(number, at, actor, action, f"object {number}", result, "c", "", detail, "", "h"))
    return found


def _make(
    history: History, chain: list[AuditRecord], start: int = 0, pseudonyms: Pseudonyms | None = None
) -> PeriodReport:
    return _reports(history).make([r for r in chain if r.at_ms >= start], start, None, pseudonyms)


def _page(report: PeriodReport, *, pseudonymised: bool = False) -> str:
    return report_page(report, "<i>ada</i>", pseudonymised=pseudonymised).get_body().decode()


def _section(page: str, name: str) -> str:
    return page.partition(f'<h2 id="{name}">')[2].partition("<h2")[0]


@given(records)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_is_in_one_section_and_what_failed_at_the_front_too(tmp_path: Path, drawn: list[Any]) -> None:
    chain = _chain(drawn)
    page = _page(_make(new_history(tmp_path), chain))
    listed = {name: [int(n) for n in ROW.findall(_section(page, name))] for name in SECTIONS}
    assert sorted(n for numbers in listed.values() for n in numbers) == [r.sequence for r in chain]
    assert [int(n) for n in ROW.findall(_section(page, "failures"))] == [
        r.sequence for r in chain if r.result is not AuditResult.DONE
    ]
    counts = re.findall(r'<tr><td><a href="#(\w+)">[^<]*</a></td><td class="number">(\d+)</td></tr>', page)
    assert {name: int(count) for name, count in counts if name in listed} == {n: len(r) for n, r in listed.items()}
    assert f'Records in the period</td><td class="number">{len(chain)}</td>' in page
    assert "not complete" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    for record in chain:
        if record.action != "settings_seen":
            assert all(html.escape(v, quote=False) in page for v in record.detail.values())


def test_no_detail_is_shortened_but_settings_that_are_the_same_as_before(tmp_path: Path) -> None:
    paths = "\n".join(f"{ROOT}/{n}" for n in range(900))
    values = {"BACKUP_ROOT": ROOT, "sha256": "s1", "changed": ""}
    chain = _chain(
        [
            ("deleted", "system", AuditResult.DONE, 1, {"paths": paths}),
            *[("settings_seen", "system", AuditResult.DONE, 1, values)] * 3,
            ("settings_seen", "system", AuditResult.DONE, 1, {**values, "sha256": "s2", "changed": "BACKUP_ROOT"}),
        ]
    )
    page = _page(_make(new_history(tmp_path), chain))
    assert paths in page
    shown = _section(page, "settings")
    assert (shown.count("BACKUP_ROOT: "), shown.count("the same as before, sha256: s1")) == (2, 2)


@given(records, st.integers(0, 12), st.integers(3, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_report_that_is_full_says_so_and_its_parts_come_to_the_whole(
    tmp_path: Path, drawn: list[Any], notebooks: int, most: int
) -> None:
    history, chain = new_history(tmp_path), _chain(drawn)
    for number in range(notebooks):
        history.write(f"{ROOT}/{number}", [str(number)], "ada@example.com")
        history.commit(MIDNIGHT_MS + number)
    patch = pytest.MonkeyPatch()
    with patch.context() as of:
        of.setattr(audit_report, "MOST_LISTED", most)
        seen, changes, start, parts = Counter[int](), set[str](), 0, 0
        while True:
            report = _make(history, chain, start)
            page = _page(report)
            seen.update({int(n) for n in ROW.findall(page)})
            changes |= set(CHANGE.findall(_section(page, "changes")))
            parts += 1
            if report.more_from_ms is None:
                break
            assert "This report is not complete" in page
            assert report.more_from_ms > start
            start = report.more_from_ms
    assert "This report is not complete" not in page
    assert seen.keys() == {r.sequence for r in chain}
    assert changes == {f"{ROOT}/{n}" for n in range(notebooks)}
    assert (parts > 1) == (max(len(chain), notebooks) > most)


def test_changes_have_the_authors_that_are_known_by_now_and_names_can_be_pseudonyms(tmp_path: Path) -> None:
    history = new_history(tmp_path)
    history.write(f"{ROOT}/ada@example.com/job", ["1"], "ada@example.com")
    history.commit(MIDNIGHT_MS)
    told = _section(_page(_make(history, [])), "changes")
    assert f"<td>{ROOT}/ada@example.com/job</td><td>created</td><td>ada@example.com</td>" in told
    pseudonyms = Pseudonyms(b"k" * 32)
    hidden = _page(_make(history, _chain([("restored", "ada@example.com", AuditResult.DONE, 1, {})]), 0, pseudonyms))
    assert "ada@" not in hidden
    assert hidden.count(pseudonyms.name("ada@example.com")) == 3
