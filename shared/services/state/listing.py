"""The listing: every folder below the root, in parallel, resumable in time slices.

`GET /workspace/list` is not recursive and has no paging, so a tree of 6,300 folders is 6,300 calls.
What was listed is kept in segment blobs: a planning step that dies or runs out of its time slice goes on
from there.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field

from shared.clock import Clock
from shared.domain.notebooks import Language, ObjectType, WorkspaceObject
from shared.domain.planning import EVERYTHING, TreeListing, Wanted
from shared.errors import DamagedBlob, NotFound, WorkspaceError
from shared.protocols import BlobStore, Workspace

SEGMENT_FOLDERS = 2_000


@dataclass(slots=True)
class _Walk:
    """Folders listed so far, those that could not be, and those still to list."""

    folders: dict[str, tuple[WorkspaceObject, ...]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    todo: list[str] = field(default_factory=list)
    unasked: set[str] = field(default_factory=set)
    unsaved: list[str] = field(default_factory=list)
    segments: int = 0


class TreeLister:
    """Lists a tree with `threads` parallel calls of a shared pool."""

    def __init__(self, workspace: Workspace, blobs: BlobStore, clock: Clock, pool: Executor, threads: int) -> None:
        self._workspace, self._blobs, self._clock, self._pool, self._threads = workspace, blobs, clock, pool, threads

    def list_tree(
        self,
        run_id: str,
        root: str,
        budget_seconds: float,
        wanted: Wanted = EVERYTHING,
    ) -> TreeListing | None:
        """Every folder below `root` that leads to something wanted.

        None where the time slice ended first and the step must be run again.

        Raises `WorkspaceError` where the root itself cannot be listed: nothing could be told apart then.
        """
        walk = self._resume(run_id, root, wanted)
        deadline = self._clock.monotonic() + budget_seconds
        running: dict[Future[list[WorkspaceObject]], str] = {}
        while walk.todo or running:
            late = self._clock.monotonic() > deadline
            while walk.todo and len(running) < 2 * self._threads and not late:
                path = walk.todo.pop()
                running[self._pool.submit(self._workspace.list, path)] = path
            if late and not running:
                self._save_segment(run_id, walk)
                return None
            self._collect(walk, running, root, wanted)
            if len(walk.unsaved) >= SEGMENT_FOLDERS:
                self._save_segment(run_id, walk)
        return TreeListing(root, walk.folders, walk.unknown, frozenset(walk.unasked))

    def _collect(
        self, walk: _Walk, running: dict[Future[list[WorkspaceObject]], str], root: str, wanted: Wanted
    ) -> None:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            path = running.pop(future)
            try:
                children = tuple(future.result())
            except WorkspaceError as error:
                if path == root:
                    raise
                # A 404 may mean 'no permission': either way nothing is known of what is below.
                walk.unknown[path] = f"{'not found' if isinstance(error, NotFound) else error.code}: {error}"
                continue
            _enter(walk, path, children, wanted)
            walk.unsaved.append(path)

    def _resume(self, run_id: str, root: str, wanted: Wanted) -> _Walk:
        walk = _Walk()
        for name in self._blobs.names(f"plans/{run_id}/listing-"):
            # Not their number: one that is missing must not have the next written over the last.
            walk.segments = int(name.rpartition("-")[2].partition(".")[0]) + 1
            try:
                rows = list(_decode(self._blobs.get(name)))
            except (DamagedBlob, KeyError):
                # Its folders are simply listed again.
                continue
            for path, children in rows:
                _enter(walk, path, children, wanted)
        reached = {c.path for children in walk.folders.values() for c in children if c.object_type.holds_children}
        walk.todo = sorted((reached | {root}) - walk.folders.keys() - walk.unasked)
        return walk

    def _save_segment(self, run_id: str, walk: _Walk) -> None:
        data = _encode((path, walk.folders[path]) for path in walk.unsaved)
        self._blobs.put(f"plans/{run_id}/listing-{walk.segments:05}.jsonl.gz", data)
        walk.segments += 1
        walk.unsaved.clear()


def _enter(walk: _Walk, path: str, children: tuple[WorkspaceObject, ...], wanted: Wanted) -> None:
    walk.folders[path] = children
    folders = [c.path for c in children if c.object_type.holds_children]
    asked = [folder for folder in folders if wanted.leads_to(folder)]
    walk.todo.extend(asked)
    walk.unasked.update(set(folders) - set(asked))


def _encode(folders: Iterable[tuple[str, tuple[WorkspaceObject, ...]]]) -> bytes:
    lines = (
        json.dumps(
            [path, [[c.path, c.object_type, c.object_id, c.language, c.modified_at, c.size] for c in children]],
        )
        for path, children in folders
    )
    return gzip.compress("\n".join(lines).encode(), compresslevel=1, mtime=0)


def _decode(data: bytes) -> Iterable[tuple[str, tuple[WorkspaceObject, ...]]]:
    for line in gzip.decompress(data).decode().splitlines():
        path, rows = json.loads(line)
        yield (
            path,
            tuple(
                WorkspaceObject(p, ObjectType(kind), oid, Language(lang) if lang else None, modified, size)
                for p, kind, oid, lang, modified, size in rows
            ),
        )
