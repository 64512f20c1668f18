"""Times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime

_DATE_CHARACTERS = len("2026-11-24")


def iso(milliseconds: int | None) -> str | None:
    """Unix milliseconds as an ISO time in UTC; None stays None."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat() if milliseconds is not None else None


def parse_time(text: str) -> tuple[datetime, bool]:
    """A date such as `2026-11-24` or a time, in UTC where it names no zone; and whether it is a date alone.

    Raises `ValueError` for anything else.
    """
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC), len(text) <= _DATE_CHARACTERS
