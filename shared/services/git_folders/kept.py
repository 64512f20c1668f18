"""What is kept of a folder before it is touched: its notebooks by hash, its folders and its permissions."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any

from shared.domain.git_folders import Held, Seen, tree_path
from shared.domain.manifest import ManifestEntry
from shared.domain.notebooks import Language, ObjectType
from shared.errors import NotFound
from shared.protocols import GitFolders, Grant
from shared.services.git_folders.operations import OperationStore
from shared.services.git_folders.store import key_of
from shared.services.git_folders.tree import Tree

type Inner = Mapping[str, tuple[ObjectType, tuple[Grant, ...]]]
"""Objects that have permissions of their own, by the path below the folder."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder as it was: notebooks by path below it with how a listing saw them and what they held."""

    path: str
    tree: str
    notebooks: Mapping[str, tuple[Seen, Held]]
    folders: tuple[str, ...]
    grants: tuple[Grant, ...]
    inner: Inner

    @classmethod
    def of(
        cls, path: str, tree: Tree, entries: Mapping[str, ManifestEntry], grants: list[Grant], inner: Inner
    ) -> Snapshot:
        """From a listing whose notebooks are all in the last backup."""
        seen = tree.seen()
        first = next(iter(entries.values()))
        notebooks = {rel: (seen[rel], Held(e.sha256, e.language)) for rel, e in entries.items()}
        return cls(path, tree_path(first, path), notebooks, tuple(tree.folders()), tuple(grants), inner)

    def held(self) -> dict[str, Held]:
        """What the notebooks held."""
        return {rel: held for rel, (_, held) in self.notebooks.items()}

    def seen(self) -> dict[str, Seen]:
        """How the notebooks were listed."""
        return {rel: seen for rel, (seen, _) in self.notebooks.items()}


class SnapshotStore:
    """Blobs of an operation, for each folder `snapshot`, and listings by name."""

    def __init__(self, operations: OperationStore, host: GitFolders, pool: Executor) -> None:
        self._operations, self._host, self._pool = operations, host, pool

    def read_grants(self, tree: Tree) -> tuple[list[Grant], Inner]:
        """The folder's own permissions, and those that objects below it have themselves."""
        kinds = (ObjectType.DIRECTORY, ObjectType.NOTEBOOK)
        asked = [(rel, o) for rel, o in tree.objects.items() if o.object_type in kinds]
        read = self._pool.map(lambda pair: self._grants(pair[1].object_type, pair[1].object_id), asked)
        inner = {rel: (o.object_type, tuple(g)) for (rel, o), g in zip(asked, read, strict=True) if g}
        return self._host.grants(ObjectType.DIRECTORY, tree.object_id), inner

    def save(self, identity: str, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self._operations.put(identity, _name(snapshot.path, "snapshot"), _encode(snapshot))

    def find(self, identity: str, path: str) -> Snapshot | None:
        """A folder's snapshot, None where there is none."""
        body = self._operations.find(identity, _name(path, "snapshot"))
        return _decode(body) if body else None

    def get(self, identity: str, path: str) -> Snapshot:
        """A folder's snapshot. Raises `KeyError`, `DamagedBlob`."""
        return _decode(self._operations.get(identity, _name(path, "snapshot")))

    def save_seen(self, identity: str, path: str, what: str, seen: Mapping[str, Seen]) -> None:
        """Keep a listing under a name."""
        self._operations.put(identity, _name(path, what), {rel: _seen_row(s) for rel, s in seen.items()})

    def seen(self, identity: str, path: str, what: str) -> dict[str, Seen]:
        """A listing that was kept; empty where there is none."""
        body = self._operations.find(identity, _name(path, what)) or {}
        return {rel: _seen(row) for rel, row in body.items()}

    def save_held(self, identity: str, path: str, what: str, held: Mapping[str, Held]) -> None:
        """Keep what notebooks held under a name."""
        self._operations.put(identity, _name(path, what), {rel: [h.sha256, h.language] for rel, h in held.items()})

    def held(self, identity: str, path: str, what: str) -> dict[str, Held] | None:
        """What was kept of notebooks, None where there is nothing."""
        body = self._operations.find(identity, _name(path, what))
        return None if body is None else {rel: Held(row[0], _language(row[1])) for rel, row in body.items()}

    def _grants(self, kind: ObjectType, object_id: int) -> list[Grant]:
        try:
            return self._host.grants(kind, object_id)
        except NotFound:
            return []


def _name(path: str, what: str) -> str:
    return f"{key_of(path)}/{what}"


def _encode(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "path": snapshot.path,
        "tree": snapshot.tree,
        "notebooks": {rel: [_seen_row(s), [h.sha256, h.language]] for rel, (s, h) in snapshot.notebooks.items()},
        "folders": list(snapshot.folders),
        "grants": [asdict(g) for g in snapshot.grants],
        "inner": {rel: [kind.value, [asdict(g) for g in grants]] for rel, (kind, grants) in snapshot.inner.items()},
    }


def _decode(body: Any) -> Snapshot:
    return Snapshot(
        body["path"],
        body["tree"],
        {rel: (_seen(s), Held(h[0], _language(h[1]))) for rel, (s, h) in body["notebooks"].items()},
        tuple(body["folders"]),
        tuple(Grant(**g) for g in body["grants"]),
        {rel: (ObjectType(kind), tuple(Grant(**g) for g in grants)) for rel, (kind, grants) in body["inner"].items()},
    )


def _seen_row(seen: Seen) -> list[Any]:
    return [seen.object_id, seen.modified_at, seen.language]


def _seen(row: list[Any]) -> Seen:
    return Seen(row[0], row[1], _language(row[2]))


def _language(value: str | None) -> Language | None:
    return Language(value) if value else None
