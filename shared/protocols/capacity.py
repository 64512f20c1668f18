"""The size of the Git repository."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SizeSource(StrEnum):
    """Who says what a repository's size is."""

    SERVER = "server"
    """The server's API: all branches, as the server packs them."""
    CLONE = "clone"
    """The pack that the server sends for a full clone of the branch, counted while it came and not kept."""
    CLONE_AND_FETCHES = "clone and fetches"
    """The pack of a full clone, and the packs of what came since: packed together they would be smaller."""


@dataclass(frozen=True, slots=True)
class RepositorySize:
    """`size` in bytes. `head` is the commit that was counted up to, None where the server said the size.

    `whole` is False where the pack was larger than what is counted at the most: the size is at least this.
    `fetches` counts what was added to a full clone's pack.
    """

    size: int
    source: SizeSource
    head: str | None = None
    whole: bool = True
    fetches: int = 0


class SizeMeter(Protocol):
    """Says how large the repository is."""

    def measure(self, head: str, known: RepositorySize | None) -> RepositorySize:
        """The size up to the commit `head`; `known` is an earlier one, from which it may be carried on.

        Raises `RepositoryError`.
        """
        ...
