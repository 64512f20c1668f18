"""Making a Git folder of a folder, step by step: each can die and be run again, and what fails is rolled back.

The row's `step` names what is about to be done. From `ASIDE` on the contents may stand half here and half there:
the row says so before (`moving`), a backup that begins meanwhile leaves the folder out, and a conversion does not
begin to move while a backup is under way.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from shared.domain.audit import AuditAction, AuditResult
from shared.domain.folder_branches import branch_name
from shared.domain.git_folders import LOST_KINDS, Content, Limits, Seen, edited_since, unfit
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.names import EXTENSION
from shared.domain.notebooks import ExportFormat, ObjectType
from shared.errors import BackupError, WorkspaceError
from shared.protocols import GitFolders, RemoteFolder
from shared.services.git_folders.aside import Aside
from shared.services.git_folders.branches import FolderBranchService
from shared.services.git_folders.kept import Snapshot, SnapshotStore
from shared.services.git_folders.operations import Operation, OperationStore, Outcome
from shared.services.git_folders.proof import SecondCheckout
from shared.services.git_folders.store import FolderState, GitFolder, GitFolderStore
from shared.services.git_folders.tree import FolderTrees, Tree
from shared.services.state.manifests import ManifestStore
from shared.services.state.runs import RunStore

MOST_SWEPT = 5
"""Times that somebody may make a folder at the place of one that was set aside."""
TOUCHED = Seen(0, 0, None)
"""Instead of how a listing saw a notebook after the checkout: people had edited or removed it by then."""
_log = logging.getLogger("backup.gitfolders")


class Step(StrEnum):
    """The steps of a conversion, in order."""

    CHECK = "check"
    BRANCH = "branch"
    ASIDE = "aside"
    CREATE = "create"
    PERMISSIONS = "permissions"
    COMPARE = "compare"
    KEEP_EDITS = "keep_edits"


class Refused(BackupError):
    """{path} is not made a Git folder: {reason}."""

    code = "git_folder_refused"


class Stale(BackupError):
    """{path} changed since the last backup ({what}): it is tried again after the next one."""

    code = "changed_since_backup"


class Differs(BackupError):
    """{path} came out of Git otherwise than it was ({what}): it is put back as it was."""

    code = "git_folder_differs"


class BackupActive(BackupError):
    """A backup is under way: the folder is left alone until it is over."""

    code = "backup_active"
    retriable = True


class LastBackup:
    """The manifest of the last backup, read once for all the folders of a time slice."""

    def __init__(self, manifests: ManifestStore) -> None:
        self._manifests = manifests
        self._known: tuple[str | None, Manifest] | None = None

    def entries(self) -> Manifest:
        """Its entries by path; empty before the first backup. Raises as `ManifestStore.load`."""
        name = self._manifests.current_name()
        if self._known is None or self._known[0] != name:
            found = self._manifests.load()
            self._known = (name, found.manifest if found else {})
        return self._known[1]

    def forget(self) -> None:
        """Let go of it: it takes some 600 bytes of memory for each notebook."""
        self._known = None


class FolderConverter:
    """Works on one folder at a time."""

    def __init__(
        self,
        *,
        host: GitFolders,
        trees: FolderTrees,
        aside: Aside,
        branches: FolderBranchService,
        store: GitFolderStore,
        operations: OperationStore,
        kept: SnapshotStore,
        manifests: ManifestStore,
        runs: RunStore,
        limits: Limits,
        prefix: str,
        root: str,
    ) -> None:
        self._host, self._trees, self._aside, self._branches = host, trees, aside, branches
        self._second, self._last = SecondCheckout(host, trees), LastBackup(manifests)
        self._store, self._operations, self._kept = store, operations, kept
        self._runs, self._limits, self._prefix, self._root = runs, limits, prefix, root
        self._steps: dict[Step, Callable[[Operation, GitFolder], Step | None]] = {
            Step.CHECK: self._check,
            Step.BRANCH: self._branch,
            Step.ASIDE: self._set_aside,
            Step.CREATE: self._create,
            Step.PERMISSIONS: self._permissions,
            Step.COMPARE: self._compare,
            Step.KEEP_EDITS: self._keep_edits,
        }

    def convert(self, operation: Operation, path: str) -> tuple[Outcome, str]:
        """Convert a folder, or go on with it, and say why it was not; `ROLLED_BACK`: its way back has to be gone.

        Raises `BackupActive`, `LeaseLost` and other passing errors: the step is run again.
        """
        known = self._store.find(path)
        if known and known.state is FolderState.CONVERTED:
            # By this very operation where its process died before it said so.
            return (Outcome.CONVERTED if known.text("operation") == operation.id else Outcome.UNCHANGED), ""
        step: Step | None = Step.CHECK
        if known and known.state is FolderState.CONVERTING and known.text("operation") == operation.id:
            step = Step(known.step or Step.CHECK)
        while step is not None:
            try:
                step = self._steps[step](operation, self._row(path))
            except BackupError as error:
                if error.retriable:
                    raise
                return self._failed(path, error), str(error)
            if step:
                self._store.update(path, step=step.value)
        self._operations.record(operation, AuditAction.FOLDER_CONVERTED, path, AuditResult.DONE, **self._told(path))
        self._store.update(path, state=FolderState.CONVERTED.value, step=None, moving=False, error=None)
        return Outcome.CONVERTED, ""

    def forget(self) -> None:
        """Let go of what was kept in memory for the next folder."""
        self._last.forget()

    def check(self, path: str, *, accept_losses: bool) -> Snapshot:
        """The dry run: everything that can be known before anything is touched.

        Raises `Refused`, `Stale`, and what the adapters raise.
        """
        there = self._trees.at(path)
        if there is None or there.object_type is not ObjectType.DIRECTORY or not self._is_inside(path):
            raise Refused(path=path, reason="it is no plain folder below the backup's root")
        tree = self._trees.read(path)
        entries = self._last.entries()
        found = {rel: entries.get(f"{path}/{rel}") for rel in tree.notebooks()}
        content = _content(tree, found)
        if reason := unfit(content, self._limits):
            raise Refused(path=path, reason=reason.text)
        below = {p[len(path) + 1 :]: e for p, e in entries.items() if p.startswith(f"{path}/")}
        if what := edited_since(tree.seen(), below):
            raise Stale(path=path, what=what)
        held = {rel: entry for rel, entry in found.items() if entry}
        snapshot = Snapshot.of(path, tree, held, *self._kept.read_grants(tree))
        start = f"{snapshot.tree}/" if snapshot.tree else ""
        if strange := [rel for rel, e in held.items() if e.file != f"{start}{rel}{EXTENSION[e.language]}"]:
            raise Refused(path=path, reason=f"Git would show {strange[0]} under another name")
        if content.lost and not accept_losses:
            told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(content.lost.items()))
            raise Refused(path=path, reason=f"it holds {told}, which do not come into Git: accept the losses")
        if snapshot.inner and not accept_losses:
            text = (
                f"{len(snapshot.inner)} objects in it have permissions of their own, which a Git folder does not have"
            )
            raise Refused(path=path, reason=f"{text} ({next(iter(snapshot.inner))}): accept the losses")
        return snapshot

    def _is_inside(self, path: str) -> bool:
        return path == self._root or path.startswith(f"{self._root}/")

    def _row(self, path: str) -> GitFolder:
        found = self._store.find(path)
        return found or GitFolder(path, "", "", FolderState.LINKED)

    def _check(self, operation: Operation, folder: GitFolder) -> Step:
        if folder.text("operation") == operation.id and self._kept.find(operation.id, folder.path):
            return Step.BRANCH
        snapshot = self.check(folder.path, accept_losses=operation.request.accept_losses)
        branch = branch_name(self._prefix, snapshot.tree)
        self._kept.save(operation.id, snapshot)
        self._store.link(folder.path, snapshot.tree, branch)
        aside = self._aside.place(operation.id, folder.path)
        fresh = {"aside": aside, "repo_id": None, "moved": None, "error": None, "late": None}
        state = FolderState.CONVERTING.value
        self._store.update(folder.path, state=state, operation=operation.id, notebooks=len(snapshot.notebooks), **fresh)
        return Step.BRANCH

    def _branch(self, operation: Operation, folder: GitFolder) -> Step:
        """The branch must show what the snapshot holds: proved by the hashes of its files."""
        told = self._branches.advance([folder.path])
        row = self._store.get(folder.path)
        if told.refused or row.head is None:
            raise Refused(path=folder.path, reason=f"the server refused its branch {folder.branch}")
        if row.tree and row.branch != branch_name(self._prefix, row.tree):
            raise Refused(path=folder.path, reason="its branch has another name than its folder gives it")
        del operation
        return Step.ASIDE

    def _set_aside(self, operation: Operation, folder: GitFolder) -> Step:
        self.begin_to_move(folder)
        self._aside.set_aside(operation.id, self._store.get(folder.path))
        return Step.CREATE

    def begin_to_move(self, folder: GitFolder) -> None:
        """Say that the folder is on the move, unless a backup is under way. Raises `BackupActive`."""
        if not folder.moving:
            # Said first: of a backup and a conversion that begin together, at least one sees the other.
            self._store.update(folder.path, moving=True, epoch=folder.epoch + 1)
            if self._runs.active() is not None:
                self._store.update(folder.path, moving=False)
                raise BackupActive

    def _create(self, operation: Operation, folder: GitFolder) -> Step:
        found = self._made(folder)
        if found.branch != folder.branch:
            self._host.check_out(found.id, folder.branch)
        self._store.update(folder.path, repo_id=str(found.id))
        tree = self._trees.read(folder.path)
        self._kept.save_seen(operation.id, folder.path, "checked_out", tree.seen())
        snapshot = self._kept.get(operation.id, folder.path)
        empty = [rel for rel in snapshot.folders if rel not in tree.objects]
        if empty:
            self._trees.make_folders(folder.path, empty)
        return Step.PERMISSIONS

    def _made(self, folder: GitFolder) -> RemoteFolder:
        """The Git folder at the folder's place, which somebody may have made anew meanwhile."""
        for _ in range(MOST_SWEPT):
            found = self._host.find(folder.path)
            if found is not None:
                return found
            self._aside.sweep(folder)
            try:
                return self._host.create(folder.path)
            except WorkspaceError as error:
                if error.fields.get("error_code") != "RESOURCE_ALREADY_EXISTS":
                    raise
        raise Refused(path=folder.path, reason="somebody makes a folder at its place again and again")

    def _permissions(self, operation: Operation, folder: GitFolder) -> Step:
        wanted = {*self._kept.get(operation.id, folder.path).grants}
        own, number = self._host.own_grant(), folder.number("repo_id")
        self._host.set_grants(ObjectType.REPO, number, sorted({*wanted, own}))
        there = set(self._host.grants(ObjectType.REPO, number))
        if there - {own} != wanted - {own}:
            raise Differs(path=folder.path, what="its permissions are not those that it had")
        return Step.COMPARE

    def _compare(self, operation: Operation, folder: GitFolder) -> Step:
        """Contents and languages by hash, of all but what somebody edited in the new Git folder already."""
        snapshot = self._kept.get(operation.id, folder.path)
        before = self._kept.seen(operation.id, folder.path, "checked_out")
        tree = self._trees.read(folder.path)
        now, held = tree.seen(), self._trees.digests(tree)
        # A look after the hashes: an edit between listing and export must not count as a difference.
        after = self._trees.read(folder.path).seen()
        edited = {rel for rel in now.keys() | after.keys() if not now.get(rel) == after.get(rel) == before.get(rel)}
        then = snapshot.held()
        wrong = {rel for rel in then if rel not in edited and held.get(rel) != then[rel]}
        missing, made = snapshot.notebooks.keys() - before.keys(), before.keys() - snapshot.notebooks.keys()
        self._settle(operation, folder, before, wrong | missing | made)
        return Step.KEEP_EDITS

    def _settle(self, operation: Operation, folder: GitFolder, before: dict[str, Seen], differ: set[str]) -> None:
        """What a second checkout shows as it was, people changed in this one: it is kept. Raises `Differs` of others.

        They did it before the listing that edits are known by, which may be long after a step that died.
        """
        then = self._kept.get(operation.id, folder.path).held()
        shown = self._second.held(folder, differ)
        by_git = sorted(rel for rel in differ & then.keys() if shown is None or shown.get(rel) != then[rel])
        if by_git:
            what = f"{len(by_git)} notebooks are missing or differ, {by_git[0]} among them"
            raise Differs(path=folder.path, what=what)
        touched = [rel for rel in differ if shown is not None and (rel in then or rel not in shown)]
        if touched:
            self._kept.save_seen(operation.id, folder.path, "checked_out", before | dict.fromkeys(touched, TOUCHED))

    def _keep_edits(self, operation: Operation, folder: GitFolder) -> None:
        """What users edited while the folder was on its way is brought into the Git folder."""
        kept, left = self._aside.bring_edits(operation.id, folder)
        self._kept.save_seen(operation.id, folder.path, "converted", self._trees.read(folder.path).seen())
        self._store.update(folder.path, kept_edits=kept, conflicts=left)

    def _failed(self, path: str, error: BackupError) -> Outcome:
        """Before anything moved, the folder stays as it is; after that, its way back begins."""
        row = self._row(path)
        if isinstance(error, Stale):
            return Outcome.STALE
        _log.error("%s is not converted: %s", path, error, extra={"action": "gitfolder.convert"})
        if row.state is not FolderState.CONVERTING or not row.moving:
            if row.branch:
                self._store.update(path, state=FolderState.LINKED.value, step=None, error=str(error))
            return Outcome.REFUSED if isinstance(error, Refused) else Outcome.FAILED
        self._store.update(path, state=FolderState.ROLLING_BACK.value, step=None, automatic=True, error=str(error))
        return Outcome.ROLLED_BACK

    def _told(self, path: str) -> dict[str, str | int]:
        row = self._store.get(path)
        numbers = {name: row.number(name) for name in ("notebooks", "kept_edits", "conflicts")}
        return {"branch": row.branch, "aside": row.text("aside") or "", "how": row.text("moved") or "", **numbers}


def _content(tree: Tree, entries: dict[str, ManifestEntry | None]) -> Content:
    lost = Counter(LOST_KINDS[kind] for kind in tree.others().values())
    repos = tuple(o.path for o in tree.objects.values() if o.object_type is ObjectType.REPO)
    size = sum(e.size for e in entries.values() if e)
    odd = tuple(e.path for e in entries.values() if e and e.format is not ExportFormat.SOURCE)
    return Content(len(tree.notebooks()), 0, size, lost, odd, (), repos)
