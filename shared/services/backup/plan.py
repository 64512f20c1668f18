"""Planning: list the tree, compare with the last manifest, write batches, enqueue them.

Order of writing: listing segments, batch blobs, the plan, failures and notices, batch rows, messages. The
plan is written once and decides: a step that is run again after it only completes rows and messages. The
messages leave with the function's answer, by its output binding: a host that sends a message for a queue
it listens to takes it at once, where one sent by a client waits for the next poll.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from shared.domain.batches import Batch, ChangeKind, Failure
from shared.domain.batching import make_batches
from shared.domain.codec import encode_batch
from shared.domain.git_folders import hidden, on_the_move
from shared.domain.planning import EVERYTHING, Plan, TreeListing, Wanted, compare
from shared.domain.runs import Phase, RunStatus
from shared.errors import DamagedBlob
from shared.protocols import BlobStore, Repository, Row
from shared.services.backup.branch import look_at_branch
from shared.services.backup.publish import PublishService
from shared.services.git_folders.brought import BroughtStore
from shared.services.git_folders.store import GitFolderStore
from shared.services.state.batch_rows import BatchStore, batch_blob, export_message
from shared.services.state.findings import FindingStore
from shared.services.state.listing import TreeLister
from shared.services.state.manifests import ManifestStore
from shared.services.state.run_acts import RunActs
from shared.services.state.runs import RunStore
from shared.services.state.stored_plan import StoredPlan, encode_plan, load_plan, plan_blob

PARALLEL_WRITES = 4


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
        batches: BatchStore,
        findings: FindingStore,
        blobs: BlobStore,
        acts: RunActs,
        git_folders: GitFolderStore,
        brought: BroughtStore,
        publication: PublishService | None,
        root: str,
        guard_share: float,
        budget_seconds: float,
    ) -> None:
        self._lister, self._repository, self._manifests, self._runs = lister, repository, manifests, runs
        self._batches, self._findings, self._blobs, self._acts = batches, findings, blobs, acts
        self._git_folders, self._brought, self._publication = git_folders, brought, publication
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
            return PlanStep(True, _messages(run_id, self._batches.waiting(run_id)))
        self._acts.started(run_id, row)
        self._runs.update(run_id, phase=Phase.PLANNING.value)
        if not self._is_planned(run_id) and not self._make_plan(run_id, row):
            # For the watchdog: a listing that takes hours still moves.
            self._runs.update(run_id, planning_steps=int(row.get("planning_steps") or 0) + 1)
            self._runs.enqueue_planning(run_id)
            return PlanStep(False)
        return PlanStep(True, _messages(run_id, self._enter(run_id)))

    def _is_planned(self, run_id: str) -> bool:
        try:
            load_plan(self._blobs, run_id)
        except KeyError:
            return False
        except DamagedBlob:
            # No batch of it was asked for yet: the plan is made again.
            self._blobs.delete(plan_blob(run_id))
            return False
        return True

    def _make_plan(self, run_id: str, row: Row) -> bool:
        """List, compare, and store the plan; False where the time slice ended first."""
        if self._publication:
            self._publication.prepare()
        wanted = self._wanted(row)
        epochs = self._epochs(run_id)
        with ThreadPoolExecutor(1, thread_name_prefix="plan") as beside:
            looking = beside.submit(
                look_at_branch, self._repository, self._manifests, self._root, self._brought.files()
            )
            listing = self._lister.list_tree(run_id, self._root, self._budget, wanted)
            if listing is None:
                return False
            view = looking.result()
        # A folder that is being made a Git folder may have been seen half: absence proves nothing there.
        listing = hidden(listing, on_the_move(epochs, self._git_folders.moving()))
        plan = compare(
            listing,
            view.manifest,
            branch=view.state,
            guard_share=self._guard_share,
            wanted=wanted,
            confirmed=self._confirmed(row),
        )
        batches = self._write_batches(run_id, plan, listing)
        stored = StoredPlan(
            batches=batches,
            counts=_counts(plan, listing, len(batches)),
            deletes=tuple(e.path for e in plan.deletes),
            held=tuple(e.path for e in plan.held_deletes),
            failures=_plan_failures(plan, listing),
            notices=view.notices,
        )
        # The first of several planners decides: the batches of the others are never entered.
        self._blobs.create(plan_blob(run_id), encode_plan(stored))
        self._blobs.delete(_epochs_blob(run_id))
        return True

    def _epochs(self, run_id: str) -> dict[str, int]:
        """Where Git folders stood before anything was listed; the first step of several says so."""
        name = _epochs_blob(run_id)
        self._blobs.create(name, json.dumps(self._git_folders.moving()).encode())
        try:
            found: dict[str, int] = json.loads(self._blobs.get(name))
        except DamagedBlob:
            # What was listed before is not proved any more: every folder counts as having moved.
            return {path: epoch - 1 for path, epoch in self._git_folders.moving().items()}
        return found

    def _wanted(self, row: Row) -> Wanted:
        retry_of = row.get("retry_of")
        if not retry_of:
            return EVERYTHING
        return Wanted(failure.path for failure in self._batches.failures(str(retry_of)))

    def _confirmed(self, row: Row) -> frozenset[str]:
        """Deletions that a person confirmed; none where the list of the run that held them is gone by now."""
        confirms = row.get("confirms")
        if not confirms:
            return frozenset()
        try:
            return frozenset(load_plan(self._blobs, str(confirms)).held)
        except (KeyError, DamagedBlob):
            return frozenset()

    def _write_batches(self, run_id: str, plan: Plan, listing: TreeListing) -> dict[str, int]:
        """Write the batches under names of this attempt's own; returns their sizes by id."""
        attempt = secrets.token_hex(3)

        def write(batch: Batch) -> tuple[str, int]:
            named = replace(batch, batch_id=f"{batch.batch_id}-{attempt}")
            self._blobs.put(batch_blob(run_id, named.batch_id), encode_batch(named))
            return named.batch_id, len(named.items)

        with ThreadPoolExecutor(PARALLEL_WRITES, thread_name_prefix="batches") as beside:
            return dict(beside.map(write, make_batches(run_id, plan, listing)))

    def _enter(self, run_id: str) -> list[str]:
        """Bring the stored plan into rows; returns the batches that wait for their export."""
        stored = load_plan(self._blobs, run_id)
        self._findings.record_failures(run_id, "plan", stored.failures)
        self._findings.record_notices(run_id, "plan", stored.notices)
        self._acts.planned(run_id, stored)
        waiting = self._batches.enter(run_id, stored.batches)
        self._runs.update(run_id, phase=Phase.EXPORTING.value, **stored.counts)
        return waiting


def _epochs_blob(run_id: str) -> str:
    return f"gitfolders/epochs-{run_id}.json"


def _messages(run_id: str, batch_ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(export_message(run_id, batch_id) for batch_id in batch_ids)


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


def _plan_failures(plan: Plan, listing: TreeListing) -> tuple[Failure, ...]:
    unknown = [
        Failure(path, "folder_unknown", f"could not be listed, so nothing below it was touched: {reason}")
        for path, reason in sorted(listing.unknown.items())
    ]
    return (*unknown, *plan.failures)
