"""Exporting: one batch becomes one staged archive, whole folders in one call where that works."""

from __future__ import annotations

import hashlib
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from shared.clock import Clock
from shared.domain.batches import Batch, ExportItem, Failure, FolderExport, Notice, StagedBatch, StagedNotebook
from shared.domain.blob_ids import blob_id
from shared.domain.codec import decode_batch
from shared.domain.notebooks import ExportFormat
from shared.domain.runs import BatchStatus
from shared.errors import DamagedBlob, TooLarge, WorkspaceError, WorkspaceUnavailable
from shared.protocols import BlobStore, Row, Workspace
from shared.services.backup.secret_screen import SecretScreen
from shared.services.state.batch_rows import BatchStore, batch_blob, staging_blob
from shared.services.state.findings import FindingStore
from shared.services.state.folder_zips import folder_notebooks
from shared.services.state.staged_archive import StagedArchiveWriter

MOST_UNUSABLE_ZIPS = 3
MOST_WAITING = 64
"""Exports under way for one batch: what bounds its memory, whatever the batch's bytes."""


@dataclass(slots=True)
class _Staging:
    archive: StagedArchiveWriter
    screen: SecretScreen
    notebooks: list[StagedNotebook] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    size: int = 0

    def add(self, item: ExportItem, data: bytes, fmt: ExportFormat) -> None:
        found = self.screen.look_at(item.path, data)
        if isinstance(found, Failure):
            self.failures.append(found)
            return
        if found:
            self.notices.append(found)
        self.notebooks.append(
            StagedNotebook(
                item=item,
                member=self.archive.add(data),
                file=item.file if fmt is ExportFormat.SOURCE else item.jupyter_file,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                blob=blob_id(data),
                format=fmt,
            )
        )
        self.size += len(data)


class ExportService:
    """Exports batches; safe to run twice, late, or beside itself: the last archive written wins whole."""

    def __init__(
        self,
        workspace: Workspace,
        blobs: BlobStore,
        batches: BatchStore,
        findings: FindingStore,
        clock: Clock,
        pool: Executor,
        scratch: Path,
        screen: SecretScreen,
    ) -> None:
        self._workspace, self._blobs, self._batches, self._findings = workspace, blobs, batches, findings
        self._clock, self._pool, self._scratch, self._screen = clock, pool, scratch, screen
        self._unusable_zips = 0

    def export_batch(self, run_id: str, batch_id: str) -> None:
        """Export and stage a batch, name its failures, then its row.

        Nothing happens for a batch that is past this; one whose blob is lost is given up. Raises
        `WorkspaceUnavailable` where nothing at all could be exported, so that the message comes again.
        """
        row = self._batches.get(run_id, batch_id)
        if row is None or row["status"] != BatchStatus.QUEUED:
            return
        try:
            batch = decode_batch(self._blobs.get(batch_blob(run_id, batch_id)))
        except (KeyError, DamagedBlob) as error:
            self._batches.give_up(run_id, batch_id, f"its blob cannot be read: {error}")
            return
        target = self._scratch / f"{run_id}-{batch_id}-{uuid.uuid4().hex[:8]}.zip"
        try:
            with StagedArchiveWriter(target) as archive:
                staging = _Staging(archive, self._screen)
                self._export(batch, staging, target)
                archive.finish(StagedBatch(run_id, batch_id, tuple(staging.notebooks), tuple(staging.failures)))
            self._blobs.put_file(staging_blob(run_id, batch_id), target)
        finally:
            target.unlink(missing_ok=True)
        values: Row = {
            "status": BatchStatus.STAGED.value,
            "notebooks": len(staging.notebooks),
            "failed": len(staging.failures),
            "notices": len(staging.notices),
            "bytes": staging.size,
            "staged_at": self._clock.now().isoformat(),
        }
        # Where there are none, the row says so, whatever an earlier delivery found.
        if staging.failures:
            self._findings.record_failures(run_id, batch_id, staging.failures)
        if staging.notices:
            self._findings.record_notices(run_id, batch_id, staging.notices)
        self._batches.update(run_id, batch_id, values)

    def _export(self, batch: Batch, staging: _Staging, target: Path) -> None:
        items = {item.path: item for item in batch.items}
        # Each zip is at most the workspace's export limit, and a batch asks for few: they are fetched at once.
        asked = [
            (folder, zipped := target.with_suffix(f".{n}"), self._pool.submit(self._fetch_folder, folder.path, zipped))
            for n, folder in enumerate(batch.folders)
        ]
        for folder, zipped, fetched in asked:
            for path in self._take_folder(folder, items, staging, zipped, fetched):
                del items[path]
        unavailable = self._export_singly(list(items.values()), staging)
        if unavailable and not staging.notebooks:
            raise unavailable

    def _fetch_folder(self, path: str, target: Path) -> bool:
        """Whether the folder's zip lies at `target`; False where zips never come as they should, or it is too large."""
        if self._unusable_zips >= MOST_UNUSABLE_ZIPS:
            return False
        try:
            self._workspace.export_folder(path, target)
        except TooLarge:
            return False
        return True

    def _take_folder(
        self,
        folder: FolderExport,
        items: dict[str, ExportItem],
        staging: _Staging,
        target: Path,
        fetched: Future[bool],
    ) -> list[str]:
        """Paths that the folder's zip brought; none where it cannot be had or used."""
        taken: list[str] = []
        try:
            if not fetched.result():
                return taken
            wanted = {path: items[path].language for path in folder.paths}
            for path, data in folder_notebooks(target, folder.path, wanted):
                staging.add(items[path], data, ExportFormat.SOURCE)
                taken.append(path)
        except (WorkspaceError, zipfile.BadZipFile):
            self._unusable_zips += 1
            return taken
        finally:
            target.unlink(missing_ok=True)
        self._unusable_zips = 0 if taken else self._unusable_zips + 1
        return taken

    def _export_singly(self, items: list[ExportItem], staging: _Staging) -> WorkspaceError | None:
        """Export in parallel, notebooks in the order they come; returns the last passing error, if any."""
        unavailable: WorkspaceError | None = None
        for item, future in self._in_parallel(items):
            try:
                data, fmt = future.result()
            except WorkspaceError as error:
                staging.failures.append(Failure(item.path, error.code, str(error)))
                unavailable = error if isinstance(error, WorkspaceUnavailable) else unavailable
            else:
                staging.add(item, data, fmt)
        return unavailable

    def _in_parallel(self, items: list[ExportItem]) -> Iterator[tuple[ExportItem, Future[tuple[bytes, ExportFormat]]]]:
        waiting: dict[Future[tuple[bytes, ExportFormat]], ExportItem] = {}
        for item in items:
            waiting[self._pool.submit(self._export_one, item)] = item
            if len(waiting) >= MOST_WAITING:
                yield from _finished(waiting)
        while waiting:
            yield from _finished(waiting)

    def _export_one(self, item: ExportItem) -> tuple[bytes, ExportFormat]:
        try:
            return self._workspace.export(item.path, ExportFormat.SOURCE), ExportFormat.SOURCE
        except TooLarge:
            return self._workspace.export(item.path, ExportFormat.JUPYTER), ExportFormat.JUPYTER


def _finished(
    waiting: dict[Future[tuple[bytes, ExportFormat]], ExportItem],
) -> Iterator[tuple[ExportItem, Future[tuple[bytes, ExportFormat]]]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        yield waiting.pop(future), future
