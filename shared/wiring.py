"""The one composition root: settings in, services out. A test swaps an adapter by argument."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential

from shared.adapters.content_cache import ContentCache
from shared.adapters.identity import databricks_token, git_authorization
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.repository import GitRepository
from shared.adapters.secret_finder import TokenShapes
from shared.adapters.storage import StorageClients
from shared.adapters.version_index import SqliteVersionIndex
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import Clock, SystemClock
from shared.protocols import BlobStore, Queue, Repository, Tables, Workspace
from shared.redaction import redact_logs, remember
from shared.services.batch_rows import BatchStore
from shared.services.commit import CommitIdentity, CommitService
from shared.services.compare import CompareService
from shared.services.content import ContentService
from shared.services.doctor import DoctorService
from shared.services.drive import DriveService
from shared.services.export import ExportService
from shared.services.findings import FindingStore
from shared.services.history import HistoryService
from shared.services.listing import TreeLister
from shared.services.maintenance import MaintenanceStore
from shared.services.manifests import ManifestStore
from shared.services.plan import PlanService
from shared.services.rebuild import RebuildService
from shared.services.restore_plan import RestorePlanner
from shared.services.restore_store import RestoreStore
from shared.services.restore_write import RestoreWriter
from shared.services.restores import RestoreService
from shared.services.retention import RetentionService
from shared.services.runs import RunStore
from shared.services.secret_screen import SecretPolicy, SecretScreen
from shared.services.status import StatusService
from shared.services.stored_state import StoredStateCheck
from shared.services.verify import VerifyService
from shared.services.version_log import VersionLog
from shared.services.watch import WatchService
from shared.settings import Settings

PROVING_THREADS = 32


@dataclass(frozen=True, slots=True)
class Adapters:
    """The outside systems that the services are built on.

    `reader` is the repository again, through a mirror of its own: what people read is not in the committer's way.
    """

    workspace: Workspace
    repository: Repository
    reader: Repository
    blobs: BlobStore
    queue: Queue
    tables: Tables
    clock: Clock


@dataclass(frozen=True, slots=True)
class Services:
    """What the entry points call."""

    runs: RunStore
    batches: BatchStore
    plan: PlanService
    export: ExportService
    drive: DriveService
    maintenance: MaintenanceStore
    verify: VerifyService
    rebuild: RebuildService
    watch: WatchService
    status: StatusService
    doctor: DoctorService
    history: HistoryService
    content: ContentService
    compare: CompareService
    restores: RestoreService


_around: Callable[[Adapters], Adapters] = lambda adapters: adapters  # noqa: E731 - replaced by `decorate`


@functools.lru_cache(maxsize=1)
def services() -> Services:
    """The process's own services, from its environment. Raises `ValidationError` naming each wrong setting."""
    settings = Settings.model_validate({})
    redact_logs()
    return build(settings, _around(connect(settings)))


def decorate(around: Callable[[Adapters], Adapters]) -> None:
    """Have the process's own services built on adapters that `around` makes of the real ones."""
    global _around
    _around = around


def connect(settings: Settings) -> Adapters:
    """Adapters for the outside systems that the settings name; nothing is contacted yet."""
    clock = SystemClock()
    credential = _credential(settings)
    limiter = AdaptiveLimiter(
        clock, max_per_second=settings.workspace_calls_per_second, max_in_flight=settings.workspace_threads
    )
    clients = _storage(settings, credential)
    return Adapters(
        workspace=DatabricksWorkspace(
            settings.databricks_host, databricks_token(settings.databricks_token, credential), limiter, clock
        ),
        repository=_repository(settings, credential, "mirror.git"),
        reader=_repository(settings, credential, "reader.git"),
        blobs=clients.blobs(settings.container),
        queue=clients.queues(),
        tables=clients.tables(),
        clock=clock,
    )


def _repository(settings: Settings, credential: Callable[[], TokenCredential], mirror: str) -> GitRepository:
    return GitRepository(
        settings.git_remote_url,
        settings.git_branch,
        settings.scratch / mirror,
        git_authorization(settings.git_token, credential),
        git_executable=settings.git_executable,
    )


def build(settings: Settings, adapters: Adapters) -> Services:
    """Services over the given adapters."""
    a = adapters
    settings.scratch.mkdir(parents=True, exist_ok=True)
    pool = ThreadPoolExecutor(settings.workspace_threads, thread_name_prefix="workspace")
    s = _Stores.over(a)
    history = _history(settings, a, s)
    content = ContentService(history, a.reader, a.workspace, _cache(settings))
    return Services(
        runs=s.runs,
        batches=s.batches,
        plan=_plan(settings, a, pool, s),
        export=_export(settings, a, pool, s),
        drive=_drive(settings, a, s),
        maintenance=s.maintenance,
        verify=_verify(settings, a, s),
        rebuild=_rebuild(settings, a, pool, s),
        watch=WatchService(
            runs=s.runs, batches=s.batches, clock=a.clock, stall=timedelta(minutes=settings.stall_minutes)
        ),
        status=StatusService(s.runs, s.batches, a.clock),
        doctor=DoctorService(settings.backup_root, a),
        history=history,
        content=content,
        compare=CompareService(content),
        restores=_restores(settings, a, pool, s, history, content),
    )


