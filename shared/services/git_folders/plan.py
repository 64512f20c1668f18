"""The plan of Git folders: a complete listing, cut, with what the outside systems say about it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from shared.domain.git_folders import Content, FolderPlanner, GitFolderPlan, Limits, Reason, unfit
from shared.errors import BackupError
from shared.protocols import GitFolders
from shared.services.git_folders.branches import FolderBranchService
from shared.services.git_folders.operations import OperationStore
from shared.services.git_folders.store import FolderState, GitFolderStore
from shared.services.state.listing import TreeLister
from shared.services.state.manifests import ManifestStore

ALWAYS_LOST = (
    "Revision history and comments in the workspace: the history is in Git from the first backup on.",
    "Object ids: what points at a notebook by its number (a schedule or a dashboard of the notebook itself, a link) "
    "points at what was set aside. Jobs name notebooks by path, and go on.",
    "Permissions of single objects: a Git folder has permissions as a whole.",
)
type Json = dict[str, Any]


class GitFolderPlanner:
    """Makes plans in time slices."""

    def __init__(
        self,
        *,
        lister: TreeLister,
        manifests: ManifestStore,
        host: GitFolders,
        linked: FolderBranchService,
        store: GitFolderStore,
        operations: OperationStore,
        limits: Limits,
        prefix: str,
        root: str,
        budget_seconds: float,
    ) -> None:
        self._lister, self._manifests, self._host, self._linked = lister, manifests, host, linked
        self._store, self._operations, self._limits = store, operations, limits
        self._prefix, self._root, self._budget = prefix, root, budget_seconds

    def make(self, identity: str) -> bool:
        """Make and keep an operation's plan; False where the time slice ended first. Raises `WorkspaceError`."""
        if self._operations.find(identity, "plan") is not None:
            return True
        listing = self._lister.list_tree(identity, self._root, self._budget)
        if listing is None:
            return False
        checkpoint = self._manifests.load()
        manifest = checkpoint.manifest if checkpoint else {}
        plan = FolderPlanner(listing, manifest, self._limits, self._prefix).plan()
        blocks = [*plan.blocks, *self.blocks(len(plan.folders), len(manifest))]
        if checkpoint is None:
            blocks.append(Reason("no_backup", "there is no backup yet: run `./backup sync` first"))
        self._operations.put(identity, "plan", self._shown(replace(plan, blocks=tuple(blocks))))
        return True

    def plan(self, identity: str) -> Json:
        """A plan that was made. Raises `KeyError`."""
        found: Json = self._operations.get(identity, "plan")
        return found

    def blocks(self, folders: int, notebooks: int) -> list[Reason]:
        """What has to be put right before anything is done: credentials, and the branch that a clone checks out."""
        found = []
        try:
            self._host.ensure_credential()
        except BackupError as error:
            found.append(Reason(error.code, str(error)))
        default, whole = self._linked.default_branch(), unfit(Content(notebooks=notebooks), self._limits)
        is_backup = default is not None and not default.startswith(self._prefix)
        if folders and is_backup and whole is not None and whole.code != "empty":
            home = self._linked.ensure_home()
            why = f"a Git folder is created on the default branch of the repository, {default}, with {whole.text}"
            text = f"{why}: make {home}, which is there and small, the default branch (docs/git-folders.md)"
            found.append(Reason("default_branch_too_large", text))
        return found

    def _shown(self, plan: GitFolderPlan) -> Json:
        known = {f.path: f for f in self._store.folders()}
        folders = []
        for folder in plan.folders:
            content = folder.content
            state = known[folder.path].state if folder.path in known else None
            counts = {"notebooks": content.notebooks, "bytes": content.size, "not_backed_up": len(content.new)}
            names = {"path": folder.path, "branch": folder.branch, "tree": folder.tree}
            folders.append({**names, **counts, "lost": dict(content.lost), "state": state or FolderState.LINKED.value})
        existing = [{"path": e.path, "notebooks": e.content.notebooks, "ours": e.path in known} for e in plan.existing]
        plain = [
            {"path": p.path, "notebooks": p.notebooks, "code": p.reason.code, "why": p.reason.text, "do": p.what_to_do}
            for p in plan.plain
        ]
        totals = {"folders": len(folders), "notebooks": plan.notebooks, "plain": sum(p.notebooks for p in plan.plain)}
        return {
            "root": plan.root,
            "limits": asdict(plan.limits),
            "totals": totals,
            "folders": folders,
            "existing": existing,
            "plain": plain,
            "blocks": [asdict(reason) for reason in plan.blocks],
            "lost": list(ALWAYS_LOST),
        }
