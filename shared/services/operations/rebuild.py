"""Rebuilding: manifest and checkpoint made again from Git and a listing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from shared.domain.batches import Notice
from shared.domain.commits import ATTRIBUTES_FILE
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.names import BadFileName, parse_file
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES, WorkspaceObject
from shared.domain.planning import TreeListing
from shared.domain.siblings import assign_files
from shared.errors import BackupError, RunActive
from shared.protocols import BlobStore, Repository
from shared.services.backup.commit import LEASE
from shared.services.state.lease import held
from shared.services.state.listing import TreeLister
from shared.services.state.maintenance import Kind, MaintenanceStore
from shared.services.state.manifests import ManifestStore
from shared.services.state.runs import RunStore

UNKNOWN_MODIFIED = 0
"""Git does not say when a notebook was modified in the workspace: the next run exports it, and compares."""


class NothingToRebuild(BackupError):
    """The remote branch does not exist, so there is nothing to rebuild from. Start a run: `./backup sync`."""

    code = "nothing_to_rebuild"


class RebuildService:
    """Makes manifest and checkpoint again; the repository and the workspace are only read."""

    def __init__(
        self,
        *,
        lister: TreeLister,
        repository: Repository,
        blobs: BlobStore,
        manifests: ManifestStore,
        runs: RunStore,
        store: MaintenanceStore,
        root: str,
        budget_seconds: float,
    ) -> None:
        self._lister, self._repository, self._blobs, self._manifests = lister, repository, blobs, manifests
        self._runs, self._store, self._root, self._budget = runs, store, root, budget_seconds

    def rebuild(self, identity: str) -> None:
        """Rebuild, in as many steps as the listing takes.

        Raises `RunActive`, `NothingToRebuild`, `LeaseLost`, and what the adapters raise.
        """
        if self._store.is_over(Kind.REBUILD, identity):
            return
        if active := self._runs.active():
            raise RunActive(run_id=active)
        listing = self._lister.list_tree(identity, self._root, self._budget)
        if listing is None:
            self._store.enqueue(Kind.REBUILD, identity)
            return
        with held(self._blobs, LEASE) as still_held:
            head = self._repository.fetch()
            if head is None:
                raise NothingToRebuild
            manifest, notices = self._manifest(head, listing)
            still_held()
            self._manifests.overwrite(identity, head, manifest)
            self._manifests.discard_damaged()
        self._store.finish(Kind.REBUILD, identity, [], notices, {"notebooks": len(manifest)})

    def _manifest(self, head: str, listing: TreeListing) -> tuple[Manifest, list[Notice]]:
        tree = self._repository.tree(head)
        ours = self._repository.own_files(head) & tree.keys() - {ATTRIBUTES_FILE}
        files = assign_files(listing.root, listing.folders, {}, tree.keys() - ours)
        listed = {n.path: n for n in listing.notebooks()}
        owner = {file: listed[path] for path, names in files.items() for file in (names.source, names.jupyter)}
        measured = {
            blob: (len(data), hashlib.sha256(data).hexdigest())
            for blob, data in self._repository.blobs((tree[file] for file in ours), MOST_NOTEBOOK_BYTES)
        }
        manifest: Manifest = {}
        notices: list[Notice] = []
        for file in sorted(ours, key=lambda f: (f not in owner, f)):
            entry = self._entry(file, tree[file], owner, measured)
            if entry is None or entry.path in manifest:
                reason = "the backup wrote it, but it stands for no notebook, or for one that has a file: it stays"
                if tree[file] not in measured:
                    reason = "it has more bytes than a notebook can have, so the backup did not write it like this"
                notices.append(Notice(file, "orphan", reason))
            else:
                manifest[entry.path] = entry
        return manifest, notices

    def _entry(
        self, file: str, blob: str, owner: Mapping[str, WorkspaceObject], measured: Mapping[str, tuple[int, str]]
    ) -> ManifestEntry | None:
        """The entry of a file; one whose notebook is not listed has no object id."""
        try:
            parsed = parse_file(file)
        except BadFileName:
            return None
        if blob not in measured:
            return None
        found = owner.get(file)
        size, sha256 = measured[blob]
        return ManifestEntry(
            path=found.path if found else "/".join((self._root, *parsed.parts)),
            file=file,
            object_id=found.object_id if found else 0,
            language=(found.language if found else None) or parsed.language,
            modified_at=UNKNOWN_MODIFIED,
            size=size,
            sha256=sha256,
            blob=blob,
            format=parsed.format,
        )
