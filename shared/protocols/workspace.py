"""The Databricks workspace, and what its notebooks may hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.domain.notebooks import ExportFormat, Language, WorkspaceObject


class Workspace(Protocol):
    """A Databricks workspace. Every call passes the process-wide limiter and is retried within it.

    Errors: `NotFound`, `PermissionDenied`, `TooLarge`, `WorkspaceUnavailable` (after retries),
    `WorkspaceError` for anything else.
    """

    def list(self, path: str) -> list[WorkspaceObject]:
        """The direct children of a folder; an empty folder gives []. Never partial: it raises instead."""
        ...

    def export(self, path: str, fmt: ExportFormat) -> bytes:
        """The bytes of one notebook."""
        ...

    def export_folder(self, path: str, target: Path) -> None:
        """Write the zip of a folder's notebooks (SOURCE) to `target`, streamed.

        The zip is as it came: the caller checks it. Raises `TooLarge` over the workspace's limit.
        """
        ...

    def status(self, path: str) -> WorkspaceObject:
        """One object's row."""
        ...

    def import_notebook(self, path: str, content: bytes, language: Language, fmt: ExportFormat) -> None:
        """Write a notebook, overwriting what is there; its parent must exist. Raises `TooLarge` over 10 MB."""
        ...

    def make_folder(self, path: str) -> None:
        """Make a folder with those above it; nothing happens where there is one."""
        ...

    def delete_notebook(self, path: str) -> None:
        """Remove one notebook. Raises `NotFound` where there is none; a folder that holds anything is refused."""
        ...


MOST_FOUND_SECRETS = 1_000
"""Secrets of one notebook that are told apart: the first by line."""


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """Something in a notebook that has the shape of a secret: its kind, its line from 1, and a fingerprint.

    The fingerprint tells two secrets apart and finds the same one elsewhere. A secret that people may have chosen has
    none: whoever sees the fingerprint of a password could try words until one fits.
    """

    kind: str
    line: int
    fingerprint: str | None = None


class SecretFinder(Protocol):
    """Looks for well-known token shapes."""

    def find(self, data: bytes) -> list[FoundSecret]:
        """What a notebook's bytes hold, by line, each kind, line and fingerprint once; `MOST_FOUND_SECRETS` at most."""
        ...
