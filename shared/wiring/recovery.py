"""The services of history and restores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.adapters.content_cache import ContentCache
from shared.adapters.version_index import SqliteVersionIndex
from shared.services.recovery.content import ContentService
from shared.services.recovery.history import HistoryService
from shared.services.recovery.restore_plan import RestorePlanner
from shared.services.recovery.restore_write import RestoreWriter
from shared.services.recovery.restores import RestoreService
from shared.services.recovery.tags import TagOptions, TagService
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores

PROVING_THREADS = 32


def tag_service(settings: Settings, a: Adapters, s: Stores) -> TagService:
    return TagService(
        tags=a.tags,
        runs=s.runs,
        manifests=s.manifests,
        tables=a.tables,
        recorder=s.recorder,
        clock=a.clock,
        options=TagOptions(
            settings.committer_name,
            settings.committer_email,
            settings.tag_retention_months,
            settings.databricks_host,
            settings.backup_root,
        ),
    )


def history_service(settings: Settings, a: Adapters, s: Stores, tags: TagService) -> HistoryService:
    return HistoryService(
        index=SqliteVersionIndex(settings.scratch / "history.sqlite"),
        log=s.versions,
        manifests=s.manifests,
        repository=a.reader,
        blobs=a.blobs,
        clock=a.clock,
        root=settings.backup_root,
        scratch=settings.scratch,
        tagged=tags.at,
    )


def content_cache(settings: Settings) -> ContentCache:
    return ContentCache(settings.scratch / "contents", settings.content_cache_megabytes * 2**20)


def restore_service(
    settings: Settings,
    a: Adapters,
    pool: ThreadPoolExecutor,
    s: Stores,
    history: HistoryService,
    content: ContentService,
) -> RestoreService:
    workspace = a.restoring or a.workspace
    return RestoreService(
        history=history,
        content=content,
        planner=RestorePlanner(history=history, content=content, manifests=s.manifests, workspace=workspace, pool=pool),
        writer=RestoreWriter(workspace, s.restores, ThreadPoolExecutor(PROVING_THREADS, thread_name_prefix="proving")),
        store=s.restores,
        workspace=workspace,
        blobs=a.blobs,
        clock=a.clock,
        pool=pool,
        budget_seconds=settings.step_budget_seconds,
        stall=timedelta(minutes=settings.stall_minutes),
    )
