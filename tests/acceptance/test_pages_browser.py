"""The pages in a real browser: find, compare, restore in three clicks, undo; without a mouse, script, or width."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from local.lab import Lab
from tests.browser import DESK, PHONE, needs_chromium, shoot

OPTIONS = {"notebooks": 120}
MANY, FOLDER_NOTEBOOKS = "/Clients/many notebooks", 60
FOLDER = "/Clients/a b & <i>"
NAME = "load '100%' \"<script>alert(1)<script>"
PATH = f"{FOLDER}/{NAME}"
SOURCE = "# Databricks notebook source\n# MAGIC %md\n# MAGIC Loads *orders*\n\n# COMMAND ----------\n\nprint(1)\n"
LINES = "".join(f"x_{n} = {n}\n" for n in range(30))
BEFORE = f"{SOURCE}{LINES}\n# COMMAND ----------\n\nprint('</pre><script>alert(2)</script>')\n"
BROKEN = BEFORE.replace("print(1)", "print(2)")
pytestmark = [pytest.mark.xdist_group("pages"), needs_chromium]


@pytest.fixture(scope="module")
def commit(lab: Lab) -> str:
    lab.edit({"action": "mkdir", "path": FOLDER})
    lab.edit({"action": "create", "path": PATH, "language": "PYTHON", "content": BEFORE})
    found = str(lab.back_up()["commit"])
    lab.edit({"action": "edit", "path": PATH, "content": BROKEN})
    lab.back_up()
    return found


@pytest.fixture(autouse=True)
def broken(lab: Lab, commit: str) -> None:
    lab.edit({"action": "edit", "path": PATH, "content": BROKEN})


@pytest.fixture(params=["desk", "desk, dark", "phone, dark"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A window without script: nothing may need it, and a dialog would be somebody else's script."""
    small, dark = "phone" in request.param, "dark" in request.param
    window = browser.new_context(
        viewport=PHONE if small else DESK,  # type: ignore[arg-type]
        color_scheme="dark" if dark else "light",
        java_script_enabled=False,
    )
    shown = window.new_page()
    yield shown
    window.close()


def _address(lab: Lab, route: str, **query: str) -> str:
    given = "&".join(f"{name}={quote(value, safe='')}" for name, value in {**query, "code": lab.system.key}.items())
    return f"{lab.system.url}/api/{route}?{given}"


def _live(lab: Lab, path: str = PATH) -> str:
    headers = {"x-functions-key": lab.system.key}
    query = {"path": path, "at": "live"}
    return requests.get(f"{lab.system.url}/api/content", params=query, headers=headers, timeout=30).text


def test_one_notebook_is_restored_in_three_clicks_and_undone(lab: Lab, page: Page, commit: str) -> None:
    before = _restores(lab)
    page.goto(_address(lab, "browse"))
    shoot(page, "browse")
    page.get_by_label("Find a notebook").fill("LOAD '100%")
    page.keyboard.press("Enter")
    shoot(page, "found")
    page.get_by_role("link", name=NAME).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    shoot(page, "history")
    page.get_by_role("link", name="Restore the version of").last.click()
    expect(page.get_by_text("1 to overwrite")).to_be_visible()
    shoot(page, "plan")
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Restored, and verified")
    shoot(page, "result")
    assert _live(lab) == BEFORE
    page.reload()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Undone, and verified")
    assert _live(lab) == BROKEN
    assert len(_restores(lab) - before) == 3, "the plan, the restore, the undo: a page loaded again restores nothing"


def _restores(lab: Lab) -> set[str]:
    return {r["id"] for r in lab.client.call("GET", "restores?limit=200")["restores"]}


@pytest.fixture(scope="module")
def many(lab: Lab) -> dict[str, str]:
    """A folder's notebooks, backed up: their contents by path."""
    paths = [f"{MANY}/{n:02}" for n in range(FOLDER_NOTEBOOKS)]
    contents = {path: f"# Databricks notebook source\nprint({n})\n" for n, path in enumerate(paths)}
    new = [{"action": "create", "path": p, "language": "PYTHON", "content": c} for p, c in contents.items()]
    lab.edit({"action": "mkdir", "path": MANY}, *new)
    lab.back_up()
    return contents


