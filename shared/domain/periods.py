"""Periods as people give them: dates, which mean whole days in UTC, or times."""

from __future__ import annotations

from datetime import UTC, timedelta

from shared.domain.times import parse_time


def period(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """From a date or time to before another, in Unix milliseconds; a date as the end is in. None is open.

    Raises `ValueError` for what is no date or time, and for an end that is not after the start.
    """
    from_ms = _milliseconds("from", start, timedelta()) if start else None
    to_ms = _milliseconds("to", end, timedelta(days=1)) if end else None
    if from_ms is not None and to_ms is not None and to_ms <= from_ms:
        raise ValueError("to must be after from")
    return from_ms, to_ms


def _milliseconds(name: str, text: str, of_a_date: timedelta) -> int:
    try:
        when, is_date = parse_time(text)
        when = when.astimezone(UTC) + (of_a_date if is_date else timedelta())
    except (ValueError, OverflowError):
        raise ValueError(f"{name} must be a date such as 2026-11-24, or a time such as 2026-11-24T08:00:00Z") from None
    return int(when.timestamp() * 1000)
