"""What the doctor looks with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from shared.adapters.git_mirror import GitMirror
from shared.adapters.identity import Tokens
from shared.adapters.probes import SystemProbes
from shared.adapters.smtp_mail import SmtpAddress, SmtpMailer
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import Clock
from shared.settings import Settings
from shared.wiring.access import Credential
from shared.wiring.git import find_git

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

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
