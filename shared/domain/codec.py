"""Batches as JSON: one array per notebook, so that a batch of 500 stays a small blob."""

from __future__ import annotations

import json
from dataclasses import fields
from operator import attrgetter
from typing import Any

from shared.domain.batches import (
    Batch,
    ChangeKind,
    ExportItem,
    Failure,
    FolderExport,
    StagedBatch,
    StagedNotebook,
)
from shared.domain.notebooks import ExportFormat, Language

_item_fields = attrgetter(*(field.name for field in fields(ExportItem)))


def encode_batch(batch: Batch) -> bytes:
    """A batch as the bytes of its blob."""
    return json.dumps(
        {
            "run_id": batch.run_id,
            "batch_id": batch.batch_id,
            "items": [_item_fields(item) for item in batch.items],
            "folders": [[f.path, list(f.paths)] for f in batch.folders],
        }
    ).encode()


def decode_batch(data: bytes) -> Batch:
    """The reverse of `encode_batch`."""
    body = json.loads(data)
    folders = tuple(FolderExport(path, tuple(paths)) for path, paths in body["folders"])
    return Batch(body["run_id"], body["batch_id"], tuple(map(_item, body["items"])), folders)


def encode_staged(staged: StagedBatch) -> bytes:
    """The index of a staged archive."""
    return json.dumps(
        {
            "run_id": staged.run_id,
            "batch_id": staged.batch_id,
            "notebooks": [
                [_item_fields(n.item), n.member, n.file, n.size, n.sha256, n.blob, n.format] for n in staged.notebooks
            ],
            "failures": [[f.path, f.code, f.reason] for f in staged.failures],
        }
    ).encode()


def decode_staged(data: bytes) -> StagedBatch:
    """The reverse of `encode_staged`."""
    body = json.loads(data)
    notebooks = tuple(
        StagedNotebook(_item(item), member, file, size, sha256, blob, ExportFormat(fmt))
        for item, member, file, size, sha256, blob, fmt in body["notebooks"]
    )
    failures = tuple(Failure(*row) for row in body["failures"])
    return StagedBatch(body["run_id"], body["batch_id"], notebooks, failures)


def _item(row: list[Any]) -> ExportItem:
    path, file, jupyter_file, object_id, language, modified_at, kind, size, old_path, old_file = row
    return ExportItem(
        path, file, jupyter_file, object_id, Language(language), modified_at, ChangeKind(kind), size, old_path, old_file
    )
