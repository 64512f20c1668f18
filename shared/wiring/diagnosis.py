"""The doctor."""

from __future__ import annotations

from datetime import timedelta

from shared.services.operations.doctor import Check, DoctorService
from shared.services.operations.doctor_state import SettingFacts, Stored, state_checks
from shared.services.operations.doctor_systems import Systems, system_checks
from shared.services.operations.poison import PoisonService
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def doctor_service(settings: Settings, a: Adapters, s: Stores, poison: PoisonService) -> DoctorService:
    systems = Systems(
        workspace=a.workspace,
        repository=a.reader,
        blobs=a.blobs,
        queue=a.queue,
        box=a.box,
        tables=a.tables,
        clock=a.clock,
        root=settings.backup_root,
        changes=a.changes,
        anchors=a.anchors,
        probes=a.probes,
        has_mail=a.mailer is not None,
        has_vault=bool(settings.key_vault_uri),
        restoring=a.restoring,
        pull_requests=a.pull_requests,
        target=settings.git_branch,
    )
    stored = Stored(
        runs=s.runs,
        maintenance=s.maintenance,
        poison=poison,
        trail=s.trail,
        tables=a.tables,
        blobs=a.blobs,
        clock=a.clock,
        stall=timedelta(minutes=settings.stall_minutes),
        facts=_facts(settings),
        host=a.probes.host_settings if a.probes else None,
    )

    def checks() -> list[Check]:
        return [*system_checks(systems), *state_checks(stored)]

    return DoctorService(checks)


def _facts(settings: Settings) -> SettingFacts:
    addresses = {
        "DATABRICKS_HOST": settings.databricks_host,
        "GIT_REMOTE_URL": settings.git_remote_url,
        "AzureWebJobsStorage__blobServiceUri": settings.storage_blob_uri,
        "AzureWebJobsStorage__queueServiceUri": settings.storage_queue_uri,
        "AzureWebJobsStorage__tableServiceUri": settings.storage_table_uri,
        "KEY_VAULT_URI": settings.key_vault_uri,
        "BACKUP_MAIL_ENDPOINT": settings.mail_endpoint,
    }
    return SettingFacts(
        addresses={name: url for name, url in addresses.items() if url},
        guard_share=settings.deletion_guard_share,
        schedules={"BACKUP_SCHEDULE": settings.backup_schedule, "BACKUP_VERIFY_SCHEDULE": settings.verify_schedule},
        sends_mail=bool(settings.mail_from and (settings.smtp_url or settings.mail_endpoint)),
        mails_reach_somebody=bool(settings.mail_to.default or any(settings.mail_to.by_kind.values())),
    )
