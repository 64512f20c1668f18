"""The zip: entries in the order of their names, with their modes and one date."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can hold."""
_UNIX = 3
_LEVEL = 6


def write_zip(folder: Path, archive: Path) -> Path:
    """Write every file of `folder` into `archive`, and return it."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as target:
        for file in sorted(files_of(folder)):
            entry = zipfile.ZipInfo(file, EPOCH)
            entry.create_system, entry.compress_type = _UNIX, zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | mode_of(folder / file)) << 16
            target.writestr(entry, (folder / file).read_bytes())
    return archive


def files_of(folder: Path) -> list[str]:
    """Every file below `folder`, by its path within it."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def mode_of(file: Path) -> int:
    """0755 for a program, 0644 for anything else, whatever the mask of whoever makes the package."""
    return 0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644
