"""Charts as numbers that a template draws: rectangles and lines in a picture of 600 by 160, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from shared.domain.capacity import SizePoint
from shared.domain.reliability import CHANGES, DayChanges, RunFact
from shared.domain.sizes import size_text

WIDTH, HEIGHT = 600.0, 160.0
MOST_BARS = 30
GAP_SHARE = 0.25
FORECAST_DAYS = 365
HEADROOM = 1.1
KIND_WORDS = {"created": "new", "changed": "changed", "renamed": "renamed", "deleted": "deleted"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `kind` is its class, `told` what it stands for."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    told: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, `x,y` each; `kind` is its class."""

    points: str
    kind: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template draws. `told` says in words what the picture shows; `rows` are its numbers."""

    name: str
    title: str
    told: str
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    top: str
    first: str
    last: str
    legend: tuple[tuple[str, str], ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def duration_text(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def day_text(day: date) -> str:
    """A day of this or another year: `24 Nov 2026`."""
    return f"{day.day} {day:%b %Y}"


def short_day(day: date) -> str:
    """A day without its year."""
    return f"{day.day} {day:%b}"


def time_text(when: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{when.day} {when:%b %H:%M}"


def _columns(count: int) -> tuple[float, float]:
    """The distance from one bar to the next, and a bar's width."""
    step = WIDTH / max(count, 1)
    return step, round(step * (1 - GAP_SHARE), 2)


def durations(runs: Sequence[RunFact]) -> Chart | None:
    """How long the last runs took, the oldest first; None before one ended. `runs` are the newest first."""
    ended = [(r, r.seconds) for r in reversed(runs) if r.status.final and r.seconds is not None][-MOST_BARS:]
    if not ended:
        return None
    top = max(seconds for _, seconds in ended) or 1.0
    step, width = _columns(len(ended))
    bars = []
    for n, (run, seconds) in enumerate(ended):
        height = max(HEIGHT * seconds / top, 2.0)
        told = f"{time_text(run.started)}: {duration_text(seconds)}, {run.status}"
        bars.append(Bar(round(n * step, 2), round(HEIGHT - height, 2), width, round(height, 2), run.status, told))
    middle = median(seconds for _, seconds in ended)
    level = round(HEIGHT - HEIGHT * middle / top, 2)
    return Chart(
        name="durations",
        title="Duration of runs",
        told=f"Median {duration_text(middle)}; the last run took {duration_text(ended[-1][1])}.",
        bars=tuple(bars),
        lines=(Line(f"0,{level} {WIDTH},{level}", "median"),),
        top=duration_text(top),
        first=short_day(ended[0][0].started),
        last=short_day(ended[-1][0].started),
        legend=(("succeeded", "succeeded"), ("partial", "partial"), ("failed", "failed"), ("median", "median")),
        head=("Run (UTC)", "Result", "Took"),
        rows=tuple((time_text(r.started), str(r.status), duration_text(s)) for r, s in reversed(ended)),
    )


def changes(days: Sequence[DayChanges]) -> Chart | None:
    """Notebooks that changed each day, stacked by kind; None where nothing did."""
    top = max((day.total for day in days), default=0)
    if not top:
        return None
    step, width = _columns(len(days))
    bars = []
    for n, day in enumerate(days):
        base = HEIGHT
        for kind in CHANGES:
            height = HEIGHT * day.counts[kind] / top
            base -= height
            told = f"{short_day(day.day)}: {day.counts[kind]:,} {KIND_WORDS[kind]}"
            if height:
                bars.append(Bar(round(n * step, 2), round(base, 2), width, round(height, 2), kind, told))
    all_days = sum(day.total for day in days)
    return Chart(
        name="changes",
        title="Changes each day",
        told=f"{all_days:,} notebooks changed in {len(days)} days, {days[-1].total:,} today.",
        bars=tuple(bars),
        lines=(),
        top=f"{top:,}",
        first=short_day(days[0].day),
        last=short_day(days[-1].day),
        legend=tuple((kind, KIND_WORDS[kind]) for kind in CHANGES),
        head=("Day", *(KIND_WORDS[kind].capitalize() for kind in CHANGES)),
        rows=tuple((short_day(d.day), *(f"{d.counts[k]:,}" for k in CHANGES)) for d in reversed(days) if d.total),
    )


def sizes(points: Sequence[SizePoint], a_day: float | None, a_year: float, limit: int) -> Chart | None:
    """The measured sizes, and both forecasts for a year: bytes `a_day`, and a share `a_year`. None before a point."""
    if not points:
        return None
    begin, last = points[0].day, points[-1]
    end = last.day + timedelta(FORECAST_DAYS)
    grown = last.size + (a_day or 0) * FORECAST_DAYS
    assumed = [(FORECAST_DAYS * n / 12, last.size * (1 + a_year) ** (n / 12)) for n in range(13)]
    top = max(*(p.size for p in points), grown, assumed[-1][1], 1) * HEADROOM
    span = (end - begin).days

    def at(days: float, size: float) -> str:
        return f"{WIDTH * days / span:.1f},{HEIGHT * (1 - max(size, 0) / top):.1f}"

    until = (last.day - begin).days
    lines = [Line(" ".join(at((p.day - begin).days, p.size) for p in points), "measured")]
    lines.append(Line(" ".join(at(until + days, size) for days, size in assumed), "assumed"))
    legend = [("measured", "measured"), ("assumed", f"with {a_year * 100:.0f} % a year")]
    if a_day is not None:
        lines.append(Line(f"{at(until, last.size)} {at(span, grown)}", "forecast"))
        legend.insert(1, ("forecast", "at the measured growth"))
    if limit <= top:
        lines.append(Line(f"{at(0, limit)} {at(span, limit)}", "limit"))
        legend.append(("limit", f"advised: {size_text(limit)}"))
    measured = f"; {size_text(grown)} in a year at the measured growth" if a_day is not None else ""
    return Chart(
        name="sizes",
        title="Repository size and forecast",
        told=f"{size_text(last.size)} now{measured}; {size_text(assumed[-1][1])} with {a_year * 100:.0f} % a year.",
        bars=(),
        lines=tuple(lines),
        top=size_text(top),
        first=short_day(begin),
        last=day_text(end),
        legend=tuple(legend),
        head=("Day", "Size", "One full copy"),
        rows=tuple((day_text(p.day), size_text(p.size), size_text(p.full_copy)) for p in reversed(points[-MOST_BARS:])),
    )
