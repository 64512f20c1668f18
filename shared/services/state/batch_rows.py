"""Batch rows: how far each batch of a run is, the messages that move it on, and when it is given up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from shared.domain.batches import Failure, Notice
from shared.domain.codec import decode_batch
from shared.domain.runs import BatchStatus, BatchTotals
from shared.errors import DamagedBlob
from shared.protocols import BlobStore, Queue, Row, Tables
from shared.services.state.findings import FindingStore

BATCHES = "batches"
EXPORT_QUEUE = "backup-export"
MOST_DAMAGED = 5
_ALREADY = (BatchStatus.STAGED, BatchStatus.COMMITTED)


def batch_blob(run_id: str, batch_id: str) -> str:
    """The blob that holds a batch."""
    return f"batches/{run_id}/{batch_id}.json"


def staging_blob(run_id: str, batch_id: str) -> str:
    """The blob of a batch's staged archive."""
    return f"staging/{run_id}/{batch_id}.zip"


class BatchStore:
    """Rows of the table `batches`: the run is the partition, the batch id the key."""

    def __init__(self, tables: Tables, blobs: BlobStore, queue: Queue, findings: FindingStore) -> None:
        self._tables, self._blobs, self._queue, self._findings = tables, blobs, queue, findings

    def rows(self, run_id: str) -> dict[str, Row]:
        """The run's rows by batch id, in order."""
        return {row.key: row.row for row in self._tables.query(BATCHES, run_id)}

    def get(self, run_id: str, batch_id: str) -> Row | None:
        """One batch's row, or None."""
        found = self._tables.get(BATCHES, run_id, batch_id)
        return found.row if found else None

    def totals(self, run_id: str) -> BatchTotals:
        """Sums over the run's rows."""
        return total(self.rows(run_id).values())

    def enter(self, run_id: str, planned: dict[str, int]) -> list[str]:
        """Write the rows that are missing (notebooks by batch id); returns the batches that wait for export."""
        known = self.rows(run_id)
        fresh: dict[str, Row] = {
            batch_id: {"status": BatchStatus.QUEUED.value, "planned": count}
            for batch_id, count in planned.items()
            if batch_id not in known
        }
        self._tables.upsert_many(BATCHES, run_id, fresh)
        return _waiting({**known, **fresh})

    def waiting(self, run_id: str) -> list[str]:
        """Batches that wait for their export, in order."""
        return _waiting(self.rows(run_id))

    def update(self, run_id: str, batch_id: str, values: Row) -> None:
        """Merge values into a batch's row."""
        self._tables.upsert(BATCHES, run_id, batch_id, values)

    def committed(self, run_id: str, batch_ids: Iterable[str], commit: str | None) -> None:
        """Mark batches whose notebooks the remote holds."""
        row: Row = {"status": BatchStatus.COMMITTED.value, "commit": commit}
        self._tables.upsert_many(BATCHES, run_id, dict.fromkeys(batch_ids, row))

    def enqueue(self, run_id: str, batch_id: str) -> None:
        """Send the message that asks for a batch's export."""
        self._queue.send(EXPORT_QUEUE, export_message(run_id, batch_id))

    def put_back(self, run_id: str, batch_id: str, reason: str) -> None:
        """Have a batch exported again whose archive cannot be used; one that stays so is given up."""
        damaged = int((self.get(run_id, batch_id) or {}).get("damaged") or 0) + 1
        self.update(run_id, batch_id, {"status": BatchStatus.QUEUED.value, "damaged": damaged})
        if damaged > MOST_DAMAGED:
            self.give_up(run_id, batch_id, f"its staged archive was damaged {MOST_DAMAGED} times: {reason}")
        else:
            self.enqueue(run_id, batch_id)

    def give_up(self, run_id: str, batch_id: str, reason: str) -> None:
        """Settle a batch that cannot be exported: its notebooks are named as failed. One that came through stays.

        Raises `StateConflict` where the batch moves at the same time.
        """
        found = self._tables.get(BATCHES, run_id, batch_id)
        if found is None or found.row["status"] != BatchStatus.QUEUED:
            return
        failures = [Failure(path, "batch_poisoned", reason) for path in self.paths(run_id, batch_id)]
        # Named first, so that a crash here loses no name; they count only once the row says so.
        self._findings.record_failures(run_id, given_up(batch_id), failures)
        self._tables.replace(BATCHES, run_id, batch_id, {**found.row, "status": BatchStatus.FAILED.value}, found.etag)

    def paths(self, run_id: str, batch_id: str) -> list[str]:
        """The notebooks of a batch; where its blob cannot be read, the blob itself stands for them."""
        name = batch_blob(run_id, batch_id)
        try:
            return [item.path for item in decode_batch(self._blobs.get(name)).items]
        except (KeyError, DamagedBlob):
            return [name]

    def failures(self, run_id: str, rows: Mapping[str, Row] | None = None) -> list[Failure]:
        """Everything that the run could not bring in, each path once, in path order; `rows` where they were read."""
        return self._findings.failures(run_id, leaving_out=_overtaken(rows or self.rows(run_id), "failed"))

    def notices(self, run_id: str, rows: Mapping[str, Row] | None = None) -> list[Notice]:
        """What the run settled by itself, in the order of its sources; `rows` where they were read."""
        return self._findings.notices(run_id, leaving_out=_overtaken(rows or self.rows(run_id), "notices"))

    def forget(self, run_id: str) -> None:
        """Remove the rows of a run that is long over."""
        for batch_id in self.rows(run_id):
            self._tables.delete(BATCHES, run_id, batch_id)


def export_message(run_id: str, batch_id: str) -> str:
    """The text of the message that asks for a batch's export."""
    return json.dumps({"run_id": run_id, "batch_id": batch_id})


def given_up(batch_id: str) -> str:
    """The source under which the notebooks of a batch are named that was given up."""
    return f"{batch_id}-given-up"


def _overtaken(rows: Mapping[str, Row], count: str) -> set[str]:
    """Sources whose findings no longer hold: of an export that a later one replaced, which found none."""
    over = {given_up(b) for b, row in rows.items() if row["status"] != BatchStatus.FAILED}
    return over | {b for b, row in rows.items() if row["status"] in _ALREADY and row.get(count) == 0}


def _waiting(rows: dict[str, Row]) -> list[str]:
    return sorted(batch_id for batch_id, row in rows.items() if row["status"] == BatchStatus.QUEUED)


def total(rows: Iterable[Row]) -> BatchTotals:
    """Sum batch rows; a row's `planned` is what was asked for, `failed` what its export could not bring."""
    batches = dict.fromkeys(BatchStatus, 0)
    planned = staged = exported = committed = failed = 0
    for row in rows:
        status = BatchStatus(str(row["status"]))
        batches[status] += 1
        count = int(row.get("planned") or 0)
        planned += count
        lost = count if status is BatchStatus.FAILED else int(row.get("failed") or 0)
        failed += lost
        exported += count - lost if status in _ALREADY else 0
        staged += count - lost if status is BatchStatus.STAGED else 0
        committed += count - lost if status is BatchStatus.COMMITTED else 0
    return BatchTotals(
        queued=batches[BatchStatus.QUEUED],
        staged=batches[BatchStatus.STAGED],
        committed=batches[BatchStatus.COMMITTED],
        failed=batches[BatchStatus.FAILED],
        notebooks=planned,
        notebooks_staged=staged,
        notebooks_exported=exported,
        notebooks_committed=committed,
        notebooks_failed=failed,
    )
