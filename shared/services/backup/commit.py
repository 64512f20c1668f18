"""Committing: staged archives become commits on the remote branch, then manifest, then checkpoint.

One committer works at a time: the durable single instance, a blob lease, and the compare-and-swap on the
remote head, each enough by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shared.clock import Clock
from shared.domain.batches import Failure, Notice, StagedNotebook
from shared.domain.commits import apply
from shared.domain.runs import BatchStatus
from shared.errors import DamagedBlob, RemoteMoved, RepositoryError
from shared.protocols import BlobStore, Repository
from shared.services.backup.attribution import AttributionService, Known
from shared.services.backup.branch import find_head
from shared.services.backup.commit_chain import Chain, ChainBuilder, CommitIdentity
from shared.services.state.batch_rows import BatchStore, staging_blob
from shared.services.state.findings import FindingStore
from shared.services.state.lease import held
from shared.services.state.manifests import Checkpoint, ManifestStore
from shared.services.state.run_acts import RunActs
from shared.services.state.runs import RunStore
from shared.services.state.staged_archive import DamagedArchive, StagedArchive
from shared.services.state.stored_plan import load_plan, plan_blob
from shared.services.state.version_log import VersionLog

LEASE = "leases/commit"
MOST_REBUILDS = 5
PARALLEL_DOWNLOADS = 4


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
        *,
        repository: Repository,
        blobs: BlobStore,
        manifests: ManifestStore,
        versions: VersionLog,
        runs: RunStore,
        batches: BatchStore,
        findings: FindingStore,
        attribution: AttributionService,
        acts: RunActs,
        clock: Clock,
        scratch: Path,
        identity: CommitIdentity,
        anchor: Callable[[], str],
        max_files: int,
        max_bytes: int,
    ) -> None:
        self._repository, self._blobs, self._manifests = repository, blobs, manifests
        self._versions, self._runs, self._batches, self._findings = versions, runs, batches, findings
        self._clock, self._scratch, self._attribution = clock, scratch, attribution
        self._acts = acts
        self._chains = ChainBuilder(repository, identity, anchor)
        self._max_files, self._max_bytes = max_files, max_bytes

    def commit_staged(self, run_id: str) -> None:
        """Commit the run's staged batches, in order; with the last one, its deletions.

        Raises `LeaseLost`, `RepositoryError`, `StateConflict`: the call is made again and goes on from there.
        """
        with held(self._blobs, LEASE) as still_held:
            before = self._manifests.load()
            while (group := self._next_group(run_id)) is not None:
                batch_ids, last = group
                removed, realign = self._removals(run_id, before) if last else ((), False)
                if batch_ids or removed or realign:
                    before = self._commit_group(run_id, batch_ids, removed, before, still_held, realign=realign)
                if last:
                    break

    def _next_group(self, run_id: str) -> tuple[tuple[str, ...], bool] | None:
        """Batches for the next commit, within its bounds, and whether the run has no others."""
        rows = self._batches.rows(run_id)
        staged = [(key, row) for key, row in rows.items() if row["status"] == BatchStatus.STAGED]
        chosen: list[str] = []
        files = size = 0
        for key, row in staged:
            files += int(row.get("notebooks") or 0)
            size += int(row.get("bytes") or 0)
            if chosen and (files > self._max_files or size > self._max_bytes):
                break
            chosen.append(key)
        waiting = any(row["status"] == BatchStatus.QUEUED for row in rows.values())
        last = not waiting and len(chosen) == len(staged)
        return (tuple(chosen), last) if chosen or last else None

    def _removals(self, run_id: str, before: Checkpoint | None) -> tuple[tuple[str, ...], bool]:
        """Paths to remove, and whether the branch has to be brought back in line, changed or not."""
        try:
            plan = load_plan(self._blobs, run_id)
        except (KeyError, DamagedBlob) as error:
            failure = Failure(plan_blob(run_id), "plan_lost", f"nothing was removed, the next run does it: {error}")
            self._findings.record_failures(run_id, "deletions", [failure])
            return (), False
        manifest = before.manifest if before else {}
        return tuple(path for path in plan.deletes if path in manifest), bool(before and plan.notices)

    def _commit_group(
        self,
        run_id: str,
        batch_ids: tuple[str, ...],
        removed: tuple[str, ...],
        before: Checkpoint | None,
        still_held: Callable[[], None],
        *,
        realign: bool,
    ) -> Checkpoint | None:
        with ExitStack() as stack:
            chunk = self._open(run_id, batch_ids, removed, stack)
            if chunk.notebooks or chunk.removed or realign:
                before = self._commit(run_id, chunk, before, still_held)
        self._batches.committed(run_id, chunk.batch_ids, before.commit if before else None)
        return before

    def _commit(
        self, run_id: str, chunk: _Chunk, before: Checkpoint | None, still_held: Callable[[], None]
    ) -> Checkpoint:
        known = self._attribution.of_run(run_id)
        chain, notices = self._push(run_id, chunk, before, known, still_held)
        commits = self._chains.versions(chain, before)
        self._versions.save(commits)
        saved = self._manifests.save(run_id, chain.marks(before)[-1], chain.change.manifest, before)
        # Named before the batches count as committed: a crash in between repeats the group, and the names.
        source = f"commit-{chunk.batch_ids[0] if chunk.batch_ids else 'deletions'}"
        self._findings.record_failures(run_id, source, [_blocked(n) for n in chain.change.blocked])
        settled = [*notices, *known.notices, *map(_overruled, chain.change.conflicts)]
        self._findings.record_notices(run_id, source, settled)
        self._runs.update(run_id, commit=saved.commit)
        self._acts.pushed(run_id, commits)
        return saved

    def _push(
        self, run_id: str, chunk: _Chunk, before: Checkpoint | None, known: Known, still_held: Callable[[], None]
    ) -> tuple[Chain, list[Notice]]:
        """Build on the remote head and push; on a head that moved meanwhile, build again."""
        manifest = before.manifest if before else {}
        notices: dict[Notice, None] = {}
        for _ in range(MOST_REBUILDS):
            head = find_head(self._repository, before)
            notices |= dict.fromkeys(head.notices)
            change = apply(manifest, chunk.notebooks, chunk.removed, head.tree, head.strays)
            chain = self._chains.build(run_id, self._clock.now(), head, change, manifest, known, chunk.sources)
            still_held()
            # With no commit it is there already: the push had its effect and its answer, or what follows it, was lost.
            if chain.commits:
                try:
                    self._repository.push(chain.last, head.commit)
                except RemoteMoved:
                    continue
            return chain, list(notices)
        raise RepositoryError(action="push", detail=f"the branch moved {MOST_REBUILDS} times in a row")

    def _open(self, run_id: str, batch_ids: tuple[str, ...], removed: tuple[str, ...], stack: ExitStack) -> _Chunk:
        """Download the archives; a damaged one puts its batch back to be exported again."""
        notebooks: list[StagedNotebook] = []
        sources: dict[str, tuple[StagedArchive, str]] = {}
        opened: list[str] = []
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS, thread_name_prefix="archives") as beside:
            coming = {batch_id: beside.submit(self._download, run_id, batch_id, stack) for batch_id in batch_ids}
        for batch_id, download in coming.items():
            try:
                archive = download.result()
            except (DamagedArchive, DamagedBlob, KeyError) as error:
                self._batches.put_back(run_id, batch_id, str(error))
                continue
            opened.append(batch_id)
            notebooks += archive.index.notebooks
            sources |= {n.file: (archive, n.member) for n in archive.index.notebooks}
        return _Chunk(tuple(opened), tuple(notebooks), sources, removed)

    def _download(self, run_id: str, batch_id: str, stack: ExitStack) -> StagedArchive:
        # Two committers may work in one process: each downloads for itself.
        target = self._scratch / f"commit-{run_id}-{batch_id}-{uuid.uuid4().hex[:8]}.zip"
        stack.callback(target.unlink, missing_ok=True)
        self._blobs.get_file(staging_blob(run_id, batch_id), target)
        archive = StagedArchive(target)
        stack.callback(archive.close)
        return archive


def _blocked(notebook: StagedNotebook) -> Failure:
    reason = (
        f"somebody else's file or folder stands where {notebook.file} belongs, and is not touched: "
        "the next run gives the notebook another file name"
    )
    return Failure(notebook.item.path, "blocked_by_file", reason)


def _overruled(file: str) -> Notice:
    return Notice(file, "conflict_overruled", "a person's edit stays in history, the workspace's bytes are in place")
