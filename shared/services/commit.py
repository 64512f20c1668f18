"""Committing: staged archives become commits on the remote branch, then manifest, then checkpoint.

One committer works at a time: the durable single instance, a blob lease, and the compare-and-swap on the
remote head, each enough by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from shared.clock import Clock
from shared.domain.batches import Failure, StagedNotebook
from shared.domain.commits import ATTRIBUTES, ATTRIBUTES_FILE, TreeChange, apply, message
from shared.domain.manifest import Manifest
from shared.domain.runs import BatchStatus
from shared.errors import RemoteMoved, RepositoryError
from shared.protocols import BlobStore, Repository, Row, Signature, Tables, WriteFile
from shared.services.export import staging_blob
from shared.services.lease import held
from shared.services.manifests import Checkpoint, ManifestStore
from shared.services.runs import BATCHES
from shared.services.staged_archive import DamagedArchive, StagedArchive

LEASE = "leases/commit"
MOST_REBUILDS = 5


@dataclass(slots=True)
class CommitOutcome:
    """What a call came to: the last commit that the remote holds of this run, files that were overruled."""

    commit: str | None = None
    sequence: int = 0
    notebooks: int = 0
    conflicts: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Staged batches that go into one commit, and paths to remove with the last of them."""

    batch_ids: tuple[str, ...]
    notebooks: tuple[StagedNotebook, ...]
    sources: dict[str, tuple[StagedArchive, str]]
    removed: tuple[str, ...]


