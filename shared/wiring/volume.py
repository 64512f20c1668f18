"""The services that run beside an old volume, on the machine that has it: they talk to the Git remote themselves."""

from __future__ import annotations

from pathlib import Path

from shared.adapters.identity import AZURE_DEVOPS_SCOPE, GitAuthorization, entra_token, setting_token
from shared.adapters.private_folder import private_folder
from shared.adapters.repository import GitRepository
from shared.adapters.volume_copies import VolumeCopies
from shared.clock import SystemClock
from shared.redaction import redact_logs
from shared.services.volume.full_copy import CopyReader
from shared.services.volume.import_copies import VolumeImport
from shared.services.volume.parity_check import BackedUp, ParityCheck
from shared.settings import RemoteSettings
from shared.wiring.access import identity
from shared.wiring.git import find_git

IMPORT_BRANCH = "imported/volume"


def volume_import(folder: Path, branch: str | None, below: str, *, headerless: bool) -> VolumeImport:
    """An import of the copies in `folder` to `branch`, or, where it is None, to the backup's own branch.

    Raises `ValidationError` naming each wrong setting.
    """
    settings = RemoteSettings.model_validate({})
    volume = VolumeCopies(folder)
    return VolumeImport(
        volume=volume,
        reader=CopyReader(volume, settings.backup_root, below, headerless=headerless),
        repository=remote_repository(settings, branch or settings.backup_branch, "volume.git"),
        clock=SystemClock(),
        who=(settings.committer_name, settings.committer_email),
        root=settings.backup_root,
    )


def parity_check(folder: Path, below: str, app: BackedUp) -> tuple[VolumeCopies, ParityCheck]:
    """The copies in `folder`, and what compares one with the backup that `app` knows of."""
    settings = RemoteSettings.model_validate({})
    volume = VolumeCopies(folder)
    reader = CopyReader(volume, settings.backup_root, below, headerless=True)
    return volume, ParityCheck(reader, app, remote_repository(settings, settings.backup_branch, "parity.git"))


def remote_repository(settings: RemoteSettings, branch: str, mirror: str) -> GitRepository:
    """A branch of the remote, through a mirror of its own in the scratch folder."""
    redact_logs()
    private_folder(settings.scratch)
    secret = settings.git_token
    tokens = setting_token(secret) if secret else entra_token(AZURE_DEVOPS_SCOPE, identity(settings.identity_client_id))
    return GitRepository(
        settings.git_remote_url,
        branch,
        settings.scratch / mirror,
        GitAuthorization(tokens, basic=bool(secret)),
        git=find_git(settings),
        ca_file=settings.git_ca_file,
    )
