"""Dated full copies in a folder, as an export of the workspace writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.adapters.repository import GitRepository
from shared.adapters.volume_copies import VolumeCopies
from shared.clock import Clock
from shared.protocols import Repository, Volume
from shared.services.volume.full_copy import CopyReader
from shared.services.volume.import_copies import CopyOutcome, ImportOptions, VolumeImport

ROOT = "/Clients"
HEADERS = {"py": "#", "sql": "--", "scala": "//", "r": "#"}


def source(name: str, body: str = "x = 1") -> bytes:
    """A SOURCE export with the first line of its language."""
    return f"{HEADERS[name.rpartition('.')[2]]} Databricks notebook source\n{body}\n".encode()


def write_copy(volume: Path, name: str, files: Mapping[str, str | bytes]) -> None:
    """A copy with the given files: bytes as they are, a text as the body of a notebook."""
    for file, content in files.items():
        target = volume / name / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source(file, content) if isinstance(content, str) else content)


def importing(
    volume: Path | Volume,
    repository: Repository,
    clock: Clock,
    *,
    below: str = "",
    headerless: bool = False,
    **options: object,
) -> dict[str, CopyOutcome]:
    """Import by copy's name."""
    copies = VolumeCopies(volume) if isinstance(volume, Path) else volume
    service = VolumeImport(
        volume=copies,
        reader=CopyReader(copies, ROOT, below, headerless=headerless),
        repository=repository,
        clock=clock,
        who=("Notebook Backup", "backup@example.com"),
        root=ROOT,
    )
    return {o.name: o for o in service.run(ImportOptions(**options))}  # type: ignore[arg-type]


def branch_of(remote: Path, branch: str, mirror: Path) -> GitRepository:
    """A branch of a bare repository beside the test."""
    return GitRepository(f"file://{remote}", branch, mirror, lambda: "Basic eDp4")
