"""Periods in UTC that reports are about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_MIDNIGHT = time()
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """From one moment until before another, both in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def days(cls, first: date, last: date) -> Period:
        """Whole days, the last one too. Raises `ValueError` where the last is before the first."""
        if last < first:
            raise ValueError("from must not be after to")
        if last == date.max:
            raise ValueError(f"to must be before {date.max}")
        return cls(_at(first), _at(last) + _DAY)

    @property
    def from_ms(self) -> int:
        """Its beginning as Unix time in milliseconds."""
        return _milliseconds(self.start)

    @property
    def to_ms(self) -> int:
        """Its end, which is no more in it, as Unix time in milliseconds."""
        return _milliseconds(self.end)

    def __str__(self) -> str:
        if self.start.time() == self.end.time() == _MIDNIGHT:
            first, last = self.start.date(), (self.end - _DAY).date()
            return f"{first}" if first == last else f"{first} to {last}"
        return f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}"


def parse_date(name: str, text: str) -> date:
    """A date such as 2026-11-24. Raises `ValueError` naming the parameter."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:  # a week's day and a date without dashes are ISO, too
        raise ValueError(f"{name} must be a date such as 2026-11-24")
    return found


def _at(day: date) -> datetime:
    return datetime.combine(day, _MIDNIGHT, UTC)


def _milliseconds(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
