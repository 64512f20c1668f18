"""A volume with dated full copies of the workspace, as an older backup left it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class VolumeFile:
    """A file of a copy: `name` is slash-joined below the copy, `size` bytes; `data` is None where it was not wanted."""

    name: str
    size: int
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class VolumeFault:
    """What of a copy could not be read, with a stable code; of a folder, nothing below it is known."""

    name: str
    code: str
    reason: str
    folder: bool = False


class Volume(Protocol):
    """The folder that holds the copies. Nothing outside it is read, wherever a link leads."""

    def copies(self) -> list[str | VolumeFault]:
        """The names of the folders in it, in order; a fault for each entry that is none. Raises `VolumeUnreadable`."""
        ...

    def walk(self, copy: str, wanted: Callable[[str], bool]) -> Iterator[VolumeFile | VolumeFault]:
        """Every file of a copy in order, with the bytes of those whose name is wanted."""
        ...

    def read(self, copy: str, name: str) -> bytes:
        """The bytes of one file. Raises `OSError`."""
        ...
