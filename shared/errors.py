"""Errors that people see. A class's docstring is its message; it says what to do."""

from __future__ import annotations

from shared.redaction import redact


class BackupError(Exception):
    """The backup could not go on: {detail}."""

    code = "backup_error"
    retriable = False

    def __init__(self, **fields: object) -> None:
        self.fields = {name: redact(value) if isinstance(value, str) else value for name, value in fields.items()}
        super().__init__(redact((type(self).__doc__ or "").split("\n\n")[0].format(**fields)))


class WorkspaceError(BackupError):
    """The workspace refused {path}: {error_code}: {detail}. Run `./backup doctor` to check its address and rights."""

    code = "workspace_error"


class WorkspaceUnavailable(WorkspaceError):
    """The workspace did not answer for {path}: {detail}. It is tried again; check its status page if this stays."""

    code = "workspace_unavailable"
    retriable = True


class NotFound(WorkspaceError):
    """The workspace has no {path}, or does not show it to the backup's identity: grant it CAN READ there."""

    code = "not_found"


class PermissionDenied(WorkspaceError):
    """The workspace denies {path} to the backup's identity: {detail}. Grant it CAN READ on the folder."""

    code = "permission_denied"


class TooLarge(WorkspaceError):
    """{path} is over the workspace's export limit: {detail}. Split the notebook or clear its outputs."""

    code = "too_large"


class RepositoryError(BackupError):
    """Git could not {action}: {detail}. Run `./backup doctor` to check the remote and its credentials."""

    code = "repository_error"
    retriable = True


class BadObjectId(BackupError):
    """{given} is no whole id of an object in Git. Give all 40 hexadecimal digits, as `./backup history` shows them."""

    code = "bad_object_id"


class PullRequestRefused(BackupError):
    """Azure DevOps refused to {action}: {detail}. Grant the backup's identity "Contribute to pull requests"."""

    code = "pull_request_refused"


class RemoteMoved(RepositoryError):
    """The branch moved while the commit was built ({detail}): the commit is built again on the new head."""

    code = "remote_moved"


class RunActive(BackupError):
    """A run is already under way: {run_id}. Wait for it, or look at it with `./backup status`."""

    code = "run_active"


class LeaseLost(BackupError):
    """The lease {name} is held by somebody else: this holder stops, and the other one finishes the work."""

    code = "lease_lost"
    retriable = True


class StateConflict(BackupError):
    """{name} was changed by somebody else at the same time. The step is run again from what is stored now."""

    code = "state_conflict"
    retriable = True


class DamagedBlob(BackupError):
    """The stored blob {name} is not what was written under this name. Run `./backup verify` to see what it holds."""

    code = "damaged_blob"


class VaultError(BackupError):
    """The vault did not give or take {name}: {detail}. Check KEY_VAULT_URI and the network between app and vault."""

    code = "vault_error"


class VaultUnavailable(VaultError):
    """The vault did not answer for {name}: {detail}. It is tried again; check its status and its network rules."""

    code = "vault_unavailable"
    retriable = True


class VaultRefused(VaultError):
    """The vault denies {name} to the backup's identity: {detail}. Grant Key Vault Secrets User; to rotate, Officer."""

    code = "vault_refused"


class SecretMissing(VaultError):
    """The vault holds no {name} that can be read: store it, or correct the setting that names it."""

    code = "secret_missing"


class IssuerRefused(BackupError):
    """The issuer of {name} refused to {action}: {detail}. Make a new token by hand, and store it in the vault."""

    code = "issuer_refused"


class IssuerUnavailable(BackupError):
    """The issuer of {name} did not answer to {action}: {detail}. It is tried again."""

    code = "issuer_unavailable"
    retriable = True


class VolumeUnreadable(BackupError):
    """The folder {folder} cannot be read: {detail}. Name the folder that holds the dated copies."""

    code = "volume_unreadable"
