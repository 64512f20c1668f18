"""The services of a backup, a verification and a rebuild."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.protocols import SecretFinder
from shared.services.backup.attribution import AttributionService
from shared.services.backup.commit import CommitService
from shared.services.backup.commit_chain import CommitIdentity
from shared.services.backup.drive import DriveService
from shared.services.backup.export import ExportService
from shared.services.backup.plan import PlanService
from shared.services.backup.publish import PublishService
from shared.services.backup.retention import RetentionService
from shared.services.backup.secret_screen import SecretPolicy, SecretScreen
from shared.services.operations.rebuild import RebuildService
from shared.services.operations.stored_state import StoredStateCheck
from shared.services.operations.verify import VerifyService
from shared.services.state.listing import TreeLister
from shared.settings import Settings
from shared.wiring.audit import audit_care
from shared.wiring.deferred import deferred
from shared.wiring.git_folders import brought_store, folder_sync, git_folder_store
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def tree_lister(settings: Settings, a: Adapters, pool: ThreadPoolExecutor) -> TreeLister:
    return TreeLister(a.workspace, a.blobs, a.clock, pool, settings.workspace_threads)


def plan_service(settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: Stores) -> PlanService:
    return PlanService(
        lister=tree_lister(settings, a, pool),
        repository=a.repository,
        manifests=s.manifests,
        runs=s.runs,
        batches=s.batches,
        findings=s.findings,
        blobs=a.blobs,
        acts=s.acts,
        git_folders=git_folder_store(a),
        brought=brought_store(a),
        publication=publish_service(settings, a, s),
        root=settings.backup_root,
        guard_share=settings.deletion_guard_share,
        budget_seconds=settings.step_budget_seconds,
    )


def publish_service(settings: Settings, a: Adapters, s: Stores) -> PublishService | None:
    """None where the backup commits to its branch itself."""
    if settings.commit_mode == "direct" or a.pull_requests is None:
        return None
    return PublishService(
        repository=a.repository,
        branches=a.branches,
        requests=a.pull_requests,
        manifests=s.manifests,
        findings=s.findings,
        recorder=s.recorder,
        tables=a.tables,
        clock=a.clock,
        target=settings.git_branch,
        root=settings.backup_root,
        name=settings.committer_name,
        email=settings.committer_email,
    )


def _token_shapes() -> SecretFinder:
    from shared.adapters.secret_finder import TokenShapes

    return TokenShapes()


def export_service(settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: Stores) -> ExportService:
    screen = SecretScreen(deferred(_token_shapes), SecretPolicy(settings.found_tokens))
    return ExportService(a.workspace, a.blobs, s.batches, s.findings, a.clock, pool, settings.scratch, screen)


def drive_service(
    settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: Stores, attribution: AttributionService
) -> DriveService:
    return DriveService(
        commits=_commits(settings, a, s, attribution),
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
        acts=s.acts,
        folders=folder_sync(settings, a, pool, s),
        publication=publish_service(settings, a, s),
        clock=a.clock,
        chunk_notebooks=settings.commit_max_files,
        budget_seconds=settings.step_budget_seconds,
        give_up=timedelta(hours=settings.give_up_hours),
    )


def _commits(settings: Settings, a: Adapters, s: Stores, attribution: AttributionService) -> CommitService:
    identity = CommitIdentity(
        settings.committer_name,
        settings.committer_email,
        settings.databricks_host,
        settings.backup_root,
        settings.people,
    )
    return CommitService(
        repository=a.repository,
        blobs=a.blobs,
        manifests=s.manifests,
        versions=s.versions,
        runs=s.runs,
        batches=s.batches,
        findings=s.findings,
        attribution=attribution,
        acts=s.acts,
        clock=a.clock,
        scratch=settings.scratch,
        identity=identity,
        anchor=s.trail.anchor,
        max_files=settings.commit_max_files,
        max_bytes=settings.commit_max_megabytes * 2**20,
    )


def verify_service(settings: Settings, a: Adapters, s: Stores) -> VerifyService:
    return VerifyService(
        repository=a.repository,
        workspace=a.workspace,
        manifests=s.manifests,
        state=StoredStateCheck(a.blobs, s.runs, s.batches, s.findings, settings.scratch),
        audit=audit_care(settings, a, s),
        store=s.maintenance,
        clock=a.clock,
        days=settings.verify_days,
        read_back=settings.verify_read_back,
    )


def rebuild_service(settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: Stores) -> RebuildService:
    return RebuildService(
        lister=tree_lister(settings, a, pool),
        repository=a.repository,
        blobs=a.blobs,
        manifests=s.manifests,
        runs=s.runs,
        store=s.maintenance,
        root=settings.backup_root,
        budget_seconds=settings.step_budget_seconds,
    )
