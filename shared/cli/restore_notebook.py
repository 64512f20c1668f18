"""The notebook that people import into their workspace: history, preview and restore from there."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_TEMPLATE = Path(__file__).with_name("restore_notebook.txt")


def make_notebook(url: str) -> str:
    """The notebook's SOURCE, for the app at `url`, whose credentials are left out."""
    parts = urlsplit(url)
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return _TEMPLATE.read_text().replace("@APP_URL@", repr(address))
