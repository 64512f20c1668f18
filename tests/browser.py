"""A headless Chromium, and the windows that pages are looked at in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 860}
needs_chromium = pytest.mark.skipif(
    not Path(CHROMIUM).exists() and "CI" not in os.environ, reason="no Chromium is installed: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for a test module."""
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


def shoot(page: Page, name: str) -> None:
    """Keep a picture of the whole page where one is asked for."""
    if folder := os.environ.get("BACKUP_SCREENSHOTS"):
        _, _, window = os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)").partition("[")
        page.screenshot(path=f"{folder}/{name}, {window.rstrip(']')}.png", full_page=True)
