"""Manifests and the checkpoint: a manifest blob for each commit, and the row that names the last one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.clock import Clock
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import ExportFormat, Language
from shared.errors import BackupError
from shared.protocols import BlobStore, Row, Tables
from shared.services.runs import CHECKPOINTS

_ROW = ("backup", "current")
_LINES_A_PART = 5_000


class ManifestMissing(BackupError):
    """The manifest {name}, which the checkpoint names, is gone. Restore the blob, or delete the checkpoint row."""

    code = "manifest_missing"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the remote durably holds: a commit and its manifest, `sequence` counting commits from 1."""

    commit: str
    manifest: Manifest
    sequence: int
    etag: str


class ManifestStore:
    """Reads the checkpoint, then its manifest; writes in the opposite order."""

    def __init__(self, blobs: BlobStore, tables: Tables, clock: Clock) -> None:
        self._blobs, self._tables, self._clock = blobs, tables, clock

    def load(self) -> Checkpoint | None:
        """The last checkpoint with its manifest; None before the first. Raises `ManifestMissing`."""
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        if stored is None:
            return None
        name = str(stored.row["manifest"])
        try:
            data = self._blobs.get(name)
        except KeyError:
            raise ManifestMissing(name=name) from None
        return Checkpoint(
            str(stored.row["commit"]), decode_manifest(data), int(stored.row["sequence"] or 0), stored.etag
        )

    def save(self, run_id: str, commit: str, manifest: Manifest, before: Checkpoint | None) -> Checkpoint:
        """Write a manifest, then move the checkpoint on from `before`. Raises `StateConflict`."""
        sequence = (before.sequence if before else 0) + 1
        name = f"manifests/{run_id}-{sequence:06}.jsonl.gz"
        self._blobs.put(name, encode_manifest(manifest))
        row: Row = {
            "commit": commit,
            "manifest": name,
            "sequence": sequence,
            "run_id": run_id,
            "notebooks": len(manifest),
            "saved_at": self._clock.now().isoformat(),
        }
        if before is None:
            etag = self._tables.insert(CHECKPOINTS, *_ROW, row)
        else:
            etag = self._tables.replace(CHECKPOINTS, *_ROW, row, before.etag)
        return Checkpoint(commit, manifest, sequence, etag)


def encode_manifest(manifest: Manifest) -> bytes:
    """One JSON array a line, gzipped; one part of lines at a time, so that memory stays low."""
    parts: list[bytes] = []
    lines: list[str] = []
    for entry in manifest.values():
        lines.append(json.dumps(_fields(entry)))
        if len(lines) == _LINES_A_PART:
            parts.append(gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=1, mtime=0))
            lines.clear()
    parts.append(gzip.compress(("\n".join(lines) + "\n").encode() if lines else b"", compresslevel=1, mtime=0))
    return b"".join(parts)


def decode_manifest(data: bytes) -> Manifest:
    """The reverse of `encode_manifest`."""
    return {entry.path: entry for entry in _entries(data)}


def _entries(data: bytes) -> Iterator[ManifestEntry]:
    for line in gzip.decompress(data).splitlines():
        path, file, object_id, language, modified_at, size, sha256, blob, fmt, author = json.loads(line)
        yield ManifestEntry(
            path, file, object_id, Language(language), modified_at, size, sha256, blob, ExportFormat(fmt), author
        )


def _fields(entry: ManifestEntry) -> tuple[Any, ...]:
    return tuple(getattr(entry, name) for name in ManifestEntry.__slots__)
