"""What is kept how long: staged archives, plans and batch rows for days, manifests and restores longer."""

from __future__ import annotations

from datetime import date

from shared.clock import Clock
from shared.domain.runs import run_day
from shared.protocols import BlobStore
from shared.services.state.batch_rows import BatchStore
from shared.services.state.manifests import ManifestStore
from shared.services.state.restore_store import RestoreStore
from shared.services.state.stored_plan import plan_blob

_OF_RUNS = ("staging/", "batches/", "failures/", "notices/", "plans/", "changes/")


class RetentionService:
    """Removes what is past its time. What the checkpoint names stays, whatever its age, and what names no day."""

    def __init__(
        self,
        blobs: BlobStore,
        batches: BatchStore,
        manifests: ManifestStore,
        restores: RestoreStore,
        clock: Clock,
        *,
        staging_days: int,
        manifest_days: int,
        restore_days: int,
    ) -> None:
        self._blobs, self._batches, self._manifests, self._clock = blobs, batches, manifests, clock
        self._staging_days, self._manifest_days = staging_days, manifest_days
        self._restores, self._restore_days = restores, restore_days

    def clean(self, run_id: str) -> None:
        """Remove what other runs than `run_id` left and that is past its time."""
        for prefix in _OF_RUNS:
            for name in list(self._blobs.names(prefix)):
                owner = name.split("/")[1]
                if owner != run_id and self._age_days(owner) > self._staging_days:
                    if name == plan_blob(owner):
                        self._batches.forget(owner)
                    self._blobs.delete(name)
        current = self._manifests.current_name()
        for name in list(self._blobs.names("manifests/")):
            if name != current and self._age_days(name.split("/")[1]) > self._manifest_days:
                self._blobs.delete(name)
        self._restores.forget_older(self._restore_days)

    def _age_days(self, run_id: str) -> int:
        """0 for what has no day in its name: it is not ours to remove, and no backup should end over it."""
        try:
            day = date.fromisoformat(run_day(run_id))
        except ValueError:
            return 0
        return (self._clock.now().date() - day).days
