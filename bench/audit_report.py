"""The report of a whole audit trail, in a process of its own: see `bench.audit`."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from functions.audit_views import report_page
from local.memory.repository import MemoryRemote, MemoryRepository
from shared.adapters.storage import StorageClients
from shared.clock import SystemClock
from shared.services.audit.proof import AnchorRules, AuditAnchors, AuditProof
from shared.services.audit.rows import AuditRows
from shared.services.reporting.audit_report import AuditReports
from tests.telling import MIDNIGHT_MS, ROOT, new_history

A_COMMIT = 50
_NOTHING = MemoryRepository(MemoryRemote())
"""No commits, and so no anchors."""


def main(target: str, changes: int) -> None:
    """Make the report of every record in the storage, and of so many changes; print what it took."""
    history = new_history(Path(tempfile.mkdtemp()))
    for number in range(changes):
        history.write(f"{ROOT}/client {number % 700}/job {number}", [str(number)], f"person-{number % 12}@example.com")
        if number % A_COMMIT == A_COMMIT - 1:
            history.commit(MIDNIGHT_MS + number)
    history.commit(MIDNIGHT_MS + changes)
    history.contents.clear()
    rows = AuditRows(StorageClients.from_connection_string(os.environ["AzureWebJobsStorage"]).tables())
    proof = AuditProof(rows, AuditAnchors(_NOTHING, None, AnchorRules("backup@example.com")))
    before, began = _megabytes(), time.monotonic()
    report = AuditReports(proof=proof, history=history, clock=SystemClock()).make(
        rows.scan(rows.state()), None, None, None
    )
    made = time.monotonic()
    body = report_page(report, "bench", pseudonymised=False).get_body()
    told = {
        "part": "report",
        "records": report.listing.count,
        "changes": report.changes.listing.count,
        "seconds": round(time.monotonic() - began, 2),
        "of which to write HTML": round(time.monotonic() - made, 2),
        "html_mb": round(len(body) / 1e6, 2),
        "memory_mb": round(_megabytes() - before, 1),
    }
    Path(target).write_bytes(body)
    print(json.dumps({**told, **_printed(Path(target))}), flush=True)


def _printed(page: Path) -> dict[str, float]:
    """The PDF that Chromium makes of it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return {}
    began = time.monotonic()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        tab.goto(page.as_uri())
        data = tab.pdf(prefer_css_page_size=True)
        browser.close()
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    return {"pdf_pages": pages, "pdf_mb": round(len(data) / 1e6, 2), "pdf_seconds": round(time.monotonic() - began, 1)}


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
