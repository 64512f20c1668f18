"""Git folders and the backup live together: after each backup both show the same, without a person's doing.

What people committed to a folder's branch comes to the backup branch, the branches follow the backup, and each Git
folder is brought to its branch's head where it holds just what was backed up. Everything can be found out anew, so a
step that dies is simply run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from shared.clock import Clock
from shared.domain.attribution import ChangeEvent
from shared.domain.audit import AuditAction, AuditResult
from shared.domain.batches import Notice
from shared.domain.git_folders import edited_since
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.names import EXTENSION
from shared.domain.siblings import parents
from shared.errors import BackupError, LeaseLost, NotFound, RemoteMoved
from shared.protocols import BlobStore, GitFolders, Repository
from shared.protocols.folder_branches import FolderBranches
from shared.redaction import redact
from shared.services.audit.export import SYSTEM
from shared.services.audit.recorder import Recorder
from shared.services.git_folders.branches import LEASE, FolderBranchService
from shared.services.git_folders.brought import BroughtStore
from shared.services.git_folders.edits import BranchEdits, BroughtEdits, EditMerger, entry_of, notices_of
from shared.services.git_folders.standing import AWAY, QUIET, FolderLook, Look, Standing, told
from shared.services.git_folders.store import FolderState, GitFolder, GitFolderStore, key_of
from shared.services.git_folders.tree import FolderTrees
from shared.services.state.findings import FindingStore
from shared.services.state.lease import held
from shared.services.state.manifests import ManifestStore

MOST_TRIES = 5
MOST_FILES = 10_000
"""Of people's commits on one branch: what Databricks lets a Git folder hold."""
AT_ONCE = 16
"""Git folders that are listed, then brought to their heads: a listing is to be young when it is relied on."""
MOST_DETAIL_CHARACTERS = 300
_SOURCE = "folder-branches"
_log = logging.getLogger("backup.gitfolders")
type Entries = dict[str, dict[str, ManifestEntry]]
"""Notebooks as the last backup has them, by folder and by their path below it."""


@dataclass(slots=True)
class _Pass:
    """One pass over the folders: how they stand, what was found, and whether another backup has something to take."""

    run_id: str
    looks: dict[str, Look]
    notices: list[Notice] = field(default_factory=list)
    manifest: Manifest | None = None
    entries: Entries | None = None
    shows_edits: bool = False


