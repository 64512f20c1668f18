"""What the dashboard says: one headline, what needs somebody, figures, charts and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

from functions import charts
from functions.charts import Chart, day_text, duration_text, time_text
from functions.remedies import remedy
from shared.domain.capacity import Level, SizePoint
from shared.domain.reliability import DAYS, TARGET, Reliability, RunFact, changes_a_day, reliability
from shared.domain.runs import RunStatus
from shared.domain.sizes import size_text
from shared.services.reporting.dashboard import Credential, Dashboard, Verified

STRIP_RUNS = 30
MOST_BAD_RUNS = 8
MOST_PATHS = 5
SAVING_TARGET = 0.5
LATE_HOURS = 26
"""A daily backup that did not succeed for so long is late."""
VERIFIED_LATE_HOURS = 50
EXPIRY_WARNING_DAYS = 30
BUSY_SECONDS, IDLE_SECONDS = 10, 60
BAD = (RunStatus.FAILED, RunStatus.PARTIAL)
SIGNS = {"succeeded": "✓", "partial": "!", "failed": "✕", "running": "…"}

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs somebody: `level` is `bad` or `warn`."""

    level: str
    title: str
    todo: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure; `level` is `good`, `warn`, `bad` or empty."""

    name: str
    value: str
    note: str
    level: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Failures of one code, the first few by path, and what to do."""

    code: str
    count: int
    todo: str
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One run in the strip."""

    status: str
    sign: str
    told: str


def view(found: Dashboard, *, refreshing: bool = True) -> Json:
    """Everything that the template shows."""
    figures = reliability(found.runs, found.now)
    needs = list(_needs(found))
    return {
        "now": found.now,
        "empty": not found.runs and not found.active and not found.unread,
        "refresh": (BUSY_SECONDS if found.active else IDLE_SECONDS) if refreshing else None,
        "headline": headline(found, needs),
        "needs": needs,
        "active": _active(found.active) if found.active else None,
        "strip": [_cell(run) for run in reversed(found.runs[:STRIP_RUNS])],
        "bad_runs": [_bad_run(r) for r in found.runs if r.status in BAD][:MOST_BAD_RUNS],
        "tiles": [*_run_tiles(found, figures), *_size_tiles(found.capacity)],
        "charts": [chart for chart in _charts(found) if chart],
        "last": found.last,
        "groups": groups(found.last["failures"], found.last["run_id"]) if found.last else [],
        "verified": _verified(found.verified, found.now),
        "credentials": [_credential(c, found.now.date()) for c in found.credentials],
        "restores": [_restore(r, found.now) for r in found.restores],
        "capacity": found.capacity,
        "unread": found.unread,
    }


def headline(found: Dashboard, needs: Sequence[Need]) -> tuple[str, str]:
    """The level and the words of the page's first line."""
    if any(need.level == "bad" for need in needs):
        return "bad", "The backup needs you"
    if needs:
        return "warn", "The backup works, with something to look at"
    if not any(run.status.final for run in found.runs):
        return ("", "The first backup is under way") if found.active else ("", "No backup yet")
    return "good", "Everything is backed up"


def ago(when: datetime, now: datetime) -> str:
    """How long ago, to the largest unit."""
    seconds = max((now - when).total_seconds(), 0)
    if seconds < 90:
        return "just now"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 2 * 86_400:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / 86_400:.0f} days ago"


def _needs(found: Dashboard) -> Iterator[Need]:
    """What needs somebody, the worst first."""
    needs = [*_run_needs(found), *_late(found), *_verification_needs(found), *_other_needs(found)]
    yield from sorted(needs, key=lambda need: need.level != "bad")


def _run_needs(found: Dashboard) -> Iterator[Need]:
    last = found.last
    if not last or last["status"] == RunStatus.SUCCEEDED:
        return
    if last["status"] == RunStatus.FAILED:
        said = last["error"] or "its row names no reason"
        yield Need(
            "bad", f"The last run failed: {said}", "Run ./backup doctor, put right what it names, then: ./backup sync"
        )
        return
    if last["failed"]:
        what = _many(last["failed"], "notebook or folder", "notebooks or folders")
        yield Need("warn", f"The last run could not bring in {what}", "See the reasons below, each with what to do.")
    if last["counts"]["held"]:
        held = _many(last["counts"]["held"], "deletion", "deletions")
        todo = f"Nothing was removed. If they were meant: ./backup sync --confirm-deletions {last['run_id']}"
        yield Need("warn", f"The last run held {held} back", todo)


