"""The dashboard over a world in memory, and capacity over HTTP."""

from __future__ import annotations

import json

import pytest

from shared import wiring
from shared.domain.batches import Failure
from shared.services.state.findings import FindingStore
from tests.dashboard_rows import FAILURES, seed, under_way
from tests.names import HOSTILE_NAMES
from tests.pages_site import LOAD, Site, back_up, write


def test_before_the_first_run_it_says_what_to_do(site: Site) -> None:
    seen = site.get("dashboard")
    assert "No backup yet" in seen.words
    for command in ("./backup doctor", "./backup sync", "./backup verify"):
        assert command in seen.words
    assert 'http-equiv="refresh" content="60"' in seen.text


def test_thirty_days_are_shown_with_their_failures_and_what_to_do(site: Site) -> None:
    seed(site.world.tables, site.world.blobs, site.world.clock.now())
    seen = site.get("dashboard")
    assert "The backup works, with something to look at" in seen.words
    assert f"could not bring in {len(FAILURES)} notebooks or folders" in seen.words
    assert "Grant the backup's identity CAN READ on the notebook" in seen.words
    for title in ("Duration of runs", "Changes each day", "Repository size and forecast"):
        assert title in seen.words
    assert seen.text.count('role="img"') == seen.text.count("<desc id=") == 3
    assert seen.text.count("As a table") == 3
    assert "/Clients/acme/etl/load 01" in seen.words
    assert "renews itself" in seen.words
    assert 'content="60"' in seen.text


def test_a_run_under_way_is_shown_with_percentage_and_rate_and_looked_at_more_often(site: Site) -> None:
    seed(site.world.tables, site.world.blobs, site.world.clock.now())
    under_way(site.world.tables, site.world.clock.now())
    seen = site.get("dashboard")
    assert "Run under way: 37.5 %" in seen.words
    assert "10 notebooks/s" in seen.words
    assert 'content="10"' in seen.text


def test_looking_again_can_be_paused_and_the_key_goes_along(site: Site) -> None:
    seen = site.get("dashboard", code="k&y")
    assert ("dashboard", {"refresh": "off", "code": "k&y"}) in seen.addresses
    paused = site.get("dashboard", code="k&y", refresh="off")
    assert "http-equiv" not in paused.text
    assert ("dashboard", {"code": "k&y"}) in paused.addresses


def test_it_is_sent_with_the_headers_of_every_page(site: Site) -> None:
    headers = site.ask("GET", "dashboard").headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", [n for n in HOSTILE_NAMES if "\0" not in n])
def test_a_hostile_name_among_the_failures_is_text(site: Site, name: str) -> None:
    now = site.world.clock.now()
    seed(site.world.tables, site.world.blobs, now)
    last = wiring.services().dashboard.read().last
    assert last
    failure = Failure(f"/Clients/{name}<script>", "<b>code</b>", f"{name}<img src=x onerror=alert(1)>")
    FindingStore(site.world.blobs).record_failures(last["run_id"], "export", [failure])
    seen = site.get("dashboard")  # tags that are not ours, or left open, fail in there
    assert "<script>" in seen.words


def test_a_real_backup_and_measurement_are_shown(site: Site) -> None:
    write(site.world, LOAD, "print(1)\n")
    back_up(site.world)
    assert "Not measured yet" in site.get("dashboard").words
    wiring.services().capacity.measure()
    seen = site.get("dashboard")
    assert "Everything is backed up" in seen.words
    assert "assuming 20 % a year" in seen.words


def test_capacity_is_answered_as_json(site: Site) -> None:
    before = site.ask("GET", "capacity")
    assert (before.status_code, json.loads(before.get_body())["measured"]) == (200, None)
    seed(site.world.tables, site.world.blobs, site.world.clock.now())
    found = json.loads(site.ask("GET", "capacity").get_body())
    assert found["level"] == "ok"
    assert len(found["days"]) == 30
    assert found["full_copies"]["saving"] > 0.5
    assert len(found["archive_plan"]["steps"]) >= 5
