"""Staged archives: one zip per batch, notebooks first, their index last, so that a cut file is noticed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from shared.domain.batches import StagedBatch
from shared.domain.codec import decode_staged, encode_staged
from shared.errors import BackupError

INDEX = "index.json"
CHUNK_BYTES = 2**20
_OLDEST_DATE = (1980, 1, 1, 0, 0, 0)


class DamagedArchive(BackupError):
    """The staged archive {name} cannot be read: {detail}. Its batch is exported again by the next run."""

    code = "damaged_archive"


class StagedArchiveWriter:
    """Writes a staged archive to a file; memory holds one notebook at a time."""

    def __init__(self, target: Path) -> None:
        self._zip = zipfile.ZipFile(target, "w")
        self._count = 0

    def add(self, data: bytes) -> str:
        """Add one notebook's bytes; returns the member's name."""
        self._count += 1
        member = f"notebooks/{self._count:06}"
        self._write(member, data)
        return member

    def finish(self, index: StagedBatch) -> None:
        """Write the index and close the archive."""
        self._write(INDEX, encode_staged(index))
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def _write(self, name: str, data: bytes) -> None:
        # Stored, not deflated: a staged archive lives for days, and the processor is what an export lacks.
        self._zip.writestr(zipfile.ZipInfo(name, _OLDEST_DATE), data)


class StagedArchive:
    """A staged archive open for reading. Raises `DamagedArchive` where it is cut or no archive."""

    def __init__(self, source: Path) -> None:
        self._name = source.name
        try:
            self._zip = zipfile.ZipFile(source)
            if any(member.compress_type != zipfile.ZIP_STORED for member in self._zip.filelist):
                # Ours is not compressed: one that is may inflate to anything.
                raise zipfile.BadZipFile
            self.index = decode_staged(self._zip.read(INDEX))
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError) as error:
            raise DamagedArchive(name=source.name, detail=type(error).__name__) from error

    def chunks(self, member: str) -> Iterator[bytes]:
        """A notebook's bytes, in parts; zip's own checksum is verified on the way."""
        try:
            with self._zip.open(member) as stream:
                while part := stream.read(CHUNK_BYTES):
                    yield part
        except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
            raise DamagedArchive(name=self._name, detail=type(error).__name__) from error

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