@dataclass(frozen=True, slots=True)
class _Stores:
    """What services keep their state in."""

    runs: RunStore
    findings: FindingStore
    batches: BatchStore
    manifests: ManifestStore
    versions: VersionLog
    maintenance: MaintenanceStore
    restores: RestoreStore

    @classmethod
    def over(cls, a: Adapters) -> _Stores:
        findings = FindingStore(a.blobs)
        return cls(
            runs=RunStore(a.tables, a.queue, a.clock),
            findings=findings,
            batches=BatchStore(a.tables, a.blobs, a.queue, findings),
            manifests=ManifestStore(a.blobs, a.tables, a.clock),
            versions=VersionLog(a.blobs),
            maintenance=MaintenanceStore(a.tables, a.queue, findings, a.clock),
            restores=RestoreStore(a.tables, a.blobs, a.clock),
        )


def _history(settings: Settings, a: Adapters, s: _Stores) -> HistoryService:
    return HistoryService(
        index=SqliteVersionIndex(settings.scratch / "history.sqlite"),
        log=s.versions,
        manifests=s.manifests,
        repository=a.reader,
        blobs=a.blobs,
        clock=a.clock,
        root=settings.backup_root,
        scratch=settings.scratch,
    )


def _cache(settings: Settings) -> ContentCache:
    return ContentCache(settings.scratch / "contents", settings.content_cache_megabytes * 2**20)


def _restores(
    settings: Settings,
    a: Adapters,
    pool: ThreadPoolExecutor,
    s: _Stores,
    history: HistoryService,
    content: ContentService,
) -> RestoreService:
    return RestoreService(
        history=history,
        content=content,
        planner=RestorePlanner(
            history=history, content=content, manifests=s.manifests, workspace=a.workspace, pool=pool
        ),
        writer=RestoreWriter(
            a.workspace, s.restores, ThreadPoolExecutor(PROVING_THREADS, thread_name_prefix="proving")
        ),
        store=s.restores,
        workspace=a.workspace,
        blobs=a.blobs,
        clock=a.clock,
        pool=pool,
        budget_seconds=settings.step_budget_seconds,
        stall=timedelta(minutes=settings.stall_minutes),
    )


def _lister(settings: Settings, a: Adapters, pool: ThreadPoolExecutor) -> TreeLister:
    return TreeLister(a.workspace, a.blobs, a.clock, pool, settings.workspace_threads)


def _export(settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: _Stores) -> ExportService:
    screen = SecretScreen(TokenShapes(), SecretPolicy(settings.found_tokens))
    return ExportService(a.workspace, a.blobs, s.batches, s.findings, a.clock, pool, settings.scratch, screen)


def _plan(settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: _Stores) -> PlanService:
    return PlanService(
        lister=_lister(settings, a, pool),
        repository=a.repository,
        manifests=s.manifests,
        runs=s.runs,
        batches=s.batches,
        findings=s.findings,
        blobs=a.blobs,
        root=settings.backup_root,
        guard_share=settings.deletion_guard_share,
        budget_seconds=settings.step_budget_seconds,
    )


def _drive(settings: Settings, a: Adapters, s: _Stores) -> DriveService:
    return DriveService(
        commits=_commits(settings, a, s),
        runs=s.runs,
        batches=s.batches,
        retention=RetentionService(
            a.blobs,
            s.batches,
            s.manifests,
            s.restores,
            a.clock,
            staging_days=settings.staging_retention_days,
            manifest_days=settings.manifest_retention_days,
            restore_days=settings.restore_retention_days,
        ),
        clock=a.clock,
        chunk_notebooks=settings.commit_max_files,
        budget_seconds=settings.step_budget_seconds,
        give_up=timedelta(hours=settings.give_up_hours),
    )


def _commits(settings: Settings, a: Adapters, s: _Stores) -> CommitService:
    identity = CommitIdentity(
        settings.committer_name, settings.committer_email, settings.databricks_host, settings.backup_root
    )
    return CommitService(
        repository=a.repository,
        blobs=a.blobs,
        manifests=s.manifests,
        versions=s.versions,
        runs=s.runs,
        batches=s.batches,
        findings=s.findings,
        clock=a.clock,
        scratch=settings.scratch,
        identity=identity,
        max_files=settings.commit_max_files,
        max_bytes=settings.commit_max_megabytes * 2**20,
    )


def _verify(settings: Settings, a: Adapters, s: _Stores) -> VerifyService:
    return VerifyService(
        repository=a.repository,
        workspace=a.workspace,
        manifests=s.manifests,
        state=StoredStateCheck(a.blobs, s.runs, s.batches, s.findings, settings.scratch),
        store=s.maintenance,
        clock=a.clock,
        days=settings.verify_days,
        read_back=settings.verify_read_back,
    )


def _rebuild(settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: _Stores) -> RebuildService:
    return RebuildService(
        lister=_lister(settings, a, pool),
        repository=a.repository,
        blobs=a.blobs,
        manifests=s.manifests,
        runs=s.runs,
        store=s.maintenance,
        root=settings.backup_root,
        budget_seconds=settings.step_budget_seconds,
    )


def _credential(settings: Settings) -> Callable[[], TokenCredential]:
    """azure-identity's credential, made when first needed: a local run never asks for one."""
    return functools.lru_cache(maxsize=1)(
        lambda: DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)
    )


def _storage(settings: Settings, credential: Callable[[], TokenCredential]) -> StorageClients:
    if settings.storage is not None:
        connection = settings.storage.get_secret_value()
        remember(dict(part.partition("=")[::2] for part in connection.split(";")).get("AccountKey", ""))
        return StorageClients.from_connection_string(connection)
    uris = (settings.storage_blob_uri, settings.storage_queue_uri, settings.storage_table_uri)
    if not all(uris):
        raise ValueError("set AzureWebJobsStorage, or all three AzureWebJobsStorage__*ServiceUri settings")
    blob, queue, table = (str(uri) for uri in uris)
    return StorageClients.from_identity(blob, queue, table, credential())