def _late(found: Dashboard) -> Iterator[Need]:
    done = [r.started for r in found.runs if r.status in (RunStatus.SUCCEEDED, RunStatus.PARTIAL)]
    newest = max(done, default=None)
    if newest and found.now - newest > timedelta(hours=LATE_HOURS) and not found.active:
        todo = "See that the app runs and its timer daily_backup is on, then: ./backup sync"
        yield Need("bad", f"No backup for {ago(newest, found.now).removesuffix(' ago')}", todo)


def _verification_needs(found: Dashboard) -> Iterator[Need]:
    verified = found.verified
    if verified is None:
        return
    status = verified.last.get("status")
    if status == "failed":
        wrong = _many(len(verified.last["failures"]), "thing", "things")
        yield Need("bad", f"The last verification found {wrong} not as it must be", "See below, each with what to do.")
    elif status == "stopped":
        said = verified.last.get("error") or "no reason is known"
        yield Need(
            "warn", f"The last verification could not be done: {said}", "Run ./backup doctor, then: ./backup verify"
        )
    if verified.passed_at and found.now - verified.passed_at > timedelta(hours=VERIFIED_LATE_HOURS):
        since = ago(verified.passed_at, found.now).removesuffix(" ago")
        yield Need("warn", f"No verification passed for {since}", "Run ./backup verify, and see why the timer did not.")


def _other_needs(found: Dashboard) -> Iterator[Need]:
    level = Level((found.capacity or {}).get("level", Level.OK))
    if level is not Level.OK:
        near = "bad" if level is Level.CRITICAL else "warn"
        plan = (found.capacity or {})["archive_plan"]
        yield Need(near, str(plan["why"]), "./backup capacity explains the archive plan.")
    for one in found.credentials:
        days = (one.expires_on - found.now.date()).days if one.expires_on else None
        if days is not None and days <= EXPIRY_WARNING_DAYS:
            what = f"{one.name} has expired" if days < 0 else f"{one.name} expires in {_many(days, 'day', 'days')}"
            yield Need("bad" if days <= 3 else "warn", what, "./backup credentials shows who renews it, and how.")
    for name in found.unread:
        yield Need("warn", f"Could not be read: {name}", "Run ./backup doctor to check the storage account.")


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _active(run: Json) -> Json:
    shown = run["progress"]
    left = shown.get("remaining_seconds")
    return {
        "run_id": run["run_id"],
        "percent": shown["percent"],
        "phase": run["phase"],
        "rate": f"{shown['notebooks_per_second']:,.0f} notebooks/s" if shown["notebooks_per_second"] else None,
        "left": f"about {duration_text(left)} left" if left else None,
        "planned": run["planned"] or shown.get("planned"),
        "exported": shown.get("exported"),
        "failed": len(run["failures"]),
    }


def _cell(run: RunFact) -> Cell:
    took = f", {duration_text(run.seconds)}" if run.seconds is not None else ""
    lost = f", {run.failed:,} not brought in" if run.failed else ""
    return Cell(run.status, SIGNS[run.status], f"{time_text(run.started)}: {run.status}{took}{lost}")


def _run_tiles(found: Dashboard, figures: Reliability) -> Iterator[Tile]:
    done = next((r for r in found.runs if r.status in (RunStatus.SUCCEEDED, RunStatus.PARTIAL)), None)
    if done:
        level = {"succeeded": "good", "partial": "warn"}[done.status]
        yield Tile("Last backup", ago(done.started, found.now), f"{time_text(done.started)} UTC, {done.status}", level)
        yield Tile(
            "Notebooks",
            f"{done.notebooks:,}",
            f"backed up on {figures.days_backed_up} of {_many(figures.days, 'day', 'days')}",
        )
    yield from _duration_tile(found.runs)
    if figures.rate is not None:
        share = f"{figures.succeeded} of {figures.runs} in {DAYS} days; the target is {TARGET * 100:.1f} %"
        yield Tile("Runs that succeeded", _percent(figures.rate), share, "good" if figures.on_target else "warn")
    if figures.notebook_rate is not None:
        lost = f"{figures.notebooks - figures.notebooks_failed:,} of {figures.notebooks:,} in {DAYS} days"
        level = "good" if figures.notebook_rate >= TARGET else "warn"
        yield Tile("Notebooks brought in", _percent(figures.notebook_rate), lost, level)


def _bad_run(run: RunFact) -> Json:
    """A run that did not succeed, with why."""
    failed = f"{_many(run.failed, 'notebook or folder', 'notebooks or folders')} not brought in" if run.failed else None
    held = f"{_many(run.held, 'deletion', 'deletions')} held back" if run.held else None
    why = "; ".join(filter(None, (run.error, failed, held))) or "its row names no reason"
    return {"run_id": run.run_id, "status": run.status, "at": time_text(run.started), "why": why}


