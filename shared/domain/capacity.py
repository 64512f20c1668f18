"""Capacity: how the repository grows, when it reaches the size that Azure advises, and what to do then.

Sizes are bytes, days are days in UTC. Azure Repos advises to stay below 10 GB and refuses nothing below 250 GB
(https://learn.microsoft.com/azure/devops/repos/git/limits).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median

ADVISED_BYTES = 10 * 2**30
YEARLY_GROWTH = 0.2
"""What is assumed beside the measured growth: 20 % a year."""
DAYS_A_YEAR = 365
FEWEST_DAYS = 7
"""A growth that was measured over fewer days says nothing about the next year."""
MOST_POINTS = 90
FARTHEST_DAYS = 30 * DAYS_A_YEAR
"""A date that is farther away is no date that somebody plans by."""


class Level(StrEnum):
    """How near the advised size is."""

    OK = "ok"
    WATCH = "watch"
    WARNING = "warning"
    CRITICAL = "critical"


_SHARES = ((1.0, Level.CRITICAL), (0.85, Level.WARNING), (0.7, Level.WATCH))
_DAYS = ((30, Level.CRITICAL), (180, Level.WARNING), (365, Level.WATCH))


@dataclass(frozen=True, slots=True)
class SizePoint:
    """What was measured on one day: the repository, and one full copy of all notebooks beside it."""

    day: date
    size: int
    full_copy: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """A growth carried on: `days` until the advised size, None where it is never reached; `in_a_year` bytes."""

    days: int | None
    reached_on: date | None
    in_a_year: int


@dataclass(frozen=True, slots=True)
class Saving:
    """What daily full copies would take since `since`, beside the whole repository; `share` is what Git saves."""

    since: date
    days: int
    full_copies: int
    repository: int

    @property
    def share(self) -> float:
        """From 1 (all is saved) down; below 0 where Git takes more."""
        return 1 - self.repository / self.full_copies if self.full_copies else 0.0


def since_cut(points: Sequence[SizePoint]) -> Sequence[SizePoint]:
    """The points, in day order, from the last one on that is less than half of the one before.

    The repository was replaced there, or packed anew as a whole: what was before says nothing about its growth, and
    the copies of that time are no saving of this repository.
    """
    pairs = enumerate(pairwise(points), 1)
    return points[max((n for n, (before, after) in pairs if after.size < before.size / 2), default=0) :]


def growth_a_day(points: Sequence[SizePoint]) -> float | None:
    """Bytes a day over the last 90 points, in day order; None where they span less than seven days.

    The median of the slopes between all pairs (Theil-Sen): a server that packs its repository anew makes one
    step in the curve, which would bend a least-squares line and leaves this one as it is.
    """
    used = points[-MOST_POINTS:]
    if len(used) < 2 or (used[-1].day - used[0].day).days < FEWEST_DAYS:
        return None
    pairs = ((a, b) for n, a in enumerate(used) for b in used[n + 1 :])
    return median((b.size - a.size) / (b.day - a.day).days for a, b in pairs)


def measured_outlook(size: int, a_day: float, today: date, limit: int = ADVISED_BYTES) -> Outlook:
    """The measured growth, the same number of bytes each day."""
    days = 0.0 if size >= limit else (limit - size) / a_day if a_day > 0 else math.inf
    return _outlook(days, today, max(round(size + a_day * DAYS_A_YEAR), 0))


def yearly_outlook(size: int, today: date, limit: int = ADVISED_BYTES, rate: float = YEARLY_GROWTH) -> Outlook:
    """A growth of `rate` a year, compounded."""
    days = DAYS_A_YEAR * math.log(limit / size) / math.log1p(rate) if size > 0 else math.inf
    return _outlook(max(days, 0.0), today, round(size * (1 + rate)))


def _outlook(days: float, today: date, in_a_year: int) -> Outlook:
    near = math.ceil(days) if days <= FARTHEST_DAYS else None
    return Outlook(near, today + timedelta(near) if near is not None else None, in_a_year)


def level_of(size: int, days: int | None, limit: int = ADVISED_BYTES) -> Level:
    """How near the advised size is, by the share that is used, or by the days that are left."""
    by_share = next((level for share, level in _SHARES if size >= share * limit), Level.OK)
    by_days = next((level for most, level in _DAYS if days is not None and days <= most), Level.OK)
    order = list(Level)
    return max(by_share, by_days, key=order.index)


def saving(points: Sequence[SizePoint], today: date) -> Saving | None:
    """What one full copy a day would have taken, counted from the first day that was measured.

    A day that was not measured counts as the one before it. The repository counts whole, with what it held
    before the first day: the saving is therefore never said to be more than it is. None without any point.
    """
    if not points:
        return None
    ends = [*(p.day for p in points[1:]), today + timedelta(1)]
    copies = sum(p.full_copy * (end - p.day).days for p, end in zip(points, ends, strict=True))
    since = points[0].day
    return Saving(since, (today - since).days + 1, copies, points[-1].size)


@dataclass(frozen=True, slots=True)
class Growth:
    """A notebook's size, and what it was before; None where it was not there."""

    path: str
    size: int
    before: int | None

    @property
    def grown(self) -> int:
        """Bytes that came to it."""
        return self.size - (self.before or 0)


def largest(sizes: Mapping[str, int], most: int) -> list[Growth]:
    """The largest notebooks, the largest first."""
    ranked = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [Growth(path, size, None) for path, size in ranked]


def fastest(before: Mapping[str, int], now: Mapping[str, int], most: int) -> list[Growth]:
    """The notebooks that grew by the most bytes, new ones among them."""
    grown: Iterable[Growth] = (Growth(path, size, before.get(path)) for path, size in now.items())
    ranked = sorted((g for g in grown if g.grown > 0), key=lambda g: (-g.grown, g.path))
    return ranked[:most]
