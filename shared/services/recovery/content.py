"""Contents: the bytes of any version, from the repository, and of what the workspace holds now."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import batched

from shared.domain.blob_ids import blob_id
from shared.domain.folder_scopes import Scope
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES, ExportFormat, Language, ObjectType
from shared.errors import BackupError, NotFound, RepositoryError, TooLarge
from shared.protocols import Contents, Repository, Workspace
from shared.services.recovery.history import HistoryService

LIVE = "live"
BLOBS_AN_EXCHANGE = 500


class ContentMissing(BackupError):
    """The repository does not give {blob}, which it should hold. Run `./backup verify` to see what it lacks."""

    code = "content_missing"


class OutsideBackup(BackupError):
    """{path} is outside {root}, the folder that is backed up: it is not the backup's to show or restore."""

    code = "outside_backup"


class ContentTooLarge(BackupError):
    """The content {blob} has more than {most} bytes: somebody pushed it, and it is not read. Take it from Git."""

    code = "content_too_large"


@dataclass(frozen=True, slots=True)
class NotebookContent:
    """The bytes of a notebook; `commit` is None for what the workspace holds now."""

    path: str
    data: bytes
    language: Language
    format: ExportFormat
    blob: str
    sha256: str
    commit: str | None = None
    committed_at: int | None = None
    modified_at: int | None = None


class ContentService:
    """Reads blobs through a cache; requests that wait at the same time share one exchange with the remote."""

    def __init__(self, history: HistoryService, repository: Repository, workspace: Workspace, cache: Contents) -> None:
        self._history, self._repository, self._workspace, self._cache = history, repository, workspace, cache
        self._lock, self._exchange = threading.Lock(), threading.Lock()
        self._waiting: dict[str, Future[bytes]] = {}

    def at(self, path: str, at: str) -> NotebookContent:
        """A notebook as of a moment, or `live`.

        Raises `UnknownMoment`, `NotInBackup`, `ContentMissing`, `ContentTooLarge`, `RepositoryError`,
        `WorkspaceError`.
        """
        if at == LIVE:
            return self.live(path)
        found = self._history.version(path, at)
        data, version = self.blob(found.version.blob), found.version
        return NotebookContent(
            path=path,
            data=data,
            language=version.language,
            format=version.format,
            blob=version.blob,
            sha256=hashlib.sha256(data).hexdigest(),
            commit=found.commit.commit,
            committed_at=found.commit.committed_at,
            modified_at=version.modified_at,
        )

    def live(self, path: str) -> NotebookContent:
        """What the workspace holds now, as Jupyter where the source is over its limit.

        Raises `WorkspaceError`, and `OutsideBackup`: the backup's identity may see more than whoever asks.
        """
        if not Scope(frozenset({self._history.root})).holds_notebook(path):
            raise OutsideBackup(path=path, root=self._history.root)
        status = self._workspace.status(path)
        if status.object_type is not ObjectType.NOTEBOOK:
            raise NotFound(path=path, error_code="NOT_A_NOTEBOOK", detail=f"it is a {status.object_type.value}")
        data, fmt = export_live(self._workspace, path)
        return NotebookContent(
            path=path,
            data=data,
            language=status.language or Language.PYTHON,
            format=fmt,
            blob=blob_id(data),
            sha256=hashlib.sha256(data).hexdigest(),
            modified_at=status.modified_at,
        )

    def blob(self, blob: str) -> bytes:
        """The bytes of a Git blob. Raises `ContentMissing`, `ContentTooLarge`, `RepositoryError`."""
        known = self._cache.get(blob)
        if known is not None:
            return known
        with self._lock:
            waiting = self._waiting.setdefault(blob, Future())
        # Whoever comes first fetches for all who wait by then; the others find their own answered.
        with self._exchange:
            if not waiting.done():
                self._fetch_waiting()
        return waiting.result()

    def expect(self, blob: str) -> None:
        """Have the cache hold a blob soon; what goes wrong is met by whoever reads it."""
        with contextlib.suppress(BackupError):
            self.blob(blob)

    def blobs(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Many blobs, each once, one at a time; those that are too large, or not there, are left out.

        Raises `RepositoryError`.
        """
        return ((blob, data) for blob, data in self._read(ids) if isinstance(data, bytes))

    def _read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes | BackupError]]:
        """Blobs, or why one cannot be had."""
        for some in batched(dict.fromkeys(ids), BLOBS_AN_EXCHANGE, strict=False):
            wanted = []
            for blob in some:
                known = self._cache.get(blob)
                if known is None:
                    wanted.append(blob)
                else:
                    yield blob, known
            yield from self._fetched(wanted)

    def _fetch_waiting(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        try:
            # Those that came before may have brought it.
            found = dict(self._read(waiting))
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            for future in waiting.values():
                future.set_exception(error)
            return
        for blob, future in waiting.items():
            data = found[blob]
            if isinstance(data, bytes):
                future.set_result(data)
            else:
                future.set_exception(data)

    def _fetched(self, wanted: list[str]) -> Iterator[tuple[str, bytes | BackupError]]:
        """Fetch and keep; where the remote lacks one of several, each is asked for by itself."""
        if not wanted:
            return
        left = dict.fromkeys(wanted)
        try:
            for blob, data in self._repository.blobs(wanted, MOST_NOTEBOOK_BYTES):
                del left[blob]
                self._cache.put(blob, data)
                yield blob, data
        except RepositoryError:
            if len(wanted) == 1:
                if self._repository.fetch() is None:  # raises where the remote does not answer at all
                    raise
                yield wanted[0], ContentMissing(blob=wanted[0])
                return
            half = (len(left) + 1) // 2
            yield from self._fetched(list(left)[:half])
            yield from self._fetched(list(left)[half:])
            return
        for blob in left:
            yield blob, ContentTooLarge(blob=blob, most=MOST_NOTEBOOK_BYTES)


def export_live(workspace: Workspace, path: str) -> tuple[bytes, ExportFormat]:
    """What the workspace holds, in the format that brings it whole. Raises `WorkspaceError`."""
    try:
        return workspace.export(path, ExportFormat.SOURCE), ExportFormat.SOURCE
    except TooLarge:
        return workspace.export(path, ExportFormat.JUPYTER), ExportFormat.JUPYTER
