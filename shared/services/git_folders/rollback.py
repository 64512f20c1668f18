"""The way back: a Git folder becomes the plain folder that it was, with what people edited in it since.

Nothing of the repository is needed: the contents were set aside. Each step can die and be run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum

from shared.domain.audit import AuditAction, AuditResult
from shared.domain.notebooks import ObjectType
from shared.errors import BackupError, WorkspaceError
from shared.protocols import GitFolders
from shared.services.git_folders.aside import COPIED, Aside
from shared.services.git_folders.convert import Differs
from shared.services.git_folders.kept import SnapshotStore
from shared.services.git_folders.operations import Operation, OperationStore, Outcome
from shared.services.git_folders.store import FolderState, GitFolder, GitFolderStore
from shared.services.git_folders.tree import FolderTrees, Tree

_log = logging.getLogger("backup.gitfolders")


class Step(StrEnum):
    """The steps of the way back, in order."""

    COLLECT = "collect"
    REMOVE = "remove"
    BRING_BACK = "bring_back"
    PERMISSIONS = "put_back_permissions"
    PROVE = "prove"


class FolderRollback:
    """Works on one folder at a time. `begin_to_move` says that a folder is on the move, or raises."""

    def __init__(
        self,
        *,
        host: GitFolders,
        trees: FolderTrees,
        aside: Aside,
        store: GitFolderStore,
        operations: OperationStore,
        kept: SnapshotStore,
        begin_to_move: Callable[[GitFolder], None],
    ) -> None:
        self._host, self._trees, self._aside = host, trees, aside
        self._store, self._operations, self._kept = store, operations, kept
        self._begin_to_move = begin_to_move
        self._steps: dict[Step, Callable[[str, GitFolder], Step | None]] = {
            Step.COLLECT: self._collect,
            Step.REMOVE: self._remove,
            Step.BRING_BACK: self._bring_back,
            Step.PERMISSIONS: self._permissions,
            Step.PROVE: self._prove,
        }

    def roll_back(self, operation: Operation, path: str) -> Outcome:
        """Roll a folder back, or go on with it.

        Raises `UnknownFolder`, `BackupActive` and other passing errors: the step is run again.
        """
        row = self._store.get(path)
        if row.state is FolderState.CONVERTED:
            self._begin_to_move(row)
            self._store.update(path, state=FolderState.ROLLING_BACK.value, step=None, automatic=False, error=None)
        elif row.state is not FolderState.ROLLING_BACK:
            return Outcome.UNCHANGED
        step: Step | None = Step(self._store.get(path).step or Step.COLLECT)
        while step is not None:
            row = self._store.get(path)
            try:
                step = self._steps[step](str(row.text("operation")), row)
            except BackupError as error:
                if error.retriable:
                    raise
                _log.error("%s is not rolled back: %s", path, error, extra={"action": "gitfolder.rollback"})
                self._store.update(path, problem=str(error))
                return Outcome.FAILED
            if step:
                self._store.update(path, step=step.value)
        detail = {"automatic": bool(row.row.get("automatic")), "why": row.text("error") or "", "branch": row.branch}
        self._operations.record(operation, AuditAction.FOLDER_ROLLED_BACK, path, AuditResult.DONE, **detail)
        state = FolderState.ROLLED_BACK.value
        self._store.update(path, state=state, step=None, moving=False, repo_id=None, problem=None, removing=False)
        return Outcome.ROLLED_BACK

    def _collect(self, identity: str, row: GitFolder) -> Step | None:
        """Bring into what was set aside what people did in the Git folder since, and say what has to come back."""
        place = str(row.text("aside"))
        git = self._host.find(row.path)
        copied_alone = row.text("moved") == COPIED and not row.row.get("removing")
        if self._trees.at(place) is None or (git is None and copied_alone):
            # Nothing left its place.
            return None
        if git is not None:
            self._bring_work(identity, row, place, self._trees.read(row.path))
        self._expect(identity, row, place)
        return Step.REMOVE

    def _expect(self, identity: str, row: GitFolder, place: str) -> None:
        self._kept.save_held(identity, row.path, "expected", self._trees.digests(self._trees.read(place)))

    def _bring_work(self, identity: str, row: GitFolder, place: str, tree: Tree) -> None:
        """Bring what people did in the Git folder, of which `tree` is a listing, into what was set aside."""
        seen, base = tree.seen(), self._kept.seen(identity, row.path, "checked_out")
        automatic = bool(row.row.get("automatic"))
        # A Git folder that was never compared may lack what the snapshot has: that is no deletion by people.
        known = base | self._kept.seen(identity, row.path, "converted")
        gone = [rel for rel in known if rel not in seen] if not automatic else []
        changed = [rel for rel in seen if base.get(rel) != seen[rel]] if base or not automatic else []
        there, left = self._trees.read(place).seen(), self._kept.seen(identity, row.path, "aside")
        late = {rel for rel in there if left and there[rel] != left.get(rel)}
        self._aside.overlay(tree, place, [rel for rel in changed if rel not in late], set())
        self._aside.overlay(tree, place, [rel for rel in changed if rel in late], late)
        self._trees.remove(place, [rel for rel in gone if rel not in late])
        if automatic:
            self._store.update(row.path, differed=self._aside.keep_differing(row, tree))
        self._kept.save_seen(identity, row.path, "collected", seen)

    def _remove(self, identity: str, row: GitFolder) -> Step:
        """Remove the Git folder, moved to where nobody looks for it first: so the last look at it is the last edit."""
        place, away = str(row.text("aside")), f"{row.text('aside')}.git"
        git = self._host.find(row.path)
        if git is not None:
            if self._trees.read(row.path).seen() != self._kept.seen(identity, row.path, "collected"):
                return Step.COLLECT
            if not self._move_away(row.path, away):
                self._host.delete(git.id)
        moved = self._host.find(away)
        if moved is not None:
            tree = self._trees.read(away)
            if tree.seen() != self._kept.seen(identity, row.path, "collected"):
                self._bring_work(identity, row, place, tree)
                self._expect(identity, row, place)
            self._host.delete(moved.id)
        return Step.BRING_BACK

    def _move_away(self, path: str, away: str) -> bool:
        """Whether the Git folder was moved: a workspace may not do that with folders, or not with Git folders."""
        try:
            return self._aside.move(path, away)
        except WorkspaceError as error:
            if error.retriable:
                raise
            return False

    def _bring_back(self, identity: str, row: GitFolder) -> Step:
        place = str(row.text("aside"))
        if row.text("moved") == COPIED or not self._move_back(row, place):
            # What somebody made at its place meanwhile, or an earlier attempt did.
            self._aside.sweep(row)
            self._copy_back(identity, row, place)
        for swept in self._aside.swept(row)[0]:
            more = self._trees.read(swept)
            self._aside.overlay(more, row.path, more.notebooks(), set(self._trees.read(row.path).objects))
        self._kept.save_seen(identity, row.path, "back", self._trees.read(row.path).seen())
        return Step.PERMISSIONS

    def _move_back(self, row: GitFolder, place: str) -> bool:
        """Move what was set aside to its place, unless it was before."""
        if self._trees.at(place) is None:
            return True
        self._aside.sweep(row)
        return self._aside.move(place, row.path)

    def _copy_back(self, identity: str, row: GitFolder, place: str) -> None:
        """Copy what its place does not hold; the copy aside stays."""
        snapshot, source = self._kept.get(identity, row.path), self._trees.read(place)
        self._trees.make_folders(row.path, snapshot.folders)
        self._trees.copy(source, row.path, source.notebooks())

    def _permissions(self, identity: str, row: GitFolder) -> Step:
        snapshot, tree = self._kept.get(identity, row.path), self._trees.read(row.path)
        if set(self._host.grants(ObjectType.DIRECTORY, tree.object_id)) != set(snapshot.grants):
            self._host.set_grants(ObjectType.DIRECTORY, tree.object_id, snapshot.grants)
        for rel, (kind, grants) in snapshot.inner.items():
            there = tree.objects.get(rel)
            if there is not None and set(self._host.grants(kind, there.object_id)) != set(grants):
                self._host.set_grants(kind, there.object_id, grants)
        return Step.PROVE

    def _prove(self, identity: str, row: GitFolder) -> None:
        """Every notebook that nobody edited since holds what was set aside."""
        expected = self._kept.held(identity, row.path, "expected") or {}
        back, tree = self._kept.seen(identity, row.path, "back"), self._trees.read(row.path)
        held, after = self._trees.digests(tree), self._trees.read(row.path).seen()
        still = {rel for rel in back if back[rel] == tree.seen().get(rel) == after.get(rel)}
        wrong = [rel for rel in expected if (rel in still or rel not in back) and held.get(rel) != expected[rel]]
        if wrong:
            raise Differs(path=row.path, what=f"{len(wrong)} notebooks, {wrong[0]} among them")
