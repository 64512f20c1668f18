"""Planning: list the tree, compare with the last manifest, write batches, enqueue them.

Order of writing: listing segments, batch blobs and deletions, the plan's summary, batch rows, messages.
The summary decides the plan: a step that is run again after it only completes rows and messages. The
messages leave with the function's answer, by its output binding: a host that sends a message for a queue
it listens to takes it at once, where one sent by a client waits for the next poll.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.clock import Clock
from shared.domain.batches import Batch, ChangeKind, Failure
from shared.domain.batching import make_batches
from shared.domain.codec import encode_batch
from shared.domain.manifest import Manifest
from shared.domain.planning import Plan, TreeListing, compare
from shared.domain.runs import BatchStatus, Phase, RunStatus
from shared.protocols import BlobStore, Queue, Repository, Row, Tables
from shared.services.listing import TreeLister
from shared.services.manifests import ManifestStore
from shared.services.runs import BATCHES, PLAN_QUEUE, RunStore


@dataclass(frozen=True, slots=True)
class PlanStep:
    """What a planning step came to: whether the batches stand, and the messages for the export queue."""

    done: bool
    messages: tuple[str, ...] = ()


class PlanService:
    """Turns a run's start into batches on the export queue."""

    def __init__(
        self,
        *,
        lister: TreeLister,
        repository: Repository,
        manifests: ManifestStore,
        runs: RunStore,
        tables: Tables,
        blobs: BlobStore,
        queue: Queue,
        clock: Clock,
        root: str,
        guard_share: float,
        budget_seconds: float,
    ) -> None:
        self._lister, self._repository, self._manifests, self._runs = lister, repository, manifests, runs
        self._tables, self._blobs, self._queue, self._clock = tables, blobs, queue, clock
        self._root, self._guard_share, self._budget = root, guard_share, budget_seconds

    def plan(self, run_id: str) -> PlanStep:
        """Plan a run; not done where planning goes on in a later message.

        Nothing happens for a run that is over. One that is past planning gets messages for the batches that
        still wait for one: those of the step before may be lost. Raises what the adapters raise: the message
        is delivered again and planning resumes.
        """
        row = self._runs.get(run_id)
        if RunStatus(str(row["status"])).final:
            return PlanStep(True)
        if row["phase"] not in (Phase.QUEUED, Phase.PLANNING):
            return PlanStep(True, self._messages(run_id, self._waiting(self._runs.batch_rows(run_id))))
        self._runs.update(run_id, phase=Phase.PLANNING.value)
        summary = self._stored_summary(run_id) or self._make_plan(run_id)
        if summary is None:
            self._queue.send(PLAN_QUEUE, json.dumps({"run_id": run_id}))
            return PlanStep(False)
        waiting = self._enter_batches(run_id, summary["batches"])
        self._runs.update(run_id, phase=Phase.EXPORTING.value, **summary["counts"])
        return PlanStep(True, self._messages(run_id, waiting))

    def _stored_summary(self, run_id: str) -> dict[str, dict[str, int]] | None:
        try:
            stored: dict[str, dict[str, int]] = json.loads(self._blobs.get(f"plans/{run_id}/plan.json"))
        except KeyError:
            return None
        return stored

    def _make_plan(self, run_id: str) -> dict[str, dict[str, int]] | None:
        with ThreadPoolExecutor(1, thread_name_prefix="plan") as beside:
            known = beside.submit(self._known)
            listing = self._lister.list_tree(run_id, self._root, self._budget)
            if listing is None:
                return None
            manifest, drifted = known.result()
        plan = compare(listing, manifest, drifted=drifted, guard_share=self._guard_share)
        batches = self._write_batches(run_id, plan, listing)
        self._write_deletes(run_id, plan)
        self._runs.record_failures(run_id, "plan", _plan_failures(plan, listing))
        summary = {"batches": batches, "counts": _counts(plan, listing, len(batches))}
        self._blobs.put(f"plans/{run_id}/plan.json", json.dumps(summary).encode())
        return summary

    def _known(self) -> tuple[Manifest, frozenset[str]]:
        """The last manifest, and those of its files that the branch no longer holds so."""
        checkpoint = self._manifests.load()
        manifest: Manifest = checkpoint.manifest if checkpoint else {}
        return manifest, self._drifted(checkpoint.commit if checkpoint else None, manifest)

    def _drifted(self, commit: str | None, manifest: Manifest) -> frozenset[str]:
        """Files that the branch no longer holds as the manifest says, because somebody else pushed."""
        head = self._repository.fetch()
        if head == commit or not manifest:
            return frozenset()
        tree = self._repository.tree(head) if head else {}
        return frozenset(e.file for e in manifest.values() if tree.get(e.file) != e.blob)

    def _write_batches(self, run_id: str, plan: Plan, listing: TreeListing) -> dict[str, int]:
        counts: dict[str, int] = {}
        for batch in make_batches(run_id, plan, listing):
            self._blobs.put(batch_blob(batch), encode_batch(batch))
            counts[batch.batch_id] = len(batch.items)
        return counts

    def _write_deletes(self, run_id: str, plan: Plan) -> None:
        rows = [{"path": entry.path, "file": entry.file} for entry in plan.deletes]
        self._blobs.put(f"plans/{run_id}/deletes.json", json.dumps(rows).encode())
        held = [entry.path for entry in plan.held_deletes]
        self._blobs.put(f"plans/{run_id}/held.json", json.dumps(held).encode())

    def _enter_batches(self, run_id: str, batches: dict[str, int]) -> list[str]:
        """Write the rows that are missing; returns the batches that wait for their export."""
        known = self._runs.batch_rows(run_id)
        fresh: dict[str, Row] = {
            batch_id: {"status": BatchStatus.QUEUED.value, "planned": count}
            for batch_id, count in batches.items()
            if batch_id not in known
        }
        self._tables.upsert_many(BATCHES, run_id, fresh)
        return self._waiting({**known, **fresh})

    @staticmethod
    def _waiting(rows: dict[str, Row]) -> list[str]:
        return sorted(batch_id for batch_id, row in rows.items() if row["status"] == BatchStatus.QUEUED)

    @staticmethod
    def _messages(run_id: str, batch_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(json.dumps({"run_id": run_id, "batch_id": batch_id}) for batch_id in batch_ids)


def batch_blob(batch: Batch) -> str:
    """The blob that holds a batch."""
    return f"batches/{batch.run_id}/{batch.batch_id}.json"


def _counts(plan: Plan, listing: TreeListing, batches: int) -> dict[str, int]:
    kinds = Counter(item.kind for item in plan.items)
    return {
        "listed": plan.listed,
        "folders": len(listing.folders),
        "unchanged": plan.unchanged,
        **{kind.value: kinds.get(kind, 0) for kind in ChangeKind if kind is not ChangeKind.DELETED},
        "planned": len(plan.items),
        "deleted": len(plan.deletes),
        "held": len(plan.held_deletes),
        "unknown_folders": len(listing.unknown),
        "batches": batches,
    }


def _plan_failures(plan: Plan, listing: TreeListing) -> list[Failure]:
    unknown = [
        Failure(path, "folder_unknown", f"could not be listed, so nothing below it was touched: {reason}")
        for path, reason in sorted(listing.unknown.items())
    ]
    return [*unknown, *plan.failures]
