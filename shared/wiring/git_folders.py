"""The services of Git folders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.domain.git_folders import Limits
from shared.services.git_folders.aside import Aside
from shared.services.git_folders.branches import FolderBranchService
from shared.services.git_folders.brought import BroughtStore
from shared.services.git_folders.convert import FolderConverter
from shared.services.git_folders.edits import EditMerger
from shared.services.git_folders.kept import SnapshotStore
from shared.services.git_folders.operations import OperationStore
from shared.services.git_folders.plan import GitFolderPlanner
from shared.services.git_folders.rollback import FolderRollback
from shared.services.git_folders.service import GitFolderService
from shared.services.git_folders.standing import FolderLook
from shared.services.git_folders.store import GitFolderStore
from shared.services.git_folders.sync import FolderSync
from shared.services.git_folders.tree import FolderTrees
from shared.services.state.listing import TreeLister
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def git_folder_store(a: Adapters) -> GitFolderStore:
    return GitFolderStore(a.tables, a.clock)


def folder_branches(settings: Settings, a: Adapters, s: Stores) -> FolderBranchService:
    return FolderBranchService(
        branches=a.branches,
        store=git_folder_store(a),
        manifests=s.manifests,
        blobs=a.blobs,
        prefix=settings.git_folder_branches,
    )


def brought_store(a: Adapters) -> BroughtStore:
    return BroughtStore(a.blobs, a.clock)


def folder_trees(settings: Settings, a: Adapters, pool: ThreadPoolExecutor) -> FolderTrees:
    # As for restores: who reads for the backup need not have the right to write.
    return FolderTrees(a.restoring or a.workspace, pool, settings.scratch)


def folder_sync(settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: Stores) -> FolderSync:
    edits = EditMerger(
        branches=a.branches,
        repository=a.repository,
        brought=brought_store(a),
        clock=a.clock,
        name=settings.committer_name,
        email=settings.committer_email,
    )
    return FolderSync(
        host=a.git_folders,
        look=FolderLook(a.git_folders, a.branches, settings.backup_root),
        trees=folder_trees(settings, a, pool),
        following=folder_branches(settings, a, s),
        branches=a.branches,
        edits=edits,
        repository=a.repository,
        store=git_folder_store(a),
        brought=brought_store(a),
        manifests=s.manifests,
        findings=s.findings,
        recorder=s.recorder,
        blobs=a.blobs,
        clock=a.clock,
        pool=pool,
        prefix=settings.git_folder_branches,
    )


def git_folder_service(
    settings: Settings, a: Adapters, pool: ThreadPoolExecutor, s: Stores, lister: TreeLister
) -> GitFolderService:
    store, root = git_folder_store(a), settings.backup_root
    operations = OperationStore(a.tables, a.blobs, a.clock, s.recorder)
    linked = folder_branches(settings, a, s)
    limits = Limits(
        settings.git_folder_notebooks,
        settings.git_folder_files,
        settings.git_folder_megabytes * 2**20,
        settings.git_folders_most,
    )
    trees = folder_trees(settings, a, pool)
    kept = SnapshotStore(operations, a.git_folders, pool)
    aside = Aside(a.git_folders, trees, store, kept, root=root, aside_root=settings.aside)
    converter = FolderConverter(
        host=a.git_folders,
        trees=trees,
        aside=aside,
        branches=linked,
        store=store,
        operations=operations,
        kept=kept,
        manifests=s.manifests,
        runs=s.runs,
        limits=limits,
        prefix=settings.git_folder_branches,
        root=root,
    )
    rollback = FolderRollback(
        host=a.git_folders,
        trees=trees,
        aside=aside,
        store=store,
        operations=operations,
        kept=kept,
        begin_to_move=converter.begin_to_move,
    )
    planner = GitFolderPlanner(
        lister=lister,
        manifests=s.manifests,
        host=a.git_folders,
        linked=linked,
        store=store,
        operations=operations,
        limits=limits,
        prefix=settings.git_folder_branches,
        root=root,
        budget_seconds=settings.step_budget_seconds,
    )
    return GitFolderService(
        planner=planner,
        converter=converter,
        rollback=rollback,
        store=store,
        operations=operations,
        runs=s.runs,
        blobs=a.blobs,
        clock=a.clock,
        budget_seconds=settings.step_budget_seconds,
        stall=timedelta(minutes=settings.stall_minutes),
    )
