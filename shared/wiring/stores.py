"""What the services keep their state in."""

from __future__ import annotations

from dataclasses import dataclass

from shared.services.audit_trail import AuditTrail
from shared.services.batch_rows import BatchStore
from shared.services.findings import FindingStore
from shared.services.maintenance import MaintenanceStore
from shared.services.manifests import ManifestStore
from shared.services.restore_store import RestoreStore
from shared.services.runs import RunStore
from shared.services.version_log import VersionLog
from shared.wiring.outside import Adapters


@dataclass(frozen=True, slots=True)
class Stores:
    """What services keep their state in."""

    runs: RunStore
    findings: FindingStore
    batches: BatchStore
    manifests: ManifestStore
    versions: VersionLog
    maintenance: MaintenanceStore
    restores: RestoreStore
    audit: AuditTrail

    @classmethod
    def over(cls, a: Adapters) -> Stores:
        findings = FindingStore(a.blobs)
        return cls(
            runs=RunStore(a.tables, a.queue, a.clock),
            findings=findings,
            batches=BatchStore(a.tables, a.blobs, a.queue, findings),
            manifests=ManifestStore(a.blobs, a.tables, a.clock),
            versions=VersionLog(a.blobs),
            maintenance=MaintenanceStore(a.tables, a.queue, findings, a.clock),
            restores=RestoreStore(a.tables, a.blobs, a.clock),
            audit=AuditTrail(a.tables, a.clock),
        )
