"""The stored state: every blob still what was written, every row and blob that belong together both there."""

from __future__ import annotations

import uuid
import zipfile
from collections import Counter
from pathlib import Path

from shared.domain.batches import Failure
from shared.domain.codec import decode_batch
from shared.domain.runs import BatchStatus, Phase, RunStatus
from shared.errors import DamagedBlob
from shared.protocols import BlobStore, Row
from shared.services.state.batch_rows import BatchStore, batch_blob, staging_blob
from shared.services.state.findings import FindingStore
from shared.services.state.runs import RunStore
from shared.services.state.staged_archive import DamagedArchive, StagedArchive
from shared.services.state.stored_plan import StoredPlan, load_plan, plan_blob

_PREFIXES = (
    "batches/",
    "plans/",
    "failures/",
    "notices/",
    "manifests/",
    "changes/",
    "history/",
    "history-authors/",
    "restores/",
)
_MOST_RUNS = 500
_PLANNED = (Phase.EXPORTING, Phase.FINISHING, Phase.DONE)


class StoredStateCheck:
    """Reads every blob and row of the runs whose state is still kept."""

    def __init__(
        self, blobs: BlobStore, runs: RunStore, batches: BatchStore, findings: FindingStore, scratch: Path
    ) -> None:
        self._blobs, self._runs, self._batches, self._scratch = blobs, runs, batches, scratch
        self._findings = findings

    def check(self, *, has_checkpoint: bool) -> tuple[list[Failure], Counter[str]]:
        """What is damaged or missing, and how many blobs and rows were read."""
        found: list[Failure] = []
        counts: Counter[str] = Counter()
        names = {name for prefix in (*_PREFIXES, "staging/") for name in self._blobs.names(prefix)}
        for name in sorted(names):
            counts["blobs"] += 1
            found += self._check_blob(name)
        runs = {row.key: row.row for row in self._runs.recent(_MOST_RUNS)}
        kept = {name.split("/")[1] for name in names if name.startswith("batches/")}
        found += [Failure(run, "run_missing", "its batches are stored, its row is gone") for run in kept - runs.keys()]
        for run_id, row in runs.items():
            counts["runs"] += 1
            found += self._check_run(run_id, row, names)
        if not has_checkpoint and any(row.get("commit") for row in runs.values()):
            reason = "runs have committed, but the row that names the last commit is gone"
            found.append(Failure("checkpoints/backup/current", "checkpoint_missing", reason))
        return found, counts

    def _check_blob(self, name: str) -> list[Failure]:
        try:
            if name.startswith("staging/"):
                self._read_archive(name)
            else:
                self._blobs.get(name)
        except KeyError:
            return []  # cleaned since it was listed
        except (DamagedBlob, DamagedArchive) as error:
            return [Failure(name, error.code, str(error))]
        return []

    def _read_archive(self, name: str) -> None:
        target = self._scratch / f"verify-{uuid.uuid4().hex[:8]}.zip"
        try:
            self._blobs.get_file(name, target)
            StagedArchive(target).close()
            with zipfile.ZipFile(target) as archive:
                if bad := archive.testzip():
                    raise DamagedArchive(name=name, detail=f"{bad} is damaged")
        finally:
            target.unlink(missing_ok=True)

    def _check_run(self, run_id: str, row: Row, names: set[str]) -> list[Failure]:
        status, phase = row.get("status"), row.get("phase")
        if status not in RunStatus or phase not in Phase:
            return [Failure(run_id, "row_damaged", f"its row says {status!r} and {phase!r}")]
        if phase not in _PLANNED or status == RunStatus.FAILED:
            return []
        rows = self._batches.rows(run_id)
        if plan_blob(run_id) not in names:
            # Past its retention, rows and all; a row that stayed shows that the blob went by itself.
            return [Failure(plan_blob(run_id), "blob_missing", "the run's plan is gone")] if rows else []
        try:
            plan = load_plan(self._blobs, run_id)
        except (KeyError, DamagedBlob):
            return []  # named above
        found = [
            Failure(run_id, "row_damaged", f"its row says {row.get(name)!r} {name}, its plan {count}")
            for name, count in plan.counts.items()
            if row.get(name) != count
        ]
        if RunStatus(str(status)).final:
            found += self._check_findings(run_id, row)
        return found + self._check_batches(run_id, plan, rows, names)

    def _check_findings(self, run_id: str, row: Row) -> list[Failure]:
        """What the run named when it ended must still be named."""
        named = {"failed": len(self._batches.failures(run_id)), "notices": len(self._batches.notices(run_id))}
        kinds = {"failed": "failures", "notices": "notices"}
        return [
            Failure(f"{kinds[name]}/{run_id}", "blob_missing", f"{count} are stored, the run's row says {row[name]}")
            for name, count in named.items()
            if name in row and row[name] != count
        ]

    def _check_batches(self, run_id: str, plan: StoredPlan, rows: dict[str, Row], names: set[str]) -> list[Failure]:
        found: list[Failure] = []
        for batch_id in sorted(plan.batches.keys() | rows.keys()):
            row, planned = rows.get(batch_id), plan.batches.get(batch_id)
            where = f"batches/{run_id}/{batch_id}"
            if row is None or planned is None:
                found.append(Failure(where, "row_missing", "the plan and the rows do not name the same batches"))
                continue
            if row.get("status") not in BatchStatus or row.get("planned") != planned:
                reason = f"its row says {row.get('status')!r} and {row.get('planned')!r} notebooks, the plan {planned}"
                found.append(Failure(where, "row_damaged", reason))
                continue
            found += self._check_batch_blobs(run_id, batch_id, row, planned, names)
        return found

    def _check_batch_blobs(self, run_id: str, batch_id: str, row: Row, planned: int, names: set[str]) -> list[Failure]:
        found: list[Failure] = []
        wanted = [batch_blob(run_id, batch_id)]
        if row["status"] in (BatchStatus.STAGED, BatchStatus.COMMITTED):
            wanted.append(staging_blob(run_id, batch_id))
        found += [Failure(name, "blob_missing", "its row names it") for name in wanted if name not in names]
        try:
            items = len(decode_batch(self._blobs.get(wanted[0])).items)
        except (KeyError, DamagedBlob):
            return found
        if items != planned:
            found.append(Failure(wanted[0], "blob_differs", f"it holds {items} notebooks, the plan says {planned}"))
        return found
