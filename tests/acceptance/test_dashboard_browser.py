"""The dashboard in a real browser, of a real app: empty, with thirty days, under way; dark, light, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from local.lab import Lab
from shared.adapters.storage import StorageClients
from tests.browser import DESK, PHONE, needs_chromium, shoot
from tests.dashboard_rows import seed, under_way

# The watchdog would move the runs on that stand in the tables without a committer.
OPTIONS = {"notebooks": 60, "plain": True, "settings": {"AzureWebJobs.watchdog.Disabled": "true"}}
TITLES = ("Duration of runs", "Changes each day", "Repository size and forecast")
WINDOWS = {
    "desk": (DESK, "light"),
    "desk, dark": (DESK, "dark"),
    "phone": (PHONE, "light"),
    "phone, dark": (PHONE, "dark"),
}
pytestmark = [pytest.mark.xdist_group("dashboard"), needs_chromium]


@pytest.fixture(params=list(WINDOWS))
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A window without script: nothing may need it."""
    size, scheme = WINDOWS[request.param]
    window = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=False)  # type: ignore[arg-type]
    yield window.new_page()
    window.close()


@pytest.fixture(scope="module")
def empty(lab: Lab) -> str:
    """The page before the first run."""
    answer = requests.get(_address(lab), timeout=60)
    answer.raise_for_status()
    return answer.text


@pytest.fixture(scope="module")
def seeded(lab: Lab, empty: str) -> StorageClients:
    clients = StorageClients.from_connection_string(lab.system.settings["AzureWebJobsStorage"])
    seed(clients.tables(), clients.blobs("backup"), datetime.now(UTC))
    return clients


def _address(lab: Lab, route: str = "dashboard", **query: str) -> str:
    given = "&".join(f"{name}={value}" for name, value in {**query, "code": lab.system.key}.items())
    return f"{lab.system.url}/api/{route}?{given}"


def test_before_the_first_run_it_says_what_to_do(lab: Lab, empty: str, page: Page) -> None:
    page.set_content(empty)
    expect(page.get_by_role("heading", level=1)).to_have_text("No backup yet")
    expect(page.get_by_text("./backup sync")).to_be_visible()
    shoot(page, "empty")


def test_thirty_days_are_seen_at_a_glance(lab: Lab, seeded: StorageClients, page: Page) -> None:
    answer = page.goto(_address(lab, refresh="off"))
    assert answer
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    expect(page.get_by_role("heading", level=1)).to_have_text("The backup works, with something to look at")
    for title in TITLES:
        expect(page.get_by_role("img", name=title)).to_be_visible()
    bars = page.locator("svg rect").all()
    assert len(bars) > 60
    expect(page.locator(".strip li")).to_have_count(30)
    expect(page.get_by_text("Grant the backup's identity CAN READ on the notebook")).to_be_visible()
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("cell", name="partial").first).to_be_visible()
    page.get_by_text("As a table").first.click()
    shoot(page, "dashboard")


def test_a_run_under_way_is_shown_and_the_page_looks_again(lab: Lab, seeded: StorageClients, page: Page) -> None:
    tables = seeded.tables()
    run_id = under_way(tables, datetime.now(UTC))
    try:
        page.goto(_address(lab))
        expect(page.get_by_label("Run under way: 37.5 %")).to_be_visible()
        shoot(page, "under way")
        for batch in ("0003", "0004"):
            tables.upsert("batches", run_id, batch, {"status": "staged"})
        expect(page.get_by_label("Run under way: 62.5 %")).to_be_visible(timeout=30_000)
    finally:
        tables.upsert("checkpoints", "lease", "run", {"run_id": ""})
        tables.delete("runs", "run", run_id)


def test_no_part_is_wider_than_a_phone_and_nothing_needs_a_mouse(
    lab: Lab, seeded: StorageClients, browser: Browser
) -> None:
    window = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    shown = window.new_page()
    refused: list[str] = []
    shown.on("console", lambda message: refused.append(message.text))
    shown.goto(_address(lab))
    assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert shown.evaluate("getComputedStyle(document.body).margin") == "0px", "the style sheet was refused"
    focused = "document.activeElement.textContent.trim()"
    for _ in range(20):
        shown.keyboard.press("Tab")
        if shown.evaluate(focused) == "Pause":
            break
    shown.keyboard.press("Enter")
    expect(shown.get_by_role("link", name="Go on")).to_be_visible()
    opened = shown.locator("details[open]")
    for _ in range(40):
        shown.keyboard.press("Tab")
        if str(shown.evaluate(focused)).startswith("As a table"):
            break
    shown.keyboard.press("Enter")
    expect(opened).to_have_count(1)
    assert refused == []
    window.close()


def test_a_failed_run_is_said_first(lab: Lab, seeded: StorageClients, page: Page) -> None:
    tables, now = seeded.tables(), datetime.now(UTC)
    run_id = f"{now:%Y%m%dT%H%M%SZ}-eeee"
    started = (now - timedelta(minutes=5)).isoformat()
    row = {
        "status": "failed",
        "phase": "done",
        "started_at": started,
        "seconds": 9.0,
        "error": "Git could not push: HTTP 401",
    }
    tables.upsert("runs", "run", run_id, row)  # type: ignore[arg-type]
    try:
        page.goto(_address(lab))
        expect(page.get_by_role("heading", level=1)).to_have_text("The backup needs you")
        expect(page.get_by_text("The last run failed: Git could not push: HTTP 401")).to_be_visible()
        shoot(page, "failed")
    finally:
        tables.delete("runs", "run", run_id)