class CommitService:
    """Commits what is staged. Holds no state between calls: rows, blobs and the remote say everything."""

    def __init__(
        self,
        repository: Repository,
        blobs: BlobStore,
        tables: Tables,
        manifests: ManifestStore,
        clock: Clock,
        scratch: Path,
        *,
        committer_name: str,
        committer_email: str,
        workspace_name: str,
        root: str,
        max_files_per_commit: int,
        max_bytes_per_commit: int,
    ) -> None:
        self._repository, self._blobs, self._tables, self._manifests = repository, blobs, tables, manifests
        self._clock, self._scratch = clock, scratch
        self._committer = (committer_name, committer_email)
        self._workspace_name, self._root = workspace_name, root
        self._max_files, self._max_bytes = max_files_per_commit, max_bytes_per_commit

    def commit_staged(self, run_id: str) -> CommitOutcome:
        """Commit the run's staged batches, in order; with the last one, its deletions.

        Raises `LeaseLost`, `RepositoryError`, `StateConflict`: the call is made again and goes on from there.
        """
        outcome = CommitOutcome()
        with held(self._blobs, LEASE) as still_held:
            before = self._manifests.load()
            while (group := self._next_group(run_id)) is not None:
                batch_ids, last = group
                removed = self._removals(run_id, before.manifest if before else {}) if last else ()
                if batch_ids or removed:
                    before = self._commit_group(run_id, batch_ids, removed, before, outcome, still_held)
                if last:
                    break
        return outcome

    def _next_group(self, run_id: str) -> tuple[tuple[str, ...], bool] | None:
        """Batches for the next commit, within its bounds, and whether the run has no others."""
        rows = [(r.key, r.row) for r in self._tables.query(BATCHES, run_id)]
        staged = [(key, row) for key, row in rows if row["status"] == BatchStatus.STAGED]
        chosen: list[str] = []
        files = size = 0
        for key, row in staged:
            files += int(row.get("notebooks") or 0)
            size += int(row.get("bytes") or 0)
            if chosen and (files > self._max_files or size > self._max_bytes):
                break
            chosen.append(key)
        waiting = any(row["status"] == BatchStatus.QUEUED for _, row in rows)
        last = not waiting and len(chosen) == len(staged)
        return (tuple(chosen), last) if chosen or last else None

    def _removals(self, run_id: str, manifest: Manifest) -> tuple[str, ...]:
        rows = json.loads(self._blobs.get(f"plans/{run_id}/deletes.json"))
        return tuple(row["path"] for row in rows if row["path"] in manifest)

    def _commit_group(
        self,
        run_id: str,
        batch_ids: tuple[str, ...],
        removed: tuple[str, ...],
        before: Checkpoint | None,
        outcome: CommitOutcome,
        still_held: Callable[[], None],
    ) -> Checkpoint | None:
        with ExitStack() as stack:
            chunk = self._open(run_id, batch_ids, removed, stack)
            if chunk.notebooks or chunk.removed:
                before = self._commit(run_id, chunk, before, outcome, still_held)
        rows: dict[str, Row] = {
            key: {"status": BatchStatus.COMMITTED.value, "commit": outcome.commit} for key in chunk.batch_ids
        }
        self._tables.upsert_many(BATCHES, run_id, rows)
        return before

    def _commit(
        self,
        run_id: str,
        chunk: _Chunk,
        before: Checkpoint | None,
        outcome: CommitOutcome,
        still_held: Callable[[], None],
    ) -> Checkpoint:
        manifest = before.manifest if before else {}
        head, change = self._push(run_id, chunk, manifest, still_held)
        saved = self._manifests.save(run_id, head, change.manifest, before)
        outcome.commit, outcome.sequence = head, saved.sequence
        outcome.notebooks += len(change.writes)
        outcome.conflicts += change.conflicts
        return saved

    def _push(
        self, run_id: str, chunk: _Chunk, manifest: Manifest, still_held: Callable[[], None]
    ) -> tuple[str, TreeChange]:
        """Build on the remote head and push; on a head that moved meanwhile, build again."""
        for _ in range(MOST_REBUILDS):
            head = self._repository.fetch()
            tree = self._repository.tree(head) if head else {}
            change = apply(manifest, chunk.notebooks, chunk.removed, tree)
            commit = self._build(run_id, head, tree, change, chunk)
            still_held()
            if commit is None:
                # Already there: the push had its effect and its answer, or what follows it, was lost.
                return str(head), change
            try:
                self._repository.push(commit, head)
            except RemoteMoved:
                continue
            return commit, change
        raise RepositoryError(action="push", detail=f"the branch moved {MOST_REBUILDS} times in a row")

    def _build(
        self, run_id: str, head: str | None, tree: dict[str, str], change: TreeChange, chunk: _Chunk
    ) -> str | None:
        now = self._clock.now()
        who = Signature(*self._committer, when=now)
        text = message(now, run_id, self._workspace_name, self._root, change.counts)
        return self._repository.build_commit(head, change.deletes, _writes(tree, change, chunk), text, who, who)

    def _open(self, run_id: str, batch_ids: tuple[str, ...], removed: tuple[str, ...], stack: ExitStack) -> _Chunk:
        """Download the archives; a damaged one puts its batch back to be exported again."""
        notebooks: list[StagedNotebook] = []
        sources: dict[str, tuple[StagedArchive, str]] = {}
        opened: list[str] = []
        for batch_id in batch_ids:
            try:
                archive = self._download(run_id, batch_id, stack)
            except (DamagedArchive, KeyError):
                self._tables.upsert(BATCHES, run_id, batch_id, {"status": BatchStatus.QUEUED.value})
                continue
            opened.append(batch_id)
            notebooks += archive.index.notebooks
            sources |= {n.file: (archive, n.member) for n in archive.index.notebooks}
        return _Chunk(tuple(opened), tuple(notebooks), sources, removed)

    def _download(self, run_id: str, batch_id: str, stack: ExitStack) -> StagedArchive:
        target = self._scratch / f"commit-{run_id}-{batch_id}.zip"
        stack.callback(target.unlink, missing_ok=True)
        self._blobs.get_file(staging_blob(run_id, batch_id), target)
        archive = StagedArchive(target)
        stack.callback(archive.close)
        return archive


def _writes(tree: dict[str, str], change: TreeChange, chunk: _Chunk) -> Iterator[WriteFile]:
    """Files whose bytes the tree does not hold yet, in path order."""
    if ATTRIBUTES_FILE not in tree:
        yield WriteFile(ATTRIBUTES_FILE, len(ATTRIBUTES), iter([ATTRIBUTES]))
    for notebook in change.writes:
        if tree.get(notebook.file) != notebook.blob:
            archive, member = chunk.sources[notebook.file]
            yield WriteFile(notebook.file, notebook.size, archive.chunks(member))
