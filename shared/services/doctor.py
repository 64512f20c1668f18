"""The doctor: every outside system and right that the settings name, checked, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.errors import BackupError
from shared.protocols import BlobStore, Queue, Repository, Tables, Workspace
from shared.services.status import Json


class _Systems(Protocol):
    @property
    def workspace(self) -> Workspace: ...
    @property
    def repository(self) -> Repository: ...
    @property
    def blobs(self) -> BlobStore: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def tables(self) -> Tables: ...


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    run: Callable[[], str]
    remedy: str


class DoctorService:
    """Checks by doing: lists the root, reads the branch, writes and removes one blob and one row."""

    def __init__(self, root: str, systems: _Systems) -> None:
        self._root, self._systems = root, systems

    def check(self) -> list[Json]:
        """One row a check: `name`, `ok`, `detail`, and `remedy` where it failed. Raises nothing."""
        return [self._outcome(check) for check in self._checks()]

    def _checks(self) -> list[_Check]:
        return [
            _Check(
                "workspace", self._workspace, "check DATABRICKS_HOST and its token, and grant CAN READ on BACKUP_ROOT"
            ),
            _Check("repository", self._repository, "check GIT_REMOTE_URL, GIT_BRANCH and GIT_TOKEN"),
            _Check("blobs", self._blobs, "check AzureWebJobsStorage; the identity needs Storage Blob Data Owner"),
            _Check("queues", self._queues, "check AzureWebJobsStorage; it needs Storage Queue Data Contributor"),
            _Check("tables", self._tables, "check AzureWebJobsStorage; it needs Storage Table Data Contributor"),
        ]

    @staticmethod
    def _outcome(check: _Check) -> Json:
        try:
            return {"name": check.name, "ok": True, "detail": check.run(), "remedy": None}
        except BackupError as error:
            return {"name": check.name, "ok": False, "detail": str(error), "remedy": check.remedy}
        except Exception as error:  # noqa: BLE001 - a check reports whatever its system raises; the type is safe to show
            return {"name": check.name, "ok": False, "detail": type(error).__name__, "remedy": check.remedy}

    def _workspace(self) -> str:
        children = self._systems.workspace.list(self._root)
        return f"{self._root} lists {len(children)} objects"

    def _repository(self) -> str:
        head = self._systems.repository.fetch()
        return f"the branch is at {head[:12]}" if head else "the branch does not exist yet: the first run makes it"

    def _blobs(self) -> str:
        self._systems.blobs.put("doctor/probe", b"probe")
        self._systems.blobs.get("doctor/probe")
        self._systems.blobs.delete("doctor/probe")
        return "a blob was written, read and removed"

    def _queues(self) -> str:
        return f"{self._systems.queue.length('backup-export')} batches wait"

    def _tables(self) -> str:
        self._systems.tables.upsert("checkpoints", "doctor", "probe", {"ok": True})
        self._systems.tables.delete("checkpoints", "doctor", "probe")
        return "a row was written and removed"
