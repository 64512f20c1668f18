"""Notebook contents on disk by Git blob id: bounded, and each proved by its own id when it is read."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path

from shared.domain.blob_ids import blob_id


class ContentCache:
    """Files below one folder. What is damaged, or gone, is simply not there."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder, self._most_bytes = folder, most_bytes
        self._lock = threading.Lock()
        self._written = most_bytes  # the first write looks at what is there

    def get(self, blob: str) -> bytes | None:
        """The bytes whose Git blob id is `blob`, or None."""
        try:
            data = self._path(blob).read_bytes()
        except OSError:
            return None
        if blob_id(data) != blob:
            self._path(blob).unlink(missing_ok=True)
            return None
        return data

    def put(self, blob: str, data: bytes) -> None:
        """Keep bytes; a disk that is full keeps none."""
        target = self._path(blob)
        part = target.with_name(f"{blob}-{uuid.uuid4().hex[:8]}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(target)
        except OSError:
            part.unlink(missing_ok=True)
            return
        with self._lock:
            self._written += len(data)
            full = self._written >= self._most_bytes // 4
            self._written = 0 if full else self._written
        if full:
            self._shrink()

    def _shrink(self) -> None:
        """Remove the oldest until what is left has room."""
        found = []
        for file in self._folder.glob("*/*"):
            try:
                stat = file.stat()
            except FileNotFoundError:
                continue
            found.append((stat.st_mtime, stat.st_size, file))
        total = sum(size for _, size, _ in found)
        for _, size, file in sorted(found, key=lambda f: f[0]):
            if total <= self._most_bytes * 3 // 4:
                return
            file.unlink(missing_ok=True)
            total -= size

    def _path(self, blob: str) -> Path:
        return self._folder / blob[:2] / blob
