"""What a run did, as records of the audit trail: each act once, by its key, however often a step is repeated.

The entries are made of what is stored: a step that is run again makes the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shared.domain.audit import AuditAction, AuditEntry, AuditResult, Detail
from shared.domain.batches import Failure, Notice
from shared.domain.runs import BatchStatus, RunStatus
from shared.domain.versions import CommitVersions
from shared.errors import DamagedBlob
from shared.protocols import BlobStore, Row
from shared.services.audit.export import SYSTEM
from shared.services.audit.recorder import Recorder
from shared.services.state.stored_plan import StoredPlan, load_plan

SETTLED = ("conflict_overruled", "branch_revived", "history_rewritten", "history_lost", "history_adopted")
SECRETS = ("secret_found", "secret_held")
_COUNTS = ("listed", "folders", "unchanged", "created", "changed", "renamed", "deleted", "conflict", "held", "failed")
_RESULT = {
    RunStatus.SUCCEEDED: AuditResult.DONE,
    RunStatus.PARTIAL: AuditResult.PARTIAL,
    RunStatus.FAILED: AuditResult.FAILED,
}


class RunActs:
    """Records the acts of runs."""

    def __init__(self, recorder: Recorder, blobs: BlobStore) -> None:
        self._recorder, self._blobs = recorder, blobs
        self._told: tuple[str, set[str]] = ("", set())

    def started(self, run_id: str, row: Row) -> None:
        """Record that a run began, and who asked for it."""
        self._recorder.record_all([_started(run_id, row)])

    def planned(self, run_id: str, plan: StoredPlan) -> None:
        """Record the listing, and deletions that are held."""
        unknown = plan.counts.get("unknown_folders", 0)
        result = AuditResult.PARTIAL if unknown else AuditResult.DONE
        listed = _entry(run_id, AuditAction.LISTED, "listed", detail=dict(plan.counts))
        entries = [replace(listed, result=result)]
        if plan.held:
            entries.append(_entry(run_id, AuditAction.DELETION_HELD, "held", detail=_paths(plan.held)))
        self._recorder.record_all(entries)

    def exported(self, run_id: str, rows: Mapping[str, Row]) -> None:
        """Record each batch that was exported, and each that was given up."""
        told = self._told[1] if self._told[0] == run_id else set()
        entries = [e for batch_id, row in rows.items() if (e := _exported(run_id, batch_id, row)) and e.key not in told]
        if entries:
            self._recorder.record_all(entries)
        self._told = (run_id, told | {e.key for e in entries})

    def pushed(self, run_id: str, commits: Sequence[CommitVersions]) -> None:
        """Record the commits that one push brought to the remote, each with its author, and the push."""
        entries = [_committed(run_id, commit) for commit in commits]
        last = commits[-1].mark
        detail: Detail = {"commits": len(commits), "sequence": last.sequence}
        entries.append(_entry(run_id, AuditAction.PUSHED, f"pushed {last.commit}", last.commit, detail))
        self._recorder.record_all(entries)

    def settled(self, run_id: str, row: Row, failures: Sequence[Failure], notices: Sequence[Notice]) -> None:
        """Record what a run that commits no more did: deletions, conflicts that it settled, secrets that it found."""
        found: list[Failure | Notice] = [*failures, *notices]
        entries = [_found(run_id, f) for f in found if f.code in (*SETTLED, *SECRETS)]
        if int(row.get("deleted") or 0):
            entries += self._deletions(run_id, lost=any(f.code == "plan_lost" for f in failures))
        if entries:
            self._recorder.record_all(entries)

    def ended(self, run_id: str, row: Row) -> None:
        """Record how a run ended, and that it began where that is not recorded; then anchor the trail."""
        status = RunStatus(str(row["status"]))
        detail: dict[str, str | int | float | bool | None] = {n: int(row.get(n) or 0) for n in _COUNTS}
        detail |= {n: row[n] for n in ("commit", "seconds", "error") if row.get(n)}
        ended = _entry(run_id, AuditAction.RUN_ENDED, "ended", detail=detail)
        self._recorder.record_all([_started(run_id, row), replace(ended, result=_RESULT[status])])
        self._recorder.anchor()

    def _deletions(self, run_id: str, *, lost: bool) -> Iterable[AuditEntry]:
        try:
            deletes = () if lost else load_plan(self._blobs, run_id).deletes
        except (KeyError, DamagedBlob):
            return
        if deletes:
            yield _entry(run_id, AuditAction.DELETED, "deleted", detail=_paths(deletes))


def _entry(run_id: str, action: AuditAction, key: str, name: str = "", detail: Detail | None = None) -> AuditEntry:
    return AuditEntry(action, SYSTEM, name or run_id, correlation=run_id, detail=detail or {}, key=key)


def _started(run_id: str, row: Row) -> AuditEntry:
    detail = {n: row[n] for n in ("trigger", "retry_of", "confirms") if row.get(n)} | asked_from(row)
    return replace(_entry(run_id, AuditAction.RUN_STARTED, "started", detail=detail), actor=actor_of(row))


def _committed(run_id: str, commit: CommitVersions) -> AuditEntry:
    name = commit.mark.commit
    detail: Detail = {"author": commit.author, "message": commit.message, "versions": len(commit.versions)}
    if restores := sorted({v.restore for v in commit.versions if v.restore}):
        detail = {**detail, "restores": "\n".join(restores)}
    return _entry(run_id, AuditAction.COMMITTED, f"committed {name}", name, detail)


def _exported(run_id: str, batch_id: str, row: Row) -> AuditEntry | None:
    """The record of a batch; None while it waits for its export."""
    if row["status"] == BatchStatus.FAILED:
        entry = _entry(run_id, AuditAction.EXPORTED, f"export failed {batch_id}", batch_id)
        return replace(entry, result=AuditResult.FAILED, detail={"failed": row.get("planned")})
    if not row.get("staged_at"):
        return None
    detail = {name: row.get(name) for name in ("notebooks", "failed", "notices", "bytes", "staged_at")}
    entry = _entry(run_id, AuditAction.EXPORTED, f"exported {batch_id} {row['staged_at']}", batch_id, detail)
    return replace(entry, result=AuditResult.PARTIAL) if row.get("failed") else entry


def _found(run_id: str, found: Failure | Notice) -> AuditEntry:
    action = AuditAction.SECRET_FOUND if found.code in SECRETS else AuditAction.CONFLICT_SETTLED
    detail = {"code": found.code, "reason": found.reason}
    return _entry(run_id, action, f"{found.code} {found.path}", found.path, detail)


def _paths(paths: Sequence[str]) -> Detail:
    """How many, and which; a long list is cut by the trail, with the hash of the whole."""
    return {"notebooks": len(paths), "paths": "\n".join(paths)}


def actor_of(row: Row) -> str:
    """Who asked for what a row stands for."""
    return str(row.get("requested_by") or SYSTEM)


def asked_from(row: Row) -> dict[str, str]:
    """From where, where that is known."""
    return {"from": str(row["requested_from"])} if row.get("requested_from") else {}