def test_a_folder_is_restored_with_progress(lab: Lab, page: Page, many: dict[str, str]) -> None:
    broken = [path for path in many if path != f"{MANY}/00"]
    lab.edit(*({"action": "edit", "path": path, "content": "broken"} for path in broken))
    page.goto(_address(lab, "browse", path=MANY))
    page.get_by_role("link", name="Restore this folder").click()
    expect(page.get_by_text(f"{FOLDER_NOTEBOOKS - 1} to overwrite")).to_be_visible()
    expect(page.get_by_text("1 unchanged")).to_be_visible()
    shoot(page, "plan of a folder")
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.get_by_role("progressbar").or_(page.get_by_text("Restored, and verified"))).to_be_visible()
    shoot(page, "progress")
    # The page looks again by itself, until it is over.
    expect(page.get_by_role("heading", level=1)).to_have_text("Restored, and verified", timeout=60_000)
    expect(page.get_by_role("link", name=f"{FOLDER_NOTEBOOKS - 1} verified")).to_be_visible()
    shoot(page, "result of a folder")
    assert {path: _live(lab, path) for path in many} == many


def test_what_somebody_edited_meanwhile_is_left_alone_until_a_new_plan_is_seen(
    lab: Lab, page: Page, commit: str
) -> None:
    page.goto(_address(lab, "restore", path=PATH, at=commit))
    lab.edit({"action": "edit", "path": PATH, "content": BROKEN + "meanwhile"})
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.get_by_text("Somebody edited this notebook after you saw the plan")).to_be_visible()
    shoot(page, "refused")
    assert _live(lab) == BROKEN + "meanwhile"
    page.get_by_role("link", name="Plan again").click()
    page.get_by_role("button", name="Restore", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Restored, and verified")
    lab.edit({"action": "edit", "path": PATH, "content": BROKEN + "later"})
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not undone")
    shoot(page, "undo refused")
    page.get_by_role("button", name="Undo all the same").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Not undone")  # the box is not ticked
    page.get_by_label("Yes, write over").check()
    page.get_by_role("button", name="Undo all the same").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Undone, and verified")
    assert _live(lab) == BROKEN + "meanwhile"


def test_a_version_is_shown_by_cell_and_its_difference_side_by_side(lab: Lab, page: Page, commit: str) -> None:
    page.goto(_address(lab, "preview", path=PATH, at=commit))
    expect(page.get_by_label("Cell 1")).to_contain_text("Loads *orders*")
    expect(page.get_by_label("Cell 3")).to_contain_text("alert(2)")
    shoot(page, "preview")
    page.get_by_role("link", name="Compare with now").click()
    expect(page.get_by_text("1 added")).to_be_visible()
    shoot(page, "compare")
    folded = page.get_by_text("lines that are the same").first
    folded.click()
    expect(page.get_by_text("x_15").last).to_be_visible()


def test_no_page_is_wider_than_a_phone(lab: Lab, browser: Browser, commit: str) -> None:
    window = browser.new_context(viewport=PHONE)  # type: ignore[arg-type]
    shown = window.new_page()
    dialogs: list[str] = []
    shown.on("dialog", lambda dialog: dialogs.append(dialog.message))
    for route, query in (
        ("browse", {}),
        ("browse", {"path": FOLDER}),
        ("browse", {"q": "load"}),
        ("browse", {"deleted": "true"}),
        ("history", {"path": PATH}),
        ("preview", {"path": PATH, "at": commit}),
        ("compare", {"path": PATH, "from": commit}),
        ("restore", {"path": PATH, "at": commit}),
        ("history", {"path": "/Clients/none"}),
    ):
        shown.goto(_address(lab, route, **query))
        assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), route
        assert shown.evaluate("getComputedStyle(document.body).margin") == "0px", "the style sheet was refused"
    assert dialogs == []
    window.close()


def test_a_restore_needs_no_mouse(lab: Lab, browser: Browser, commit: str) -> None:
    shown = browser.new_page()
    shown.goto(_address(lab, "history", path=PATH))
    _tab_to(shown, "restore?", last=True)
    shown.keyboard.press("Enter")
    shown.wait_for_url("**/restore?**")
    _tab_to(shown, "Restore")
    shown.keyboard.press("Enter")
    expect(shown.get_by_role("heading", level=1)).to_have_text("Restored, and verified")
    assert _live(lab) == BEFORE
    shown.close()


def _tab_to(page: Page, what: str, *, last: bool = False) -> None:
    """Press Tab until the focus is on what is meant: a link's address, or a button's words."""
    describe = "(e => (e.getAttribute('href') || '') + ' ' + e.textContent.trim())(document.activeElement)"
    seen = 0
    wanted = page.locator(f"a[href*='{what}']").count() if last else 1
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = str(page.evaluate(describe)).strip()
        seen += what in focused if last else focused == what
        if seen == wanted:
            return
    raise AssertionError(f"Tab never reaches {what}")


def test_what_is_not_there_is_said_in_a_page(lab: Lab, page: Page) -> None:
    answer = page.goto(_address(lab, "history", path="/Clients/none"))
    assert answer
    assert answer.status == 404
    expect(page.get_by_text("search for its name")).to_be_visible()
    headers = answer.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["referrer-policy"], headers["cache-control"]) == ("same-origin", "no-store")