def _duration_tile(runs: Sequence[RunFact]) -> Iterator[Tile]:
    took = [r.seconds for r in runs if r.status.final and r.seconds is not None][:STRIP_RUNS]
    if took:
        middle = f"median of the last {len(took)} runs: {duration_text(median(took))}"
        note = middle if len(took) > 1 else "the only one so far"
        yield Tile("The last run took", duration_text(took[0]), note)


def _percent(share: float) -> str:
    """A share whose rounding never hides a failure: 100 % is said of everything alone."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.99):.2f} %".replace(".00 %", " %")


def _size_tiles(capacity: Json | None) -> Iterator[Tile]:
    if not capacity or not capacity["measured"]:
        return
    measured, advised, growth = capacity["measured"], capacity["advised_bytes"], capacity["growth"]
    level = {"ok": "good", "critical": "bad"}.get(capacity["level"], "warn")
    at_least = "at least " if measured["at_least"] else ""
    note = f"{capacity['share'] * 100:.1f} % of the advised {size_text(advised)}"
    yield Tile("Repository", at_least + size_text(measured["bytes"]), note, level)
    first = growth if growth["bytes_a_day"] is not None else capacity["assumed"]
    basis = f"at {size_text(growth['bytes_a_day'])} a day" if first is growth else "assuming 20 % a year"
    when = first["advised_on"]
    value = day_text(date.fromisoformat(when)) if when else "not in sight"
    yield Tile(f"{size_text(advised)} reached", value, basis, level)
    if copies := capacity["full_copies"]:
        note = (
            f"beside {size_text(copies['bytes'])} for {_many(copies['days'], 'daily full copy', 'daily full copies')}"
        )
        value = f"{copies['saving'] * 100:.0f} %" if copies["saving"] > 0 else "nothing yet"
        yield Tile("Saved by Git", value, note, "good" if copies["saving"] >= SAVING_TARGET else "")


def _charts(found: Dashboard) -> Iterator[Chart | None]:
    yield charts.durations(found.runs)
    yield charts.changes(changes_a_day(found.runs, found.now.date()))
    if found.capacity and found.capacity["measured"]:
        days = found.capacity["days"]
        points = [SizePoint(date.fromisoformat(d["day"]), d["bytes"], d["full_copy_bytes"]) for d in days]
        assumed = found.capacity["assumed"]["growth_a_year"]
        yield charts.sizes(points, found.capacity["growth"]["bytes_a_day"], assumed, found.capacity["advised_bytes"])


def groups(failures: Sequence[Json], run_id: str) -> list[Group]:
    """Failures by code, those with the most first."""
    by_code: dict[str, list[Json]] = {}
    for failure in failures:
        by_code.setdefault(failure["code"], []).append(failure)
    ranked = sorted(by_code.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Group(code, len(of), remedy(code, run_id), tuple((f["path"], f["reason"]) for f in of[:MOST_PATHS]))
        for code, of in ranked
    ]


def _verified(verified: Verified | None, now: datetime) -> Json | None:
    if verified is None:
        return None
    last = verified.last
    at = last.get("finished_at") or last.get("started_at")
    return {
        "status": last.get("status"),
        "at": f"{time_text(datetime.fromisoformat(str(at)))} UTC" if at else "unknown",
        "passed": ago(verified.passed_at, now) if verified.passed_at else None,
        "error": last.get("error"),
        "counts": {name: int(last.get(name) or 0) for name in ("files", "sampled", "read_back")},
        "groups": groups(last["failures"], "RUN"),
    }


def _credential(one: Credential, today: date) -> Json:
    if one.renews_itself:
        return {"name": one.name, "state": "renews itself", "level": "good"}
    if one.expires_on is None:
        state = f"expiry is not known: {one.missing}" if one.missing else "expiry is not known"
        return {"name": one.name, "state": state, "level": ""}
    days = (one.expires_on - today).days
    level = "bad" if days <= 3 else "warn" if days <= EXPIRY_WARNING_DAYS else "good"
    state = (
        f"expired on {day_text(one.expires_on)}"
        if days < 0
        else f"{day_text(one.expires_on)}, in {_many(days, 'day', 'days')}"
    )
    return {"name": one.name, "state": state, "level": level}


def _restore(restore: Json, now: datetime) -> Json:
    paths = restore["paths"]
    what = restore["folder"] or (paths[0] if len(paths) == 1 else _many(len(paths), "notebook", "notebooks"))
    return {
        "id": restore["id"],
        "what": f"Undo of {restore['undo_of']}" if restore["undo_of"] else what,
        "status": restore["status"],
        "who": restore["requested_by"],
        "at": ago(datetime.fromisoformat(restore["created_at"]), now),
        "notebooks": _many(restore["notebooks"], "notebook", "notebooks"),
    }
