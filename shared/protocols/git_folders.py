"""Git folders of a Databricks workspace, what is needed to make one of a folder, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from shared.domain.notebooks import ObjectType


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """A permission that an object has itself: `principal` is `user_name`, `group_name` or `service_principal_name`."""

    principal: str
    name: str
    level: str


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A Git folder as the workspace says; `branch` is None where it is on a tag or a commit."""

    id: int
    path: str
    url: str
    branch: str | None
    commit: str | None


class GitFolders(Protocol):
    """The workspace's Git folders. Errors as of `Workspace`."""

    def find(self, path: str) -> RemoteFolder | None:
        """The Git folder at a path."""
        ...

    def below(self, path: str) -> list[RemoteFolder]:
        """The Git folders at or below a path."""
        ...

    def create(self, path: str) -> RemoteFolder:
        """Make a Git folder of the backup's repository, on the repository's default branch; the path must be free."""
        ...

    def check_out(self, folder_id: int, branch: str) -> None:
        """Bring a Git folder to a branch's head. Refused where that would overwrite what is not committed."""
        ...

    def delete(self, folder_id: int) -> None:
        """Remove a Git folder with what it holds; nothing happens where there is none."""
        ...

    def ensure_credential(self) -> None:
        """See that the backup's identity has a Git credential. Raises `CredentialMissing`."""
        ...

    def grants(self, kind: ObjectType, object_id: int) -> list[Grant]:
        """The permissions that an object has itself, in order, without those that it inherits."""
        ...

    def set_grants(self, kind: ObjectType, object_id: int, grants: Iterable[Grant]) -> None:
        """Replace the permissions that an object has itself."""
        ...

    def own_grant(self) -> Grant:
        """The permission to manage that the backup's identity needs on what it makes."""
        ...

    def move(self, source: str, target: str) -> bool:
        """Move a folder with all it holds; the target's parent must exist. False where the workspace cannot."""
        ...

    def delete_folder(self, path: str) -> None:
        """Remove a folder with all it holds; nothing happens where there is none."""
        ...
