"""Times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(milliseconds: int | None) -> str | None:
    """Unix milliseconds as an ISO time in UTC; None stays None."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat() if milliseconds is not None else None
