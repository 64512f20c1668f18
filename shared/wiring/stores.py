"""What the services keep their state in."""

from __future__ import annotations

from dataclasses import dataclass

from shared.services.audit.recorder import AnchorStore, Recorder
from shared.services.audit.trail import AuditTrail
from shared.services.state.batch_rows import BatchStore
from shared.services.state.findings import FindingStore
from shared.services.state.maintenance import MaintenanceStore
from shared.services.state.manifests import ManifestStore
from shared.services.state.restore_store import RestoreStore
from shared.services.state.run_acts import RunActs
from shared.services.state.runs import RunStore
from shared.services.state.version_log import VersionLog
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.shown_settings import shown_settings


@dataclass(frozen=True, slots=True)
class Stores:
    """What services keep their state in."""

    trail: AuditTrail
    recorder: Recorder
    acts: RunActs
    runs: RunStore
    findings: FindingStore
    batches: BatchStore
    manifests: ManifestStore
    versions: VersionLog
    maintenance: MaintenanceStore
    restores: RestoreStore

    @classmethod
    def over(cls, a: Adapters, settings: Settings) -> Stores:
        findings = FindingStore(a.blobs)
        trail = AuditTrail(a.tables, a.clock)
        anchors = AnchorStore(a.anchors) if a.anchors else None
        recorder = Recorder(trail, a.tables, shown_settings(settings), anchors)
        acts = RunActs(recorder, a.blobs)
        return cls(
            trail=trail,
            recorder=recorder,
            acts=acts,
            runs=RunStore(a.tables, a.queue, a.clock, acts),
            findings=findings,
            batches=BatchStore(a.tables, a.blobs, a.queue, findings),
            manifests=ManifestStore(a.blobs, a.tables, a.clock),
            versions=VersionLog(a.blobs),
            maintenance=MaintenanceStore(a.tables, a.queue, findings, a.clock, recorder),
            restores=RestoreStore(a.tables, a.blobs, a.clock, recorder, telemetry=a.telemetry),
        )
