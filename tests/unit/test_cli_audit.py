"""`./backup audit --verify` beside an app that gives canned answers, and what the app itself answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.audit_http import _proved
from shared.domain.audit import AuditHead
from shared.domain.audit_check import AuditFault, AuditVerdict, Forgery
from shared.services.audit.proof import Contradiction, ProvedPart
from tests.unit.fake_app import COMMIT, FakeApp, fake_app

ROUTE = "audit/verify"
HEAD, OTHER = AuditHead(6, "a" * 64), AuditHead(7, "b" * 64)


@pytest.fixture
def fake() -> Iterator[FakeApp]:
    with fake_app() as served:
        yield served


def _answer(*against: Contradiction, foreign: int = 0, strange: int = 0) -> dict[str, Any]:
    fault = AuditFault(Forgery.FORKED, 7) if against else None
    verdict = AuditVerdict(6, HEAD, 6, 0, fault)
    return _proved(ProvedPart(verdict, HEAD, 3, True, tuple(against), foreign, strange))


def test_a_commit_that_contradicts_the_trail_is_named_whole_with_where_to_read_on(fake: FakeApp) -> None:
    fake.give("GET", ROUTE, _answer(Contradiction(OTHER, (COMMIT, "1" * 40), kept=False), strange=2))
    code, output, errors = fake.piped("audit", "--verify")
    assert (code, "forked, the first bad record is 7" in output.decode()) == (1, True)
    assert f"Another record 7 is named by commit {COMMIT}, commit {'1' * 40}." in errors
    assert "docs/runbooks.md" in errors
    assert "not the backup's" in output.decode()


def test_a_kept_blob_is_no_foreign_commit(fake: FakeApp) -> None:
    fake.give("GET", ROUTE, _answer(Contradiction(OTHER, (COMMIT,), kept=True)))
    code, _, errors = fake.piped("audit", "--verify")
    assert (code, f"named by an immutable blob, commit {COMMIT}." in errors) == (1, True)
    assert "docs/runbooks.md" not in errors


def test_commits_that_were_left_out_are_counted(fake: FakeApp) -> None:
    fake.give("GET", ROUTE, _answer(foreign=3))
    code, output, errors = fake.piped("audit", "--verify")
    assert (code, "commits declared foreign" in output.decode(), errors) == (0, True, "")


def test_the_answer_names_what_contradicts() -> None:
    found = _answer(Contradiction(OTHER, (COMMIT,), kept=True), foreign=1, strange=2)
    assert found["against"] == [{"sequence": 7, "hash": "b" * 64, "commits": [COMMIT], "kept": True}]
    assert (found["foreign"], found["strange"], found["intact"]) == (1, 2, False)
