"""The notebooks in the zip of a folder's export, inflated within bounds: a small zip can stand for gigabytes."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from shared.domain.folder_zip import match_members
from shared.domain.notebooks import MOST_SOURCE_BYTES, Language

MOST_MEMBERS = 20_000
MOST_ZIP_BYTES = 64 * 2**20
"""Inflated, of all that is read. The workspace exports no folder of more than 10 MB."""
_INFLATED_BY_PARTS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""`zipfile` inflates others without a bound."""


def folder_notebooks(target: Path, folder: str, wanted: Mapping[str, Language]) -> Iterator[tuple[str, bytes]]:
    """The wanted notebooks by path, one at a time, as far as a member stands for one.

    What a header says of sizes is not believed. Raises `zipfile.BadZipFile` where the file is no zip, or one
    that is damaged or too large.
    """
    left = MOST_ZIP_BYTES
    try:
        with zipfile.ZipFile(target) as archive:
            if len(archive.filelist) > MOST_MEMBERS:
                raise zipfile.BadZipFile(f"it has more than {MOST_MEMBERS} members")
            for path, member in match_members(folder, archive.namelist(), wanted).items():
                data = _read(archive, member, min(left, MOST_SOURCE_BYTES))
                left -= len(data)
                yield path, data
    except (EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        # The last two: a way of compression that is not known, and a member with a password.
        raise zipfile.BadZipFile(type(error).__name__) from error


def _read(archive: zipfile.ZipFile, member: str, most_bytes: int) -> bytes:
    if archive.getinfo(member).compress_type not in _INFLATED_BY_PARTS:
        raise zipfile.BadZipFile("its members are compressed in another way")
    with archive.open(member) as stream:
        data = stream.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise zipfile.BadZipFile("its members inflate to too much")
    return data
