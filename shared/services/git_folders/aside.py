"""Setting a folder's contents aside, outside the backup's root, so that the way back needs no repository.

Where the workspace can move a folder, its notebooks stay the objects that they are. Where it cannot, each is
copied and proved, and the folder is removed once a listing shows that nothing was edited since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from shared.domain.git_folders import Held, Seen
from shared.errors import BackupError, WorkspaceError
from shared.protocols import GitFolders
from shared.services.git_folders.kept import SnapshotStore
from shared.services.git_folders.store import GitFolder, GitFolderStore
from shared.services.git_folders.tree import MOST_COPY_ROUNDS, FolderTrees, NotCopied, Tree

MOVED, COPIED = "move", "copy"
_BESIDE = " (before Git)"


class CannotCopy(BackupError):
    """{path} holds {what}, and this workspace cannot move folders: a copy would lose that. Move it out first."""

    code = "cannot_copy"


class Aside:
    """Where contents are set aside: below `aside_root`, under the conversion's id and the path below `root`."""

    def __init__(
        self,
        host: GitFolders,
        trees: FolderTrees,
        store: GitFolderStore,
        kept: SnapshotStore,
        *,
        root: str,
        aside_root: str,
    ) -> None:
        self._host, self._trees, self._store, self._kept = host, trees, store, kept
        self._root, self._aside_root = root, aside_root

    def place(self, identity: str, path: str) -> str:
        """Where a conversion sets a folder's contents aside."""
        return f"{self._aside_root}/{identity}{path[len(self._root) :] or '/' + path.rpartition('/')[2]}"

    def set_aside(self, identity: str, folder: GitFolder) -> None:
        """Empty the folder's place. Raises `CannotCopy`, `CopyDiffers`, `NotCopied`; the contents stay then."""
        how = folder.text("moved")
        if how is None:
            # Written first: what stands at the place aside after a crash was moved there.
            self._store.update(folder.path, moved=MOVED)
        if how != COPIED and not self.move(folder.path, str(folder.text("aside"))):
            self._store.update(folder.path, moved=COPIED)
            how = COPIED
        if how == COPIED:
            self._copy(identity, self._store.get(folder.path))

    def move(self, source: str, target: str) -> bool:
        """Move a folder, unless it was moved there before; False where the workspace cannot."""
        if self._trees.at(target) is not None:
            return True
        self._trees.make_folders(target.rpartition("/")[0] or "/", ())
        try:
            return self._host.move(source, target)
        except WorkspaceError:
            # The answer of a call that had its effect may be lost, and the next one finds nothing to move.
            if self._trees.at(target) is None:
                raise
            return True

    def sweep(self, folder: GitFolder) -> None:
        """Set aside what somebody made at the folder's place while it was away."""
        if self._trees.at(folder.path) is None:
            return
        target = self.swept(folder)[1]
        if folder.text("moved") != COPIED and self.move(folder.path, target):
            return
        tree = self._trees.read(folder.path)
        self._trees.copy(tree, target, tree.notebooks())
        self._host.delete_folder(folder.path)

    def swept(self, folder: GitFolder) -> tuple[list[str], str]:
        """Folders that were swept aside, and the place for the next."""
        found: list[str] = []
        while True:
            place = f"{folder.text('aside')}.meanwhile-{len(found)}"
            if self._trees.at(place) is None:
                return found, place
            found.append(place)

    def bring_edits(self, identity: str, folder: GitFolder) -> tuple[int, int]:
        """Bring into the new Git folder what was edited on the way; how many were, and how many stand beside."""
        aside = self._trees.read(str(folder.text("aside")))
        snapshot = self._kept.get(identity, folder.path)
        changed, gone = self._edits(identity, folder, aside, snapshot.seen(), snapshot.held())
        before = self._kept.seen(identity, folder.path, "checked_out")
        now = self._trees.read(folder.path).seen()
        edited = {rel for rel in now if now[rel] != before.get(rel)}
        kept, beside = self.overlay(aside, folder.path, changed, edited)
        self._trees.remove(folder.path, [rel for rel in gone if now.get(rel) == before.get(rel)])
        for place in self.swept(folder)[0]:
            more = self._trees.read(place)
            some, others = self.overlay(more, folder.path, more.notebooks(), edited)
            kept, beside = kept + some, beside + others
        self._kept.save_seen(identity, folder.path, "aside", aside.seen())
        return kept + len(gone), beside

    def keep_differing(self, folder: GitFolder, tree: Tree) -> int:
        """Copy what a Git folder shows otherwise than was set aside to a place of its own; how many notebooks.

        It came so out of Git, or somebody edited it in the moment before it was looked at: nobody can tell.
        """
        place = str(folder.text("aside"))
        there, held = self._trees.digests(self._trees.read(place)), self._trees.digests(tree)
        differ = [rel for rel in held if held[rel] != there.get(rel)]
        self._trees.copy(tree, f"{place}.from-git", differ)
        return len(differ)

    def overlay(self, source: Tree, target: str, wanted: Iterable[str], taken: Collection[str]) -> tuple[int, int]:
        """Write notebooks of a folder over those of another; where one of `taken` differs, beside it.

        Done again, it changes nothing: what holds the same already is left as it is.
        """
        held = self._trees.digests(source, wanted)
        there = self._trees.digests(self._trees.read(target), held)
        todo = [rel for rel in held if held[rel] != there.get(rel)]
        plain = [rel for rel in todo if rel not in taken]
        self._trees.copy(source, target, plain)
        beside = [rel for rel in todo if rel in taken]
        for rel in beside:
            self._trees.copy_as(source, rel, f"{target}/{rel}{_BESIDE}")
        return len(plain), len(beside)

    def _edits(
        self, identity: str, folder: GitFolder, aside: Tree, seen: Mapping[str, Seen], held: Mapping[str, Held]
    ) -> tuple[list[str], list[str]]:
        """Notebooks that were edited or made after the snapshot, and those that are gone."""
        if folder.text("moved") == COPIED:
            copied = self._kept.held(identity, folder.path, "copied_held") or {}
            return [r for r in copied if copied[r] != held.get(r)], [r for r in held if r not in copied]
        now = aside.seen()
        return [r for r in now if now[r] != seen.get(r)], [r for r in seen if r not in now]

    def _copy(self, identity: str, folder: GitFolder) -> None:
        for _ in range(MOST_COPY_ROUNDS):
            if self._trees.at(folder.path) is None:
                return
            tree = self._trees.read(folder.path)
            if not self._copy_round(identity, folder, tree):
                # Nothing was edited since it was copied. From here on, what is missing there was removed by us.
                self._store.update(folder.path, removing=True)
                self._host.delete_folder(folder.path)
                return
        raise NotCopied(path=folder.path)

    def _copy_round(self, identity: str, folder: GitFolder, tree: Tree) -> int:
        """Copy what is not copied as it is now; how many notebooks that were, or are gone."""
        if others := tree.others():
            raise CannotCopy(path=folder.path, what=next(iter(others)))
        place, now = str(folder.text("aside")), tree.seen()
        copied = self._kept.seen(identity, folder.path, "copied")
        held = self._kept.held(identity, folder.path, "copied_held") or {}
        removing = bool(self._store.get(folder.path).row.get("removing"))
        gone = [] if removing else [rel for rel in copied if rel not in now]
        todo = [rel for rel in now if copied.get(rel) != now[rel]]
        self._trees.make_folders(place, tree.folders())
        fresh = self._trees.copy(tree, place, todo)
        self._trees.remove(place, gone)
        left = {rel: h for rel, h in {**held, **fresh}.items() if rel not in gone}
        self._kept.save_held(identity, folder.path, "copied_held", left)
        known = {rel: s for rel, s in copied.items() if rel not in gone} | {rel: now[rel] for rel in fresh}
        self._kept.save_seen(identity, folder.path, "copied", known)
        return len(todo) + len(gone)
