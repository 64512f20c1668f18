"""The services of Git folders."""

from __future__ import annotations

from shared.services.git_folders_branches import FolderBranchService
from shared.services.git_folders_store import GitFolderStore
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
        findings=s.findings,
        blobs=a.blobs,
        prefix=settings.git_folder_branches,
    )
