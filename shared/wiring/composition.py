"""Settings in, services out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.adapters.private_folder import private_folder
from shared.protocols import Telemetry
from shared.redaction import redact_logs
from shared.services.access.decisions import AccessService
from shared.services.access.form_tokens import FormTokens
from shared.services.audit.recorder import Recorder
from shared.services.backup.attribution import AttributionService
from shared.services.backup.drive import DriveService
from shared.services.backup.export import ExportService
from shared.services.backup.plan import PlanService
from shared.services.backup.publish import PublishService
from shared.services.backup.watch import WatchService
from shared.services.git_folders.service import GitFolderService
from shared.services.operations.doctor import DoctorService
from shared.services.operations.poison import PoisonService
from shared.services.operations.rebuild import RebuildService
from shared.services.operations.verify import VerifyService
from shared.services.recovery.compare import CompareService
from shared.services.recovery.content import ContentService
from shared.services.recovery.guarded_restores import GuardedRestores
from shared.services.recovery.history import HistoryService
from shared.services.recovery.restores import RestoreService
from shared.services.recovery.tags import TagService
from shared.services.reporting.audit_access import AuditAccess
from shared.services.reporting.capacity import CapacityService
from shared.services.reporting.dashboard import DashboardService
from shared.services.reporting.digests import DigestService
from shared.services.reporting.reports import ReportService
from shared.services.state.batch_rows import BatchStore
from shared.services.state.maintenance import MaintenanceStore
from shared.services.state.runs import RunStore
from shared.services.state.state_version import VersionedTables
from shared.services.state.status import StatusService
from shared.services.volume.parity import ParityService
from shared.settings import Settings
from shared.wiring.audit import audit_access
from shared.wiring.backup import (
    drive_service,
    export_service,
    plan_service,
    publish_service,
    rebuild_service,
    tree_lister,
    verify_service,
)
from shared.wiring.credentials import Credentials, credential_services
from shared.wiring.diagnosis import doctor_service
from shared.wiring.gate import access_service
from shared.wiring.git_folders import git_folder_service
from shared.wiring.insight import capacity_service, dashboard_service
from shared.wiring.messengers import write_logs
from shared.wiring.outside import Adapters, connect
from shared.wiring.parity import parity_service
from shared.wiring.people import attribution_service, digest_service, report_service
from shared.wiring.recovery import content_cache, history_service, restore_service, tag_service
from shared.wiring.stores import Stores
from shared.wiring.telling import WORK_QUEUES, Telling, telling


@dataclass(frozen=True, slots=True)
class Services:
    """What the entry points call."""

    runs: RunStore
    batches: BatchStore
    plan: PlanService
    export: ExportService
    drive: DriveService
    publication: PublishService | None
    maintenance: MaintenanceStore
    verify: VerifyService
    rebuild: RebuildService
    watch: WatchService
    status: StatusService
    doctor: DoctorService
    history: HistoryService
    tags: TagService
    attribution: AttributionService
    content: ContentService
    compare: CompareService
    restores: RestoreService
    recorder: Recorder
    audit: AuditAccess
    capacity: CapacityService
    dashboard: DashboardService
    reports: ReportService
    digests: DigestService
    parity: ParityService
    telling: Telling
    credentials: Credentials
    poison: PoisonService
    git_folders: GitFolderService
    telemetry: Telemetry
    access: AccessService
    form_tokens: FormTokens
    guarded_restores: GuardedRestores


_around: Callable[[Adapters], Adapters] = lambda adapters: adapters  # noqa: E731 - replaced by `decorate`


@functools.lru_cache(maxsize=1)
def services() -> Services:
    """The process's own services, from its environment. Raises `ValidationError` naming each wrong setting."""
    settings = Settings.model_validate({})
    redact_logs()
    adapters = _around(connect(settings))
    write_logs(settings, adapters.telemetry)
    return build(settings, adapters)


def decorate(around: Callable[[Adapters], Adapters]) -> None:
    """Have the process's own services built on adapters that `around` makes of the real ones."""
    global _around
    _around = around


def build(settings: Settings, adapters: Adapters) -> Services:
    """Services over the given adapters."""
    a = replace(adapters, tables=VersionedTables(adapters.tables, adapters.clock))
    private_folder(settings.scratch)
    pool = ThreadPoolExecutor(settings.workspace_threads, thread_name_prefix="workspace")
    s = Stores.over(a, settings)
    tags = tag_service(settings, a, s)
    history = history_service(settings, a, s, tags)
    attribution = attribution_service(settings, a, s, history)
    content = ContentService(history, a.reader, a.workspace, content_cache(settings))
    restores = restore_service(settings, a, pool, s, history, content)
    access = access_service(settings, a.clock)
    capacity = capacity_service(a, s, history)
    reports = report_service(settings, a, history, content)
    poison = PoisonService(WORK_QUEUES, a.queue, a.box, s.recorder)
    status = StatusService(s.runs, s.batches, a.clock)
    told = telling(settings, a, s, status, tags)
    credentials = credential_services(settings, a, s, told.mail)
    return Services(
        runs=s.runs,
        batches=s.batches,
        plan=plan_service(settings, a, pool, s),
        export=export_service(settings, a, pool, s),
        drive=drive_service(settings, a, pool, s, attribution),
        publication=publish_service(settings, a, s),
        maintenance=s.maintenance,
        verify=verify_service(settings, a, s),
        rebuild=rebuild_service(settings, a, pool, s),
        watch=WatchService(
            runs=s.runs, batches=s.batches, clock=a.clock, stall=timedelta(minutes=settings.stall_minutes)
        ),
        status=status,
        doctor=doctor_service(settings, a, s, poison),
        history=history,
        tags=tags,
        attribution=attribution,
        content=content,
        compare=CompareService(content),
        recorder=s.recorder,
        audit=audit_access(settings, a, s, history),
        restores=restores,
        capacity=capacity,
        dashboard=dashboard_service(a, s, restores, capacity, credentials.watch),
        reports=reports,
        digests=digest_service(settings, a, reports),
        parity=parity_service(a, s, history, capacity),
        telling=told,
        credentials=credentials,
        poison=poison,
        git_folders=git_folder_service(settings, a, pool, s, tree_lister(settings, a, pool)),
        telemetry=a.telemetry,
        access=access,
        form_tokens=FormTokens(a.blobs, a.clock),
        guarded_restores=GuardedRestores(restores, access, settings.backup_root),
    )
