"""The tags of the repository."""

from __future__ import annotations

from typing import Protocol

from shared.domain.tags import Tag
from shared.protocols.repository import Signature


class Tags(Protocol):
    """The remote's tags. All raise `RepositoryError`."""

    def all(self) -> list[Tag]:
        """Every tag by name, whoever made it; an annotated one of something else than a commit is left out."""
        ...

    def commits(self) -> dict[str, str]:
        """The commits that the remote's tags name, by the tags' names: one question to the server."""
        ...

    def create(self, name: str, commit: str, message: str, tagger: Signature) -> bool:
        """Make an annotated tag of a commit of the backup's branch, and push it; a tag is never moved.

        False where the remote has a tag of that name already, whatever it names. A push that had its effect but
        lost its answer is found by `commits`.
        """
        ...

    def delete(self, tag: Tag) -> bool:
        """Remove a tag from the remote, while it is the one that was seen; whether it is gone now."""
        ...
