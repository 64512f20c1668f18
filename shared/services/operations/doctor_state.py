"""Checks of what is stored and how the app is set: the last run, leases, poison queues, version, settings, host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from shared.clock import Clock
from shared.domain.runs import RunStatus
from shared.protocols import BlobStore, Row, Tables
from shared.services.audit.trail import AuditTrail
from shared.services.backup.commit import LEASE
from shared.services.operations.doctor import Check, Finding, Level
from shared.services.operations.poison import PoisonService
from shared.services.state.maintenance import Kind, MaintenanceStore
from shared.services.state.runs import RunStore, UnknownRun, time_of
from shared.services.state.state_version import STATE_VERSION, StateTooNew, stored_version

LATE = timedelta(hours=26)
VERIFICATION_LATE = timedelta(hours=50)
COMMON_GUARD = 0.5
LEASE_SECONDS = 15
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HOST_VALUES = {
    ("version",): "2.0",
    ("extensions", "http", "routePrefix"): "api",
    ("extensions", "queues", "messageEncoding"): "base64",
    ("extensions", "queues", "maxDequeueCount"): 5,
}
"""What the app relies on in `host.json`."""


@dataclass(frozen=True, slots=True)
class SettingFacts:
    """What of the settings is checked; `addresses` are those the app calls, by the setting's name."""

    addresses: Mapping[str, str]
    guard_share: float
    schedules: Mapping[str, str]
    sends_mail: bool
    mails_reach_somebody: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What is looked at."""

    runs: RunStore
    maintenance: MaintenanceStore
    poison: PoisonService
    trail: AuditTrail
    tables: Tables
    blobs: BlobStore
    clock: Clock
    stall: timedelta
    facts: SettingFacts
    host: Callable[[], Mapping[str, object]] | None = None


def state_checks(s: Stored) -> Sequence[Check]:
    """Every check of the stored state, then of the settings."""
    found = [
        Check("state version", lambda: _version(s), "deploy the version that wrote the state, or a later one"),
        Check("last run", lambda: _last_run(s), "./backup sync, and look at ./backup status"),
        Check("lease", lambda: _lease(s), "wait for BACKUP_STALL_MINUTES: the watchdog moves it on"),
        Check("committer", lambda: _committer(s), "wait a minute, and look again"),
        Check("poison queues", lambda: _poison(s), "./backup poison list (runbooks.md#poison-messages)"),
        Check("verification", lambda: _verification(s), "./backup verify (runbooks.md#verification-failed)"),
        Check("audit trail", lambda: _audit(s), "./backup audit --verify (compliance.md#verify-it)"),
        Check("settings", lambda: settings_finding(s.facts), "correct the app setting, and restart the app"),
    ]
    if s.host:
        host = s.host
        found.append(Check("host", lambda: host_finding(host()), "deploy host.json as it is in the repository"))
    return found


def _version(s: Stored) -> Finding:
    version = stored_version(s.tables)
    if version > STATE_VERSION:
        raise StateTooNew(version)
    told = "nothing is stored yet, or by a version from before versions" if not version else f"version {version}"
    return Finding(f"{told}; this app writes {STATE_VERSION}")


def _last_run(s: Stored) -> Finding:
    rows = s.runs.recent(60)
    if not rows:
        return Finding("no run yet", Level.WARNING, "./backup sync")
    newest = rows[0]
    good = [time_of(r.row, "finished_at") for r in rows if r.row.get("status") == RunStatus.SUCCEEDED]
    last = max((at for at in good if at), default=None)
    told = f"{newest.key} is {newest.row.get('status')}; {_ago('the last that succeeded ended', last, s.clock.now())}"
    if newest.row.get("status") == RunStatus.FAILED:
        error = newest.row.get("error") or "its row names no reason"
        return Finding(f"{told}: {error}", Level.FAILED, "see runbooks.md#run-failed")
    late = last is None or s.clock.now() - last > LATE
    return Finding(told, Level.WARNING if late and newest.row.get("status") != RunStatus.RUNNING else Level.OK)


def _ago(what: str, when: datetime | None, now: datetime) -> str:
    return f"{what} {(now - when).total_seconds() / 3600:.1f} h ago" if when else "none has ever succeeded"


def _lease(s: Stored) -> Finding:
    run_id = s.runs.active()
    if run_id is None:
        return Finding("no run holds the lease")
    try:
        row: Row = s.runs.get(run_id)
    except UnknownRun:
        return Finding(f"run {run_id} has the lease, and no row yet", Level.WARNING)
    moved = time_of(row, "updated_at")
    stands = moved is not None and s.clock.now() - moved > 2 * s.stall
    told = f"run {run_id} holds the lease, and is {row.get('status')} in its phase {row.get('phase')}"
    if not stands:
        return Finding(told)
    remedy = "see that the function watchdog is on and the app runs, then runbooks.md#no-success"
    return Finding(f"{told}; it has not moved for {2 * s.stall.total_seconds() / 60:.0f} min", Level.FAILED, remedy)


def _committer(s: Stored) -> Finding:
    lease = s.blobs.acquire_lease(LEASE, LEASE_SECONDS)
    if lease:
        s.blobs.release_lease(lease)
        return Finding("nobody commits")
    if s.runs.active():
        return Finding("a committer is at work")
    return Finding("the committer's lease is held, and no run is under way", Level.WARNING)


def _poison(s: Stored) -> Finding:
    found = s.poison.overview()
    waiting = len(found["messages"]) + found["hidden"]
    if not waiting:
        return Finding("no message waits there")
    return Finding(f"{waiting} messages failed at every delivery", Level.FAILED)


def _verification(s: Stored) -> Finding:
    over = [r for r in s.maintenance.recent(Kind.VERIFY) if r.get("status") in ("passed", "failed", "stopped")]
    if not over:
        return Finding("none yet: the timer starts one each day", Level.OK)
    last = over[0]
    told = f"{last['id']} {last['status']}"
    if last["status"] != "passed":
        return Finding(told, Level.FAILED)
    ended = time_of(last, "finished_at")
    late = ended is None or s.clock.now() - ended > VERIFICATION_LATE
    return Finding(told, Level.WARNING if late else Level.OK)


def _audit(s: Stored) -> Finding:
    return Finding(f"its head is record {s.trail.head().sequence}")


def settings_finding(facts: SettingFacts) -> Finding:
    """Settings that do not fit together, or leave a connection open."""
    wrong = [f"{name} is not https" for name, url in facts.addresses.items() if _is_open(url)]
    wrong += [f"{n} is no NCRONTAB schedule of six fields" for n, v in facts.schedules.items() if len(v.split()) != 6]
    if wrong:
        return Finding("; ".join(wrong), Level.FAILED)
    odd = []
    if facts.guard_share > COMMON_GUARD:
        odd.append(f"BACKUP_DELETION_GUARD_SHARE is {facts.guard_share:g}: lower it, and confirm deletions by run")
    if not facts.sends_mail:
        odd.append("no mail is sent: set BACKUP_MAIL_FROM with SMTP_URL or BACKUP_MAIL_ENDPOINT")
    elif not facts.mails_reach_somebody:
        odd.append("nobody gets a mail: set BACKUP_MAIL_TO")
    return Finding("; ".join(odd), Level.WARNING) if odd else Finding("they fit together")


def _is_open(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme != "https" and parts.hostname not in LOOPBACK


def host_finding(settings: Mapping[str, object]) -> Finding:
    """What of `host.json` is not as the app relies on it."""
    wrong = []
    for path, wanted in HOST_VALUES.items():
        value: object = settings
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if value != wanted:
            wrong.append(f"{'.'.join(path)} is {value!r}, not {wanted!r}")
    return Finding("; ".join(wrong), Level.FAILED) if wrong else Finding("host.json is as the app needs it")
