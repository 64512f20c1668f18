"""What a restore did, as a record of the audit trail: who asked for it, from where, and what came of it."""

from __future__ import annotations

from shared.domain.audit import AuditAction, AuditEntry, AuditResult
from shared.domain.canonical import Scalar
from shared.domain.restores import Outcome, RestoreKind, RestoreRequest, RestoreStatus
from shared.protocols import Row

_RESULT = {
    RestoreStatus.PLANNED: AuditResult.DONE,
    RestoreStatus.SUCCEEDED: AuditResult.DONE,
    RestoreStatus.PARTIAL: AuditResult.PARTIAL,
    RestoreStatus.FAILED: AuditResult.FAILED,
}
_COUNTS = ("notebooks", *(outcome.value for outcome in Outcome))


def ended(restore_id: str, request: RestoreRequest, status: RestoreStatus, row: Row) -> AuditEntry:
    """The record of a plan, restore or undo that is over; one for each way in which it may end."""
    detail: dict[str, Scalar] = {
        "from": request.requested_from,
        "at": request.at,
        "commit": request.commit,
        "kind": request.kind.value,
        "force": request.force,
        "remove_extra": request.remove_extra,
    }
    detail |= {name: int(row.get(name) or 0) for name in _COUNTS}
    named = {"target": request.target, "suffix": request.suffix, "undo_of": request.undo_of, "error": row.get("error")}
    detail |= {name: value for name, value in named.items() if value}
    if len(request.paths) > 1:
        detail["paths"] = "\n".join(request.paths)
    return AuditEntry(
        action=_action(request, status),
        actor=request.requested_by,
        object=request.folder or (request.paths[0] if len(request.paths) == 1 else f"{len(request.paths)} notebooks"),
        result=_RESULT[status],
        correlation=restore_id,
        detail=detail,
        key=f"ended {status.value}",
    )


def _action(request: RestoreRequest, status: RestoreStatus) -> AuditAction:
    if status is RestoreStatus.PLANNED:
        return AuditAction.PLANNED
    return AuditAction.RESTORE_UNDONE if request.kind is RestoreKind.UNDO else AuditAction.RESTORED
