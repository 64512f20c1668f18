"""The notebook that people import into their workspace: history, preview and restore from there."""

from __future__ import annotations

from pathlib import Path

_TEMPLATE = Path(__file__).with_name("restore_notebook.txt")


def make_notebook(url: str) -> str:
    """The notebook's SOURCE, for the app at `url`."""
    return _TEMPLATE.read_text().replace("@APP_URL@", repr(url))
