"""What each kind of mail says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.domain.advice import what_to_do
from shared.domain.mail import MailContent, MailKind, Section, Tone

MOST_NAMED = 50
"""Notebooks that a section names: a mail of a bad day stays readable."""
_COUNTS = ("created", "changed", "renamed", "deleted", "conflict", "held", "unchanged")
_GIB = 2**30
type Json = Mapping[str, Any]


def run_content(run: Json, link: str, place: str) -> MailContent:
    """Of a run that ended, as `GET /api/runs/{id}` shows it. `place` names what was backed up."""
    kind = MailKind(str(run["status"]))
    listed = int(run["notebooks"])
    named = _number(len(run["failures"]), "failure")
    if not run["failures"]:
        named = _number(int(run["counts"]["held"]), "held deletion")
    said = {
        MailKind.SUCCEEDED: (Tone.GOOD, "succeeded", f"All {listed:,} notebooks of {place} are in the repository."),
        MailKind.PARTIAL: (
            Tone.WARNING,
            f"partial: {named}",
            f"What is named below needs somebody. Everything else of {place} is in the repository.",
        ),
        MailKind.FAILED: (Tone.BAD, "failed", f"The run did not come to its end: {run['error'] or 'see its log'}"),
    }
    tone, outcome, summary = said[kind]
    return MailContent(
        kind,
        tone,
        subject=f"[Notebook backup] {outcome} ({place})",
        headline=f"Backup {outcome}",
        summary=summary,
        facts=_run_facts(run),
        sections=(*_failed_run(run), *_by_code(run["failures"], str(run["run_id"])), *_notices(run["notices"])),
        link=link,
    )


def held_content(run: Json, link: str, place: str) -> MailContent:
    """Of a run that held deletions back."""
    held = int(run["counts"]["held"])
    advice = (
        f"If the notebooks were removed on purpose: ./backup sync --confirm-deletions {run['run_id']} "
        "If not, find out who removed them: every one of them can be restored from the backup."
    )
    return MailContent(
        MailKind.DELETIONS_HELD,
        Tone.WARNING,
        subject=f"[Notebook backup] {_number(held, 'deletion')} held ({place})",
        headline=f"{_number(held, 'deletion')} held",
        summary=f"{_number(held, 'notebook')} gone from {place}: more than one run removes. The repository keeps them.",
        facts=_run_facts(run),
        sections=(Section("", advice),),
        link=link,
    )


def verification_content(found: Json, link: str, place: str) -> MailContent:
    """Of a verification that failed or was stopped, as `GET /api/verifications/{id}` shows it."""
    problems = len(found["failures"])
    stopped = found["status"] == "stopped"
    summary = f"{_number(problems, 'thing')} not as it must be; each is named below with what to do."
    if stopped:
        summary = f"The verification could not be done: {found.get('error') or 'see its log'}"
    names = ("files", "sampled", "read_back", "changed_since", "blobs", "runs")
    facts = [("Verification", str(found["id"])), ("Started", _moment(found.get("started_at")))]
    facts += [(name.replace("_", " ").capitalize(), f"{int(found[name]):,}") for name in names if name in found]
    outcome = "could not be done" if stopped else f"found {_number(problems, 'problem')}"
    advice = "Run ./backup doctor, put right what it names, then run ./backup verify"
    return MailContent(
        MailKind.VERIFICATION,
        Tone.BAD,
        subject=f"[Notebook backup] verification {outcome} ({place})",
        headline=f"Verification {outcome}",
        summary=summary,
        facts=tuple(facts),
        sections=(*((Section("", advice),) if stopped else ()), *_by_code(found["failures"])),
        link=link,
    )


def heartbeat_content(last: datetime | None, hours: float, runs: Sequence[Json], link: str, place: str) -> MailContent:
    """No run succeeded for longer than it may take. `runs` are the newest ones."""
    since = f"The last one ended {_moment(last.isoformat())}." if last else "None has ever succeeded."
    advice = "Look whether the function app runs, run ./backup doctor, then ./backup sync"
    newest = tuple((str(r["run_id"]), f"{r['status']}: {r.get('error') or 'no error'}") for r in runs)
    return MailContent(
        MailKind.HEARTBEAT,
        Tone.BAD,
        subject=f"[Notebook backup] no successful run in {hours:g} hours ({place})",
        headline=f"No successful run in {hours:g} hours",
        summary=f"{since} A run is due every day: changes since then may not be in the repository.",
        sections=(Section("", advice), *((Section("The newest runs", "", newest),) if newest else ())),
        link=link,
    )


def credential_content(name: str, expires: datetime, days_left: int, link: str, place: str) -> MailContent:
    """A credential that is about to expire. `name` says which one, and never what it is."""
    when = "has expired" if days_left < 0 else f"expires in {_number(days_left, 'day')}"
    return MailContent(
        MailKind.CREDENTIAL,
        Tone.BAD if days_left < 1 else Tone.WARNING,
        subject=f"[Notebook backup] {name} {when} ({place})",
        headline=f"{name} {when}",
        summary=f"It is good until {_moment(expires.isoformat())}. The backup fails after that.",
        sections=(Section("", "Run ./backup credentials: it says who renews it, and how. Then run ./backup doctor"),),
        link=link,
    )


def size_content(level: str, size: int, limit: int, days_left: float | None, link: str, place: str) -> MailContent:
    """A repository that comes near what is advised. `size` and `limit` are bytes."""
    when = "not within sight" if days_left is None else f"in about {days_left:,.0f} days"
    facts = (("Size", f"{size / _GIB:.2f} GiB"), ("Advised at most", f"{limit / _GIB:.2f} GiB"), ("Reached", when))
    return MailContent(
        MailKind.SIZE,
        Tone.BAD if size >= limit else Tone.WARNING,
        subject=f"[Notebook backup] repository size: {level} ({place})",
        headline=f"Repository at {100 * size / limit:.0f} % of the advised size",
        summary="The backup goes on. Plan for an archive before the advised size is reached.",
        facts=facts,
        sections=(Section("", "Run ./backup capacity: it shows the growth, and explains the archive plan."),),
        link=link,
    )


def _run_facts(run: Json) -> tuple[tuple[str, str], ...]:
    facts = [("Run", str(run["run_id"])), ("Started", _moment(run["started_at"]))]
    facts += [("Took", _duration(float(run["seconds"] or 0))), ("Notebooks", f"{int(run['notebooks']):,}")]
    facts += [(n.capitalize(), f"{int(run['counts'][n]):,}") for n in _COUNTS if int(run["counts"][n])]
    if run["failures"]:
        facts.append(("Failed", f"{len(run['failures']):,}"))
    if run["notebooks_per_second"]:
        facts.append(("Notebooks per second", f"{float(run['notebooks_per_second']):,.1f}"))
    return (*facts, ("Commit", str(run["commit"])[:12] if run["commit"] else "none"))


def _failed_run(run: Json) -> tuple[Section, ...]:
    if run["status"] != "failed":
        return ()
    advice = (
        "Nothing is lost: the next run starts from what the repository holds. Run ./backup doctor, put right what it "
        "names, then run ./backup sync"
    )
    return (Section("", advice),)


def _by_code(failures: Sequence[Json], run_id: str = "") -> tuple[Section, ...]:
    codes: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for failure in failures:
        codes[str(failure["code"])].append((str(failure["path"]), str(failure["reason"])))
    return tuple(
        Section(f"{len(found):,} × {code}", what_to_do(code, run_id), tuple(found[:MOST_NAMED]), _more(found))
        for code, found in sorted(codes.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    )


def _notices(notices: Sequence[Json]) -> tuple[Section, ...]:
    if not notices:
        return ()
    found = [(str(n["path"]), f"{n['code']}: {n['reason']}") for n in notices]
    return (Section(f"{len(found):,} × settled by itself", "", tuple(found[:MOST_NAMED]), _more(found)),)


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _more(found: Sequence[object]) -> int:
    return max(len(found) - MOST_NAMED, 0)


def _moment(text: object) -> str:
    return f"{str(text)[:16].replace('T', ' ')} UTC" if text else "unknown"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
