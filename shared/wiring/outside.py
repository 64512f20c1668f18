"""The outside systems that the settings name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.adapters.change_log import AuditTable
from shared.adapters.git_folders import DatabricksGitFolders
from shared.adapters.identity import Tokens
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.storage import StorageClients, blobs_of_account
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import Clock, SystemClock
from shared.domain.devops_addresses import repository_api
from shared.domain.repository_links import RepositoryLinks
from shared.protocols import (
    BlobStore,
    ChangeLog,
    FolderBranches,
    GitFolders,
    Mailer,
    MessageBox,
    NoTelemetry,
    Probes,
    PullRequests,
    Queue,
    Repository,
    SizeMeter,
    Tables,
    Tags,
    Telemetry,
    TokenIssuer,
    Vault,
    Workspace,
)
from shared.redaction import remember
from shared.settings import Settings
from shared.wiring.access import Access, Credential, connect_vault, identity
from shared.wiring.deferred import deferred
from shared.wiring.git import find_git
from shared.wiring.messengers import connect_mailer, connect_telemetry
from shared.wiring.probes import connect_probes

if TYPE_CHECKING:
    from shared.adapters.repository import GitRepository


@dataclass(frozen=True, slots=True)
class Adapters:
    """The outside systems that the services are built on.

    `reader` is the repository again, through a mirror of its own: what people read is not in the committer's way.
    `changes` is None where no warehouse is set.
    `anchors` is the container that nobody can change, where there is one.
    `restoring` is the workspace again as restores may write to it, where they have an identity of their own.
    """

    workspace: Workspace
    repository: Repository
    reader: Repository
    meter: SizeMeter
    blobs: BlobStore
    queue: Queue
    box: MessageBox
    tables: Tables
    clock: Clock
    branches: FolderBranches
    tags: Tags
    git_folders: GitFolders
    changes: ChangeLog | None = None
    anchors: BlobStore | None = None
    mailer: Mailer | None = None
    probes: Probes | None = None
    telemetry: Telemetry = field(default_factory=NoTelemetry)
    restoring: Workspace | None = None
    vault: Vault | None = None
    databricks_tokens: TokenIssuer | None = None
    git_tokens: TokenIssuer | None = None
    pull_requests: PullRequests | None = None


def connect(settings: Settings) -> Adapters:
    """Adapters for the outside systems that the settings name; nothing is contacted yet."""
    clock = SystemClock()
    credential = identity(settings.identity_client_id)
    telemetry = connect_telemetry(settings, credential)
    limiter = AdaptiveLimiter(
        clock,
        max_per_second=settings.workspace_calls_per_second,
        max_in_flight=settings.workspace_threads,
        tell=lambda outcome: telemetry.count("backup.workspace.calls", outcome=outcome),
    )
    clients = _storage(settings, credential)
    vault = connect_vault(settings, credential)
    access = Access(settings, credential, vault, clock)

    def workspace_by(tokens: Tokens) -> DatabricksWorkspace:
        return DatabricksWorkspace(settings.databricks_host, tokens, limiter, clock)

    workspace, restore = workspace_by(access.workspace), access.restore
    restoring = workspace_by(restore) if restore else None
    writer = restoring or workspace
    warehouse = settings.databricks_warehouse_id
    repository = deferred(lambda: _repository(settings, access, "mirror.git"))
    return Adapters(
        workspace=workspace,
        repository=repository,
        reader=deferred(lambda: _repository(settings, access, "reader.git")),
        meter=deferred(lambda: _meter(settings, access)),
        blobs=deferred(lambda: clients.blobs(settings.container)),
        queue=deferred(clients.queues),
        box=deferred(clients.message_box),
        tables=deferred(clients.tables),
        clock=clock,
        branches=deferred(lambda: repository.branches()),
        # In a mirror of its own: git refuses a second fetch while one is under way.
        tags=deferred(lambda: _repository(settings, access, "tags.git").tags()),
        git_folders=_git_folders(settings, writer, access),
        changes=AuditTable(workspace, warehouse, clock, restoring) if warehouse else None,
        anchors=_anchors(settings, clients, credential),
        mailer=connect_mailer(settings, credential),
        probes=deferred(lambda: connect_probes(settings, access.repository, credential, workspace, clock)),
        telemetry=telemetry,
        restoring=restoring,
        vault=vault,
        databricks_tokens=access.databricks_issuer(),
        git_tokens=access.git_issuer(),
        pull_requests=_pull_requests(settings, access),
    )


def _repository(settings: Settings, access: Access, mirror: str) -> GitRepository:
    from shared.adapters.repository import GitRepository

    return GitRepository(
        settings.git_remote_url,
        settings.backup_branch,
        settings.scratch / mirror,
        access.repository,
        git=find_git(settings),
        ca_file=settings.git_ca_file,
    )


def _pull_requests(settings: Settings, access: Access) -> PullRequests | None:
    """None where the backup commits to its branch itself."""
    address = repository_api(settings.git_remote_url)
    if settings.commit_mode == "direct" or address is None:
        return None
    page = f"{RepositoryLinks.of(settings.git_remote_url).base or settings.git_remote_url}"
    return deferred(lambda: _devops_pull_requests(settings, access, address, page))


def _devops_pull_requests(settings: Settings, access: Access, address: str, page: str) -> PullRequests:
    from shared.adapters.devops_pull_requests import DevOpsPullRequests

    return DevOpsPullRequests(address, page, access.repository, ca_file=settings.git_ca_file)


def _meter(settings: Settings, access: Access) -> SizeMeter:
    from shared.adapters.repository_size import GitSizeMeter

    return GitSizeMeter(settings.git_remote_url, access.repository, ca_file=settings.git_ca_file)


def _git_folders(settings: Settings, workspace: DatabricksWorkspace, access: Access) -> DatabricksGitFolders:
    """Git folders are made by whoever may write to the workspace."""
    provider, email = settings.git_folder_provider, settings.committer_email
    return DatabricksGitFolders(workspace, settings.git_remote_url, provider, access.git_token, email)


def _storage(settings: Settings, credential: Credential) -> StorageClients:
    if settings.storage is not None:
        connection = settings.storage.get_secret_value()
        remember(dict(part.partition("=")[::2] for part in connection.split(";")).get("AccountKey", ""), keep=True)
        return StorageClients.from_connection_string(connection)
    uris = (settings.storage_blob_uri, settings.storage_queue_uri, settings.storage_table_uri)
    if not all(uris):
        raise ValueError("set AzureWebJobsStorage, or all three AzureWebJobsStorage__*ServiceUri settings")
    blob, queue, table = (str(uri) for uri in uris)
    return StorageClients.from_identity(blob, queue, table, credential)


def _anchors(settings: Settings, clients: StorageClients, credential: Credential) -> BlobStore | None:
    """The container that nobody can change, where there is one: in an account of its own, or the app's."""
    container, address = settings.audit_anchor_container, settings.audit_anchor_uri
    if container and address:
        return deferred(lambda: blobs_of_account(address, container, credential))
    return deferred(lambda: clients.blobs(container)) if container else None
