"""Dated copies in a folder of this machine, read without following a link and without leaving the folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import VolumeUnreadable
from shared.protocols import VolumeFault, VolumeFile

MOST_FILE_BYTES = 100 * 2**20
"""Azure Repos refuses larger files (https://learn.microsoft.com/azure/devops/repos/git/limits)."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LINK = VolumeFault("", "link", "a link: it is not followed, so that nothing outside the copy is read")


class VolumeCopies:
    """See `shared.protocols.Volume`: each component is opened from its own folder and refused where it is a link."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copies(self) -> list[str | VolumeFault]:
        """See `Volume.copies`."""
        try:
            with os.scandir(self._folder) as entries:
                return [_copy(entry) for entry in sorted(entries, key=lambda e: e.name)]
        except OSError as error:
            raise VolumeUnreadable(folder=str(self._folder), detail=error.strerror) from None

    def walk(self, copy: str, wanted: Callable[[str], bool]) -> Iterator[VolumeFile | VolumeFault]:
        """See `Volume.walk`."""
        waiting = [""]
        while waiting:
            prefix = waiting.pop()
            try:
                found = self._children(copy, prefix)
            except OSError as error:
                yield _unreadable(prefix.rstrip("/") or ".", error, folder=True)
                continue
            waiting += [f"{prefix}{name}/" for name, kind in reversed(found) if stat.S_ISDIR(kind)]
            for name, kind in found:
                if not stat.S_ISDIR(kind):
                    yield self._file(copy, prefix + name, kind, wanted)

    def read(self, copy: str, name: str) -> bytes:
        """See `Volume.read`."""
        return self._read(copy, name)[0]

    def _children(self, copy: str, prefix: str) -> list[tuple[str, int]]:
        with self._opened(copy, prefix.rstrip("/")) as folder, os.scandir(folder) as entries:
            return sorted((e.name, e.stat(follow_symlinks=False).st_mode) for e in entries)

    def _file(self, copy: str, name: str, kind: int, wanted: Callable[[str], bool]) -> VolumeFile | VolumeFault:
        if not stat.S_ISREG(kind):
            reason = _LINK.reason if stat.S_ISLNK(kind) else "no file: a device, pipe or socket"
            return VolumeFault(name, "link" if stat.S_ISLNK(kind) else "no_file", reason)
        if not _is_text(name):
            return VolumeFault(name, "name_not_text", "its name is no UTF-8, so no notebook can be called so")
        try:
            if not wanted(name):
                return VolumeFile(name, self._size(copy, name))
            data, steady = self._read(copy, name)
        except OSError as error:
            return _unreadable(name, error)
        if not steady:
            return VolumeFault(name, "changed_while_read", "somebody writes it: wait until the copy is complete")
        return VolumeFile(name, len(data), data)

    def _size(self, copy: str, name: str) -> int:
        folder, _, leaf = name.rpartition("/")
        with self._opened(copy, folder) as inside:
            return os.stat(leaf, dir_fd=inside, follow_symlinks=False).st_size

    def _read(self, copy: str, name: str) -> tuple[bytes, bool]:
        """The bytes, and whether the file stayed as it was meanwhile."""
        folder, _, leaf = name.rpartition("/")
        with self._opened(copy, folder) as inside:
            handle = os.open(leaf, _FILE, dir_fd=inside)
        with os.fdopen(handle, "rb") as stream:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise OSError(errno.EINVAL, "it is no file any more")
            if before.st_size > MOST_FILE_BYTES:
                raise OSError(errno.EFBIG, f"over {MOST_FILE_BYTES // 2**20} MB, which Azure Repos refuses")
            data, after = stream.read(), os.fstat(handle)
        steady = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and len(
            data
        ) == after.st_size
        return data, steady

    @contextmanager
    def _opened(self, copy: str, below: str) -> Iterator[int]:
        """A folder of the copy, by a descriptor that no exchanged link can lead elsewhere."""
        handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in (copy, *filter(None, below.split("/"))):
                inner = os.open(part, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)


def _copy(entry: os.DirEntry[str]) -> str | VolumeFault:
    if entry.is_symlink():
        return VolumeFault(entry.name, _LINK.code, _LINK.reason)
    if not entry.is_dir(follow_symlinks=False):
        return VolumeFault(entry.name, "no_folder", "no folder, so no copy")
    if not _is_text(entry.name):
        return VolumeFault(entry.name, "name_not_text", "its name is no UTF-8")
    return entry.name


def _is_text(name: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in name)


def _unreadable(name: str, error: OSError, *, folder: bool = False) -> VolumeFault:
    what = "nothing below it was touched" if folder else "it stays as the copy before had it"
    return VolumeFault(name, "unreadable", f"{error.strerror or type(error).__name__}: {what}", folder)
