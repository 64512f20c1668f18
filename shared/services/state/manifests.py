"""Manifests and the checkpoint: a manifest blob for each commit, and the row that names the last one."""

from __future__ import annotations

import gzip
import itertools
import json
from dataclasses import dataclass
from operator import attrgetter

from shared.clock import Clock
from shared.domain.manifest import Manifest, ManifestEntry
from shared.domain.notebooks import ExportFormat, Language
from shared.domain.seal import seal
from shared.domain.versions import CommitMark
from shared.errors import BackupError, DamagedBlob
from shared.protocols import BlobStore, Row, Tables
from shared.services.state.runs import CHECKPOINTS

_ROW = ("backup", "current")
_SEALED = ("commit", "manifest", "sequence", "run_id", "notebooks", "saved_at")
_LINES_A_PART = 5_000
_ENCODER = json.JSONEncoder()
_FIELDS = attrgetter(*ManifestEntry.__slots__)
_LANGUAGES = {language.value: language for language in Language}
_FORMATS = {fmt.value: fmt for fmt in ExportFormat}


class ManifestMissing(BackupError):
    """The manifest {name}, which the checkpoint names, is gone. Make it again with `./backup rebuild`."""

    code = "manifest_missing"


class DamagedManifest(BackupError):
    """The manifest {name} is not what was written. Make it again with `./backup rebuild`."""

    code = "damaged_manifest"


class DamagedCheckpoint(BackupError):
    """The row {name} is not what was written. Make it again with `./backup rebuild`."""

    code = "damaged_checkpoint"


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

    def current_name(self) -> str | None:
        """The manifest that the checkpoint names, or None before the first."""
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        return str(stored.row.get("manifest")) if stored else None

    def mark(self) -> CommitMark | None:
        """The last backup, without its manifest; None before the first. Raises `DamagedCheckpoint`."""
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        if stored is None:
            return None
        if stored.row.get("seal") != _row_seal(stored.row):
            raise DamagedCheckpoint(name="/".join((CHECKPOINTS, *_ROW)))
        return CommitMark(int(stored.row["sequence"] or 0), str(stored.row["commit"]))

    def load(self) -> Checkpoint | None:
        """The last checkpoint with its manifest; None before the first.

        Raises `DamagedCheckpoint`, `ManifestMissing`, `DamagedManifest`.
        """
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        if stored is None:
            return None
        if stored.row.get("seal") != _row_seal(stored.row):
            raise DamagedCheckpoint(name="/".join((CHECKPOINTS, *_ROW)))
        name = str(stored.row["manifest"])
        try:
            data = self._blobs.get(name)
        except KeyError:
            raise ManifestMissing(name=name) from None
        except DamagedBlob:
            raise DamagedManifest(name=name) from None
        manifest = decode_manifest(data)
        return Checkpoint(str(stored.row["commit"]), manifest, int(stored.row["sequence"] or 0), stored.etag)

    def save(self, run_id: str, mark: CommitMark, manifest: Manifest, before: Checkpoint | None) -> Checkpoint:
        """Write a manifest, then move the checkpoint on from `before` to `mark`. Raises `StateConflict`."""
        return self._save(run_id, mark.commit, manifest, mark.sequence, before.etag if before else None)

    def overwrite(self, run_id: str, commit: str, manifest: Manifest) -> Checkpoint:
        """Write a manifest and a checkpoint whatever stands there, damaged or not. Raises `StateConflict`."""
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        known = stored.row.get("sequence") if stored else 0
        sequence = known if isinstance(known, int) else 0
        return self._save(run_id, commit, manifest, sequence + 1, stored.etag if stored else None)

    def discard_damaged(self) -> None:
        """Remove manifests that cannot be read any more: they are of no use, and no longer named."""
        for name in list(self._blobs.names("manifests/")):
            try:
                self._blobs.get(name)
            except DamagedBlob:
                self._blobs.delete(name)

    def _save(self, run_id: str, commit: str, manifest: Manifest, sequence: int, etag: str | None) -> Checkpoint:
        # Two committers may reach the same sequence: the commit tells their manifests apart.
        name = f"manifests/{run_id}-{sequence:06}-{commit[:12]}.jsonl.gz"
        self._blobs.put(name, encode_manifest(manifest))
        row: Row = {
            "commit": commit,
            "manifest": name,
            "sequence": sequence,
            "run_id": run_id,
            "notebooks": len(manifest),
            "saved_at": self._clock.now().isoformat(),
        }
        row["seal"] = _row_seal(row)
        if etag is None:
            new = self._tables.insert(CHECKPOINTS, *_ROW, row)
        else:
            new = self._tables.replace(CHECKPOINTS, *_ROW, row, etag)
        return Checkpoint(commit, manifest, sequence, new)


def _row_seal(row: Row) -> str:
    values = {name: row.get(name) for name in _SEALED}
    return seal("/".join((CHECKPOINTS, *_ROW)), [json.dumps(values, sort_keys=True).encode()])


def encode_manifest(manifest: Manifest) -> bytes:
    """One JSON array a line, gzipped; one part of lines at a time, so that memory stays low."""
    parts = [_encode_part(entries) for entries in itertools.batched(manifest.values(), _LINES_A_PART, strict=False)]
    return b"".join(parts or [_encode_part(())])


def _encode_part(entries: tuple[ManifestEntry, ...]) -> bytes:
    lines = "".join(f"{_ENCODER.encode(_FIELDS(entry))}\n" for entry in entries)
    return gzip.compress(lines.encode(), compresslevel=1, mtime=0)


def decode_manifest(data: bytes) -> Manifest:
    """The reverse of `encode_manifest`."""
    manifest: Manifest = {}
    lines = gzip.decompress(data).splitlines()
    for part in itertools.batched(lines, _LINES_A_PART, strict=False):
        # One call of the decoder for many lines takes half the time of one for each.
        for path, file, object_id, language, modified_at, size, sha256, blob, fmt, author in json.loads(
            b"[" + b",".join(part) + b"]"
        ):
            manifest[path] = ManifestEntry(
                path, file, object_id, _LANGUAGES[language], modified_at, size, sha256, blob, _FORMATS[fmt], author
            )
    return manifest
