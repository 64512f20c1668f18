"""The workspace's record of who changed what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from shared.domain.attribution import ChangeEvent


class ChangeLog(Protocol):
    """The audit table of the workspace. Rows may come late, and some never."""

    def ours(self) -> list[str]:
        """The names under which the backup's own acts are recorded. Raises `WorkspaceError`."""
        ...

    def events(self, from_ms: int, to_ms: int) -> Iterator[ChangeEvent]:
        """Acts on notebooks from `from_ms` to before `to_ms` (Unix milliseconds), in order of time.

        Raises `WorkspaceError`, `WorkspaceUnavailable`: what came before is not to be relied on then.
        """
        ...