class FolderSync:
    """Brings branches, Git folders and the backup branch together. `prefix` begins the branches' names."""

    def __init__(
        self,
        *,
        host: GitFolders,
        look: FolderLook,
        trees: FolderTrees,
        following: FolderBranchService,
        branches: FolderBranches,
        edits: EditMerger,
        repository: Repository,
        store: GitFolderStore,
        brought: BroughtStore,
        manifests: ManifestStore,
        findings: FindingStore,
        recorder: Recorder,
        blobs: BlobStore,
        clock: Clock,
        pool: Executor,
        prefix: str,
    ) -> None:
        self._host, self._look, self._trees, self._following = host, look, trees, following
        self._branches, self._edits, self._repository = branches, edits, repository
        self._store, self._brought, self._manifests, self._findings = store, brought, manifests, findings
        self._recorder, self._blobs, self._clock, self._pool, self._prefix = recorder, blobs, clock, pool, prefix

    def after_run(self, run_id: str) -> bool:
        """Bring everything together once a run's commits are durable; whether another backup has something to take in.

        What fails is a notice of the run, and next time's. Raises `LeaseLost`: the step is run again.
        """
        followed = self._store.followed()
        if not followed:
            return False
        try:
            done = self._sync(run_id, followed)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever people pushed, the backup itself is done and ends
            told = "the folders' branches wait for the next backup: %s"
            _log.error(told, redact(str(error)), extra={"run_id": run_id, "action": "gitfolder.sync"})
            reason = f"the branches of Git folders wait for the next backup: {redact(str(error))}"
            self._findings.record_notices(run_id, _SOURCE, [Notice(self._prefix, "folder_branches_behind", reason)])
            return False
        if done.notices:
            self._findings.record_notices(run_id, _SOURCE, done.notices)
        return done.shows_edits

    def _sync(self, run_id: str, followed: list[GitFolder]) -> _Pass:
        heads = self._branches.heads(self._prefix)
        converted = [f for f in followed if f.state is FolderState.CONVERTED]
        here = _Pass(run_id, self._look.look(converted, heads))
        with held(self._blobs, LEASE) as still_held:
            mark = self._manifests.mark()
            if mark is None:
                return here
            self._settle(here)
            present = [f for f in followed if not _is_away(here.looks.get(f.path))]
            at = {path: look.remote.commit for path, look in here.looks.items() if look.on_branch and look.remote}
            found = self._edits.find(at, present, heads, lambda: self._repository.fetch() or mark.commit)
            ready = [e for e in found if self._is_bounded(e, here) and self._is_as_backed_up(e.folder, here)]
            gone = self._vanished([f for f in present if f.path in at], here)
            target, came = self._bring(ready, gone, mark.commit, here, still_held)
            waiting = {edits.folder.path for edits in found} - {one.edits.folder.path for one in came}
            folders = [f for f in present if f.path not in waiting]
            merging = {one.edits.folder.path: one.edits.merging for one in came}
            here.notices += self._following.follow(target, folders, still_held, merging, mark.commit).notices
        self._pull({f.path for f in converted if f.path not in waiting}, came, here)
        self._enter(here)
        return here

    @staticmethod
    def _is_bounded(edits: BranchEdits, here: _Pass) -> bool:
        """Whether so much at once is what a Git folder may hold: more is for people to look at."""
        count = len({file for commit in edits.commits for file in commit.files})
        if count > MOST_FILES:
            told = f"{count:,} files were committed to its branch at once, and {MOST_FILES:,} are taken at most"
            here.looks[edits.folder.path] = Look(Standing.REFUSED, told)
        return count <= MOST_FILES

    def _settle(self, here: _Pass) -> None:
        """Forget what was brought and is in the last backup by now."""
        if self._brought.files() and (head := self._repository.fetch()):
            self._brought.settle(self._checkpoint(here), self._repository.tree(head))

    def _vanished(self, folders: list[GitFolder], here: _Pass) -> list[str]:
        """What people added, and somebody removed before a backup found it: proved by a listing without it."""
        if not self._brought.files() or (head := self._repository.fetch()) is None:
            return []
        files, tree = {e.file for e in self._checkpoint(here).values()}, self._repository.tree(head)
        found: list[str] = []
        for folder in folders:
            gone = self._brought.vanished(folder.path, files, tree)
            found += gone if gone and self._is_as_backed_up(folder, here) else []
        return found

    def _bring(
        self, ready: list[BranchEdits], gone: list[str], last: str, here: _Pass, still_held: Callable[[], None]
    ) -> tuple[str, list[BroughtEdits]]:
        """People's commits on the backup branch; the commit that branches are to follow now, and what came."""
        for _ in range(MOST_TRIES):
            ground, is_settled = self._ground(last, here)
            if not is_settled or not (ready or gone):
                return ground, []
            try:
                ground = self._edits.withdraw(gone, ground, last, still_held) if gone else ground
                if not ready:
                    return ground, []
                return self._edits.bring(
                    ready, ground, last, self._entries(here), still_held, lambda one: self._tell(one, here)
                )
            except RemoteMoved:
                continue
        return last, []

    def _ground(self, last: str, here: _Pass) -> tuple[str, bool]:
        """The commit of the backup branch to build on, and whether all that the backup wrote stands there as it was.

        What people changed of that is for the next backup to settle; files of their own are in nobody's way.
        """
        head = self._repository.fetch()
        if head is None or head == last:
            return last, head is not None
        if not self._repository.contains(head, last):
            return last, False
        tree, brought = self._repository.tree(head), self._brought.files()
        known = {file: b.blob for file, b in brought.items()}
        entries = self._checkpoint(here)
        if all(tree.get(e.file) in (e.blob, known.get(e.file, e.blob)) for e in entries.values()):
            return head, True
        pushed = self._brought.ground(last)
        return (pushed if pushed and self._repository.contains(head, pushed) else last), False

    def _tell(self, one: BroughtEdits, here: _Pass) -> None:
        self._recorder.record_all([entry_of(one, here.run_id)])
        self._findings.record_notices(here.run_id, f"{_SOURCE}-{key_of(one.edits.folder.path)}", notices_of(one))

    def _pull(self, paths: set[str], came: list[BroughtEdits], here: _Pass) -> None:
        """Bring Git folders to their branches' heads, where they hold just what was backed up."""
        behind = [f for f in self._store.followed() if f.path in paths and self._is_behind(f, here)]
        edits = {one.edits.folder.path: one for one in came}
        for start in range(0, len(behind), AT_ONCE):
            fitting = [f for f in behind[start : start + AT_ONCE] if self._names_fit(f, here)]
            some = [f for f in fitting if self._is_as_backed_up(f, here)]
            for folder in some:
                if folder.path in edits:
                    self._brought.add_events(folder.path, self._events(folder, edits[folder.path]))
            for folder, problem in zip(some, self._pool.map(lambda f: self._check_out(f, here), some), strict=True):
                self._pulled(folder, problem, here)

    def _check_out(self, folder: GitFolder, here: _Pass) -> BackupError | None:
        remote = here.looks[folder.path].remote
        try:
            if remote:
                self._host.check_out(remote.id, folder.branch)
        except BackupError as error:
            return error
        return None

    def _pulled(self, folder: GitFolder, problem: BackupError | None, here: _Pass) -> None:
        if problem is not None:
            reason = redact(str(problem))[:MOST_DETAIL_CHARACTERS]
            here.looks[folder.path] = Look(Standing.UNKNOWN if problem.retriable else Standing.REFUSED, reason)
            return
        here.looks[folder.path] = Look(Standing.IN_STEP)
        self._store.update(folder.path, pulled=folder.head)
        here.shows_edits |= self._brought.taken(folder.path)
        detail = {"branch": folder.branch, "commit": folder.head}
        key = f"pulled {folder.head}"
        self._recorder.record(
            AuditAction.FOLDER_PULLED, SYSTEM, folder.path, AuditResult.DONE, here.run_id, detail, key
        )

    def _is_behind(self, folder: GitFolder, here: _Pass) -> bool:
        look = here.looks[folder.path]
        if not look.on_branch or look.remote is None or folder.head is None:
            return False
        if look.remote.commit == folder.head:
            here.looks[folder.path] = Look(Standing.IN_STEP)
            # The workspace shows it already: somebody committed it there, or pulled it.
            here.shows_edits |= self._brought.taken(folder.path)
            return False
        return True

    def _names_fit(self, folder: GitFolder, here: _Pass) -> bool:
        """Whether Git shows every notebook as it is: it would make another one of each that it does not."""
        start = f"{folder.tree}/" if folder.tree else ""
        for rel, entry in self._entries(here)[folder.path].items():
            if entry.file != f"{start}{rel}{EXTENSION[entry.language]}":
                reason = f"Git would show {rel} under another name: rename it"
                here.looks[folder.path] = Look(Standing.REFUSED, reason[:MOST_DETAIL_CHARACTERS])
                return False
        return True

    def _is_as_backed_up(self, folder: GitFolder, here: _Pass) -> bool:
        """Whether a folder holds just the notebooks of the last backup, as it has them."""
        entries = self._entries(here)[folder.path]
        try:
            what = edited_since(self._trees.read(folder.path).seen(), entries)
        except NotFound:
            here.looks[folder.path] = Look(Standing.GONE, "it is gone")
            return False
        except BackupError as error:
            here.looks[folder.path] = Look(Standing.UNKNOWN, redact(str(error))[:MOST_DETAIL_CHARACTERS])
            return False
        if what:
            here.looks[folder.path] = Look(Standing.EDITED, what[:MOST_DETAIL_CHARACTERS])
        return what is None

    def _entries(self, here: _Pass) -> Entries:
        if here.entries is None:
            found: Entries = {path: {} for path in here.looks}
            for path, entry in self._checkpoint(here).items():
                folder = next((above for above in parents(path) if above in found), None)
                if folder is not None:
                    found[folder][path[len(folder) + 1 :]] = entry
            here.entries = found
        return here.entries

    def _checkpoint(self, here: _Pass) -> Manifest:
        if here.manifest is None:
            checkpoint = self._manifests.load()
            here.manifest = checkpoint.manifest if checkpoint else {}
        return here.manifest

    def _events(self, folder: GitFolder, one: BroughtEdits) -> list[ChangeEvent]:
        """Who made what the workspace is about to show: its own record would name the backup."""
        now = int(self._clock.now().timestamp() * 1000)
        found = []
        for file in sorted(one.merge.notebooks):
            blob, owner = one.merge.brought[file], one.owners[file]
            path = f"{folder.path}/{file.rpartition('.')[0]}"
            action = "importNotebook" if blob is not None else "deleteNotebook"
            actor = owner.author.email or owner.author.name
            found.append(ChangeEvent(f"{owner.commit}:{file}", now, actor, action, path=path))
        return found

    def _enter(self, here: _Pass) -> None:
        """Write how folders stand where that changed, and tell people once of what is not as it should be."""
        for folder in self._store.followed():
            look = here.looks.get(folder.path)
            if look is None:
                continue
            now = (look.standing.value, look.detail)
            before = (folder.text("standing"), folder.text("standing_detail") or "")
            if now == before:
                continue
            values = {"standing": now[0], "standing_detail": now[1], "standing_since": self._clock.now().isoformat()}
            self._store.update(folder.path, **values)
            if look.standing not in QUIET:
                here.notices.append(Notice(folder.path, f"folder_{look.standing.value}", told(folder, look)))


def _is_away(look: Look | None) -> bool:
    return look is not None and look.standing in AWAY
