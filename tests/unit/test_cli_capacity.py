"""`./backup capacity`, beside an app that gives canned answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.fake_app import COMMIT, FakeApp, fake_app

GIB = 2**30
NEVER = {"days_until_advised": None, "advised_on": None, "bytes_in_a_year": 3 * GIB}
SOON = {"days_until_advised": 400, "advised_on": "2027-12-29", "bytes_in_a_year": 9 * GIB}
STEPS = [{"title": "Agree on a day", "detail": "Tell people [bold]all[/bold] of them."}]


@pytest.fixture
def fake() -> Iterator[FakeApp]:
    with fake_app() as served:
        yield served


def _answer(**more: Any) -> dict[str, Any]:
    at = "2026-11-24T06:31:00+00:00"
    measured = {"bytes": 2 * GIB, "source": "server", "how": "by the server's API", "at_least": False, "at": at}
    measured |= {"commit": COMMIT, "notebooks": 70_000, "full_copy_bytes": GIB}
    copies = {"since": "2026-10-26", "days": 30, "bytes": 30 * GIB, "git_bytes": 2 * GIB, "saving": 0.9333}
    return {
        "advised_bytes": 10 * GIB,
        "measured": measured,
        "level": "watch",
        "share": 0.2,
        "growth": {"bytes_a_day": 12 * 2**20, "days_measured": 29, **SOON},
        "assumed": {"growth_a_year": 0.2, **NEVER},
        "full_copies": copies,
        "archive_plan": {"needed": False, "due": "2027-10-30", "why": "It comes near.", "steps": STEPS},
        "largest": [{"path": "/Clients/a\x1b[31m", "size": 9 * 2**20}],
        "growers": [{"path": "/Clients/b", "size": 5, "before": None, "grown": 5}],
        "growers_since": "2026-10-25",
        "days": [],
        **more,
    }


def test_size_forecast_saving_and_plan_are_told(fake: FakeApp) -> None:
    fake.give("GET", "capacity", _answer())
    result = fake.run("capacity")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 0
    for words in (
        "level watch",
        "2.0 GB, 20.0 % of the advised 10.0 GB",
        "by the server's API",
        "would take 30.0 GB since 2026-10-26 (30 days); Git takes 2.0 GB",
        "93.3 %",
        "12.0 MB a day, over 29 days",
        "2027-12-29",
        "not in sight",
        "Due by 2027-10-30. It comes near.",
        "1. Agree on a day. Tell people [bold]all[/bold] of them.",
        "fastest growers since 2026-10-25",
    ):
        assert words in said, words
    assert "\x1b[31m" not in result.stdout


def test_what_is_not_known_yet_is_said(fake: FakeApp) -> None:
    growth = {"bytes_a_day": None, "days_measured": 3, **NEVER}
    measured = _answer()["measured"] | {"at_least": True}
    fake.give("GET", "capacity", _answer(growth=growth, measured=measured, full_copies=None, largest=[], growers=[]))
    said = " ".join(fake.run("capacity").stdout.split())
    assert "at least 2.0 GB" in said
    assert "Growth is measured from seven days on; there are 3 so far." in said
    assert "largest" not in said


def test_before_a_measurement_it_says_how_to_make_one(fake: FakeApp) -> None:
    fake.give("GET", "capacity", {"advised_bytes": 1, "measured": None, "largest": [], "growers": []})
    result = fake.run("capacity")
    assert (result.exit_code, "./backup verify" in result.stderr) == (0, True)


def test_json_is_the_answer_itself(fake: FakeApp) -> None:
    fake.give("GET", "capacity", _answer())
    assert json.loads(fake.run("capacity", "--json").stdout) == _answer()
