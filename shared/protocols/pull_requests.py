"""Pull requests of the repository's server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class RequestStatus(StrEnum):
    """How a pull request stands."""

    ACTIVE = "active"
    COMPLETED = "completed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request: `source` and `target` are branches without `refs/heads/`, `creator` the id of who made it.

    `conflicts` says that the server cannot merge it as it stands.
    """

    id: int
    status: RequestStatus
    source: str
    target: str
    creator: str
    page: str
    conflicts: bool = False


class PullRequests(Protocol):
    """The server's pull requests. All raise `PullRequestRefused`, and `RepositoryError` where it does not answer."""

    def active(self, target: str) -> list[PullRequest]:
        """Those that are open towards a branch, the newest first."""
        ...

    def get(self, number: int) -> PullRequest | None:
        """One by its number; None where there is none."""
        ...

    def create(self, source: str, target: str, title: str, description: str) -> PullRequest:
        """Open one. Where one is open from `source` to `target` already, that one is returned."""
        ...

    def complete_by_itself(self, request: PullRequest, message: str) -> None:
        """Have it completed once every policy is met, with a merge commit of `message`, its source branch removed."""
        ...

    def abandon(self, request: PullRequest, comment: str) -> None:
        """Close one without merging it, and say why. One that is closed already stays as it is."""
        ...
