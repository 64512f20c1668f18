"""A folder on this machine's disk that nobody else reads: notebooks lie in it for a while."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shared.errors import BackupError

_SYSTEM = 0
"""The user who owns what the system provides, as a mounted disk."""


class ScratchNotPrivate(BackupError):
    """The folder {folder} {reason}: somebody else could exchange what is in it. Set BACKUP_SCRATCH to another."""

    code = "scratch_not_private"


def private_folder(folder: Path) -> Path:
    """The folder, made where it is missing, open to this process's user alone.

    Raises `ScratchNotPrivate` of one that is a link, or that another user made first, as anybody can in `/tmp`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise ScratchNotPrivate(folder=str(folder), reason="is a link")
    if found.st_uid not in (os.getuid(), _SYSTEM):
        raise ScratchNotPrivate(folder=str(folder), reason="belongs to another user")
    if found.st_uid == os.getuid() and found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder
