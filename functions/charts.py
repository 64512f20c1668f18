"""Charts as numbers that a template draws: rectangles and lines in a picture of 600 by 160, and the same as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from shared.domain.capacity import SizePoint
from shared.domain.reliability import CHANGES, DayChanges, RunFact
from shared.domain.sizes import size_text

WIDTH, HEIGHT = 600.0, 160.0
FEWEST_SLOTS, MOST_BARS = 15, 30
GAP_SHARE = 0.25
LOWEST_BAR = 2.0
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
    middle = median(seconds for _, seconds in ended)
    level = round(HEIGHT - HEIGHT * middle / top, 2)
    return Chart(
        name="durations",
        title="Duration of runs",
        told=f"Median {duration_text(middle)}; the last run took {duration_text(ended[-1][1])}.",
        bars=tuple(_duration_bars(ended, top)),
        lines=(Line(f"0,{level} {WIDTH},{level}", "median"),),
        top=duration_text(top),
        first=short_day(ended[0][0].started) if len(ended) >= FEWEST_SLOTS else "",
        last=short_day(ended[-1][0].started),
        legend=(("succeeded", "succeeded"), ("partial", "partial"), ("failed", "failed"), ("median", "median")),
        head=("Run (UTC)", "Result", "Took"),
        rows=tuple((time_text(r.started), str(r.status), duration_text(s)) for r, s in reversed(ended)),
    )


def _duration_bars(ended: Sequence[tuple[RunFact, float]], top: float) -> Iterator[Bar]:
    """A bar a run; of a few runs, at the right."""
    slots = max(len(ended), FEWEST_SLOTS)
    step, width = _columns(slots)
    for n, (run, seconds) in enumerate(ended, slots - len(ended)):
        height = round(max(HEIGHT * seconds / top, LOWEST_BAR), 2)
        told = f"{time_text(run.started)}: {duration_text(seconds)}, {run.status}"
        yield Bar(round(n * step, 2), round(HEIGHT - height, 2), width, height, run.status, told)


def changes(days: Sequence[DayChanges]) -> Chart | None:
    """Notebooks that changed each day, stacked by kind; None where nothing did."""
    top = max((day.total for day in days), default=0)
    if not top:
        return None
    changed = sum(day.total for day in days)
    what = "notebook" if changed == 1 else "notebooks"
    return Chart(
        name="changes",
        title="Changes each day",
        told=f"{changed:,} {what} changed in {len(days)} days, {days[-1].total:,} today.",
        bars=tuple(_stacks(days, top)),
        lines=(),
        top=f"{top:,}",
        first=short_day(days[0].day),
        last=short_day(days[-1].day),
        legend=tuple((kind, KIND_WORDS[kind]) for kind in CHANGES),
        head=("Day", *(KIND_WORDS[kind].capitalize() for kind in CHANGES)),
        rows=tuple((short_day(d.day), *(f"{d.counts[k]:,}" for k in CHANGES)) for d in reversed(days) if d.total),
    )


def _stacks(days: Sequence[DayChanges], top: int) -> Iterator[Bar]:
    """The kinds of a day one upon the other, those that are none left out."""
    step, width = _columns(len(days))
    for n, day in enumerate(days):
        base = HEIGHT
        for kind in CHANGES:
            height = HEIGHT * day.counts[kind] / top
            base -= height
            if height:
                told = f"{short_day(day.day)}: {day.counts[kind]:,} {KIND_WORDS[kind]}"
                yield Bar(round(n * step, 2), round(base, 2), width, round(height, 2), kind, told)


def sizes(points: Sequence[SizePoint], a_day: float | None, a_year: float, limit: int) -> Chart | None:
    """The measured sizes, and both forecasts for a year: bytes `a_day`, and a share `a_year`. None before a point."""
    if not points:
        return None
    now, end = points[-1].size, points[-1].day + timedelta(FORECAST_DAYS)
    grown = now + (a_day or 0) * FORECAST_DAYS
    assumed = now * (1 + a_year)
    top = max(*(p.size for p in points), grown, assumed, 1) * HEADROOM
    then = f"; {size_text(grown)} in a year at the measured growth" if a_day is not None else ""
    drawn = [("measured", "measured", _measured(points))]
    if a_day is not None:
        drawn.append(("forecast", "at the measured growth", [(points[-1].day, now), (end, grown)]))
    drawn.append(("assumed", f"with {a_year * 100:.0f} % a year", _compounded(points[-1], a_year)))
    if limit <= top:
        drawn.append(("limit", f"advised: {size_text(limit)}", [(points[0].day, limit), (end, limit)]))
    return Chart(
        name="sizes",
        title="Repository size and forecast",
        told=f"{size_text(now)} now{then}; {size_text(assumed)} with {a_year * 100:.0f} % a year.",
        bars=(),
        lines=tuple(Line(_placed(line, points[0].day, end, top), kind) for kind, _, line in drawn),
        top=size_text(top),
        first=short_day(points[0].day),
        last=day_text(end),
        legend=tuple((kind, words) for kind, words, _ in drawn),
        head=("Day", "Size", "One full copy"),
        rows=tuple((day_text(p.day), size_text(p.size), size_text(p.full_copy)) for p in reversed(points[-MOST_BARS:])),
    )


def _measured(points: Sequence[SizePoint]) -> list[tuple[date, float]]:
    """The line of what was measured; its end stands twice, so that a single point is seen as a dot."""
    return [(p.day, float(p.size)) for p in (*points, points[-1])]


def _compounded(last: SizePoint, a_year: float) -> list[tuple[date, float]]:
    """A growth of a share a year, month by month."""
    months = range(13)
    return [(last.day + timedelta(FORECAST_DAYS * m / 12), last.size * (1 + a_year) ** (m / 12)) for m in months]


def _placed(line: Sequence[tuple[date, float]], begin: date, end: date, top: float) -> str:
    """A line's points in the picture: days from left to right, sizes upwards, none below the ground."""
    span = (end - begin).days
    return " ".join(
        f"{WIDTH * (day - begin).days / span:.1f},{HEIGHT * (1 - max(size, 0) / top):.1f}" for day, size in line
    )
