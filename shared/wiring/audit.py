"""The services of the audit trail."""

from __future__ import annotations

from shared.services.audit.care import AuditCare
from shared.services.audit.proof import AnchorRules, AuditAnchors, AuditProof
from shared.services.audit.recorder import AnchorStore
from shared.services.audit.retention import AuditRetention
from shared.services.audit.rows import AuditRows
from shared.services.recovery.history import HistoryService
from shared.services.reporting.audit_access import AuditAccess
from shared.services.reporting.audit_report import AuditReports
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def audit_care(settings: Settings, a: Adapters, s: Stores) -> AuditCare:
    rows = AuditRows(a.tables)
    return AuditCare(
        proof=_proof(settings, a),
        retention=AuditRetention(rows, s.trail),
        clock=a.clock,
        keep_days=settings.audit_retention_days,
        budget_seconds=settings.step_budget_seconds / 2,
    )


def audit_access(settings: Settings, a: Adapters, s: Stores, history: HistoryService) -> AuditAccess:
    proof = _proof(settings, a)
    reports = AuditReports(proof=proof, history=history, clock=a.clock)
    return AuditAccess(rows=AuditRows(a.tables), proof=proof, reports=reports, recorder=s.recorder, blobs=a.blobs)


def _proof(settings: Settings, a: Adapters) -> AuditProof:
    kept = AnchorStore(a.anchors) if a.anchors else None
    rules = AnchorRules(settings.committer_email, settings.audit_foreign, settings.audit_lost)
    return AuditProof(AuditRows(a.tables), AuditAnchors(a.reader, kept, rules))
