"""The tags of a repository in memory."""

from __future__ import annotations

import hashlib

from local.memory.server import MemoryServer
from shared.adapters.git_ids import check_ids
from shared.domain.tags import Tag
from shared.errors import RepositoryError
from shared.protocols import Signature


class MemoryTags:
    """See `shared.protocols.tags.Tags`."""

    def __init__(self, remote: MemoryServer) -> None:
        self._remote = remote

    def all(self) -> list[Tag]:
        """See `Tags.all`."""
        return [tag for _, tag in sorted(self._remote.tags.items())]

    def commits(self) -> dict[str, str]:
        """See `Tags.commits`."""
        return {name: tag.commit for name, tag in self._remote.tags.items()}

    def create(self, name: str, commit: str, message: str, tagger: Signature) -> bool:
        """See `Tags.create`."""
        check_ids(commit)
        with self._remote.lock:
            if commit not in self._remote.messages():
                raise RepositoryError(action="make a tag", detail=f"the backup's branch does not hold {commit}")
            if name in self._remote.tags:
                return False
            text = repr((name, commit, message, tagger))
            made = hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
            who = f"{tagger.name} <{tagger.email}>"
            self._remote.tags[name] = Tag(name, commit, made, message.rstrip("\n"), who, tagger.when)
            return True

    def delete(self, tag: Tag) -> bool:
        """See `Tags.delete`."""
        check_ids(tag.commit, tag.object)
        with self._remote.lock:
            found = self._remote.tags.get(tag.name)
            if found is not None and found.object != tag.object:
                return False
            self._remote.tags.pop(tag.name, None)
            return True
