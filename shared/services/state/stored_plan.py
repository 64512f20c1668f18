"""A run's plan as one blob, written once: which batches there are, what is to be removed, what was found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from shared.domain.batches import Failure, Notice
from shared.protocols import BlobStore


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """`batches` are notebooks by batch id, `counts` what the run's row shows, `deletes` and `held` paths."""

    batches: dict[str, int]
    counts: dict[str, int]
    deletes: tuple[str, ...]
    held: tuple[str, ...]
    failures: tuple[Failure, ...]
    notices: tuple[Notice, ...]


def plan_blob(run_id: str) -> str:
    """The blob of a run's plan."""
    return f"plans/{run_id}/plan.json"


def encode_plan(plan: StoredPlan) -> bytes:
    """A plan as the bytes of its blob."""
    return json.dumps(asdict(plan)).encode()


def load_plan(blobs: BlobStore, run_id: str) -> StoredPlan:
    """The plan of a run. Raises `KeyError` where there is none yet, `DamagedBlob`."""
    body = json.loads(blobs.get(plan_blob(run_id)))
    return StoredPlan(
        batches=body["batches"],
        counts=body["counts"],
        deletes=tuple(body["deletes"]),
        held=tuple(body["held"]),
        failures=tuple(Failure(**row) for row in body["failures"]),
        notices=tuple(Notice(**row) for row in body["notices"]),
    )
