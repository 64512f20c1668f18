"""The services that look after credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from shared.domain.credentials import CredentialKind
from shared.protocols import TokenIssuer
from shared.services.credentials.rotation import RotationService
from shared.services.credentials.secrets import CredentialSpec, CredentialStore
from shared.services.credentials.watch import CredentialWatch
from shared.services.reporting.mail import MailService
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


@dataclass(frozen=True, slots=True)
class Credentials:
    """The services of one process that look after credentials."""

    watch: CredentialWatch
    rotation: RotationService


def credential_services(settings: Settings, a: Adapters, s: Stores, mail: MailService) -> Credentials:
    specs = {spec.name: spec for spec in credential_specs(settings, a)}
    store = CredentialStore(a.tables)
    rotation = RotationService(
        specs=specs,
        vault=a.vault,
        vault_uri=settings.key_vault_uri or "",
        blobs=a.blobs,
        store=store,
        recorder=s.recorder,
        clock=a.clock,
        days=settings.token_days,
    )
    watch = CredentialWatch(
        specs=specs,
        vault=a.vault,
        store=store,
        rotation=rotation,
        recorder=s.recorder,
        warn=mail.credential_expires,
        telemetry=a.telemetry,
        clock=a.clock,
        rotate_days=settings.rotate_days,
    )
    return Credentials(watch, rotation)


def credential_specs(settings: Settings, a: Adapters) -> Sequence[CredentialSpec]:
    """What opens workspace and repository, as the settings have it; a restore's own where there is one."""
    s, databricks = settings, a.databricks_tokens
    workspace = _spec("workspace", "DATABRICKS_TOKEN", s.databricks_token_secret, s.databricks_token, databricks)
    repository = _spec("repository", "GIT_TOKEN", s.git_token_secret, s.git_token, a.git_tokens, personal=True)
    if a.restoring is None:
        return (workspace, repository)
    own = _spec("restore", "DATABRICKS_RESTORE_TOKEN", s.databricks_restore_token_secret, None, databricks)
    return (workspace, repository, own)


def _spec(
    name: str,
    setting: str,
    secret: str | None,
    token: SecretStr | None,
    issuer: TokenIssuer | None,
    *,
    personal: bool = False,
) -> CredentialSpec:
    label = name.capitalize()
    if secret:
        kind = CredentialKind.VAULT
        return CredentialSpec(name, f"{label} token", kind, f"{setting}_SECRET", secret, issuer, personal)
    if token is not None:
        kind, value = CredentialKind.SETTING, token.get_secret_value
        return CredentialSpec(name, f"{label} token", kind, setting, "", issuer, personal, value)
    return CredentialSpec(name, f"{label} identity", CredentialKind.IDENTITY)
