"""The manifest: what the repository holds, one entry per backed-up notebook."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.notebooks import ExportFormat, Language


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One notebook as it stands in a commit.

    `path` is the workspace path, `file` the path in the repository's tree, `modified_at` the
    workspace's modification time in Unix milliseconds at export, `size` bytes, `sha256` the hash
    of the exported bytes in hex, `blob` the Git object id of the same bytes (SHA-1 in hex).
    """

    path: str
    file: str
    object_id: int
    language: Language
    modified_at: int
    size: int
    sha256: str
    blob: str
    format: ExportFormat = ExportFormat.SOURCE
    author: str | None = None


type Manifest = dict[str, ManifestEntry]
"""Entries by workspace path."""
