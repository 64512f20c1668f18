"""The doctor, and what it looks with."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from shared.adapters.git_mirror import GitMirror
from shared.adapters.identity import Tokens
from shared.adapters.probes import SystemProbes
from shared.adapters.smtp_mail import SmtpAddress, SmtpMailer
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import Clock
from shared.services.doctor import Check, DoctorService
from shared.services.doctor_state import SettingFacts, Stored, state_checks
from shared.services.doctor_systems import Systems, system_checks
from shared.services.poison import PoisonService
from shared.settings import Settings
from shared.wiring.access import Credential
from shared.wiring.git import find_git

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.wiring.outside import Adapters
    from shared.wiring.stores import Stores

HOST_JSON = Path(__file__).resolve().parent.parent.parent / "host.json"
_TIMEOUT = urllib3.Timeout(connect=10, read=20)


def connect_probes(
    settings: Settings, authorization: Tokens, credential: Credential, workspace: DatabricksWorkspace, clock: Clock
) -> SystemProbes:
    """Probes of the systems that the settings name. Their git works in a mirror of its own."""
    mirror = settings.scratch / "doctor.git"
    return SystemProbes(
        workspace=workspace,
        host=settings.databricks_host,
        git=GitMirror(settings.git_remote_url, mirror, authorization, find_git(settings)),
        scratch=settings.scratch,
        host_json=HOST_JSON,
        clock=clock,
        mail=lambda: _greet(settings),
        vault=lambda: _open_vault(settings, credential()),
    )


def _greet(settings: Settings) -> str:
    if settings.mail_endpoint:
        with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as http:
            http.request("GET", settings.mail_endpoint, redirect=False)
        return "Communication Services answers; whether it takes mails shows at the first one"
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    return f"{SmtpMailer(SmtpAddress.parse(url), settings.mail_from).greet()} answers, and takes the sign-in"


def _open_vault(settings: Settings, credential: TokenCredential) -> str:
    # Loaded with the first look: it takes long.
    from shared.adapters.vault import vault_client

    with vault_client(str(settings.key_vault_uri), credential) as client:
        found = sum(1 for _ in client.list_properties_of_secrets())
    return f"the vault shows {found} secrets"


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
