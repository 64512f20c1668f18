"""Self-verification: the backup proves its own contents, and names what it cannot prove."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.clock import Clock
from shared.domain.batches import Failure, Notice
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES
from shared.domain.sampling import sample
from shared.errors import NotFound, RepositoryError, WorkspaceError
from shared.protocols import Repository, Workspace
from shared.services.audit.care import AuditCare
from shared.services.operations.stored_state import StoredStateCheck
from shared.services.state.maintenance import Kind, MaintenanceStore
from shared.services.state.manifests import (
    Checkpoint,
    DamagedCheckpoint,
    DamagedManifest,
    ManifestMissing,
    ManifestStore,
)

MOST_SPLITS = 200
"""Attempts to find the blob among many that the remote cannot give."""
COUNTS = ("files", "sampled", "read_back", "changed_since", "blobs", "runs", "audit_records")
_REBUILDABLE = (DamagedCheckpoint, DamagedManifest, ManifestMissing)


@dataclass(slots=True)
class Verification:
    """What a verification found so far; `failures` are what is not as it must be."""

    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTS, 0)))
    rebuild: bool = False

    def fail(self, path: str, code: str, reason: str) -> None:
        """Name something that is not as it must be."""
        self.failures.append(Failure(path, code, reason))


class VerifyService:
    """Compares repository, manifest, checkpoint, workspace and stored state; changes none of them."""

    def __init__(
        self,
        *,
        repository: Repository,
        workspace: Workspace,
        manifests: ManifestStore,
        state: StoredStateCheck,
        audit: AuditCare,
        store: MaintenanceStore,
        clock: Clock,
        days: int,
        read_back: int,
    ) -> None:
        self._repository, self._workspace, self._manifests = repository, workspace, manifests
        self._state, self._audit, self._store, self._clock = state, audit, store, clock
        self._days, self._read_back = days, read_back

    def verify(self, identity: str) -> None:
        """Verify and store what was found; a lost manifest or checkpoint is made again by a rebuild.

        Raises what the adapters raise where an outside system does not answer: the step is run again.
        """
        if self._store.is_over(Kind.VERIFY, identity):
            return
        found = Verification()
        self._check_mirror(found)
        checkpoint = self._checkpoint(found)
        if checkpoint:
            self._check_branch(checkpoint, found)
            self._check_contents(checkpoint.manifest, found)
        failures, counts = self._state.check(has_checkpoint=checkpoint is not None or found.rebuild)
        found.failures += failures
        found.counts.update(counts)
        self._check_audit(found)
        if found.rebuild or any(f.code == "checkpoint_missing" for f in failures):
            rebuild = self._store.start(Kind.REBUILD, f"verification {identity}")
            found.notices.append(Notice(rebuild, "rebuild_started", "manifest and checkpoint are made again from Git"))
        self._store.finish(Kind.VERIFY, identity, found.failures, found.notices, dict(found.counts))

    def _checkpoint(self, found: Verification) -> Checkpoint | None:
        try:
            return self._manifests.load()
        except _REBUILDABLE as error:
            found.fail(str(error.fields["name"]), error.code, str(error))
            found.rebuild = True
            return None

    def _check_audit(self, found: Verification) -> None:
        care = self._audit.care()
        found.failures += care.failures
        found.notices += care.notices
        found.counts["audit_records"] += care.records

    def _check_mirror(self, found: Verification) -> None:
        # Before anything is fetched: that would mend some damage without a word.
        for problem in self._repository.check():
            found.notices.append(Notice("mirror", "mirror_remade", f"the local mirror was damaged: {problem}"))
            self._repository.forget()

    def _check_branch(self, checkpoint: Checkpoint, found: Verification) -> None:
        head = self._repository.fetch()
        if head is None:
            found.fail(checkpoint.commit, "branch_missing", "the branch is gone: the next run brings it back")
            return
        if not self._repository.contains(head, checkpoint.commit):
            reason = f"the branch stands at {head[:12]}, which does not follow on the last backup"
            found.fail(checkpoint.commit, "history_rewritten", reason)
            return
        self._compare_trees(checkpoint, head, found)

    def _compare_trees(self, checkpoint: Checkpoint, head: str, found: Verification) -> None:
        tree, now = self._repository.tree(checkpoint.commit), self._repository.tree(head)
        for entry in checkpoint.manifest.values():
            found.counts["files"] += 1
            present = tree.get(entry.file)
            if present is None:
                found.fail(entry.path, "file_missing", f"the last backup does not hold {entry.file}")
            elif present != entry.blob:
                found.fail(entry.path, "file_differs", f"the last backup holds other bytes in {entry.file}")
            elif now.get(entry.file) != entry.blob:
                reason = "changed on the branch since the last backup: the next run overrules it"
                found.notices.append(Notice(entry.file, "changed_on_branch", reason))

    def _check_contents(self, manifest: Manifest, found: Verification) -> None:
        chosen = sample(manifest.values(), self._clock.now().date(), self._days)
        by_blob: dict[str, list[ManifestEntry]] = {}
        for entry in chosen:
            by_blob.setdefault(entry.blob, []).append(entry)
        for blob, data in self._read(sorted(by_blob), by_blob, found):
            for entry in by_blob[blob]:
                found.counts["sampled"] += 1
                if (len(data), hashlib.sha256(data).hexdigest()) != (entry.size, entry.sha256):
                    found.fail(entry.path, "bytes_differ", f"{entry.file} does not hold the bytes that were exported")
        for entry in sorted(chosen, key=lambda e: e.sha256)[: self._read_back]:
            self._check_workspace(entry, found)

    def _read(
        self, blobs: list[str], by_blob: dict[str, list[ManifestEntry]], found: Verification
    ) -> Iterator[tuple[str, bytes]]:
        """The blobs' bytes; those that the remote cannot give are found by halving, and named."""
        waiting, tries = [blobs], 0
        while waiting:
            some = dict.fromkeys(waiting.pop())
            try:
                for blob, data in self._repository.blobs(list(some), MOST_NOTEBOOK_BYTES):
                    del some[blob]
                    yield blob, data
            except RepositoryError as error:
                tries, half = tries + 1, len(some) // 2
                if len(some) > 1 and tries < MOST_SPLITS:
                    waiting += [list(some)[:half], list(some)[half:]]
                    continue
                for entry in (e for blob in some for e in by_blob[blob]):
                    found.fail(entry.path, "blob_unreadable", f"the remote does not give {entry.file}: {error}")
            else:
                for entry in (e for blob in some for e in by_blob[blob]):
                    found.fail(entry.path, "bytes_differ", f"{entry.file} has more bytes than a notebook can have")

    def _check_workspace(self, entry: ManifestEntry, found: Verification) -> None:
        """A notebook that is as it was at its export must still have the bytes of its export."""
        try:
            before = self._workspace.status(entry.path)
            if (before.object_id, before.modified_at) != (entry.object_id, entry.modified_at):
                found.counts["changed_since"] += 1
                return
            data = self._workspace.export(entry.path, entry.format)
            after = self._workspace.status(entry.path)
        except NotFound:
            found.counts["changed_since"] += 1
            return
        except WorkspaceError as error:
            found.notices.append(Notice(entry.path, "not_read_back", str(error)))
            return
        if after.modified_at == entry.modified_at and hashlib.sha256(data).hexdigest() != entry.sha256:
            reason = "the workspace holds other bytes than the backup, though it says that nothing was modified"
            found.fail(entry.path, "workspace_differs", reason)
        found.counts["read_back"] += 1
