"""What is kept of Git folders: a row for each, with its branch and how far its conversion is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from shared.clock import Clock
from shared.errors import BackupError
from shared.protocols import Row, StoredRow, Tables

GIT_FOLDERS = "gitfolders"
_FOLDERS = "folder"


class UnknownFolder(BackupError):
    """{path} is no Git folder of the backup. `./backup gitfolder status` lists those there are."""

    code = "unknown_git_folder"


class FolderState(StrEnum):
    """How a folder stands. While it is `CONVERTING` or `ROLLING_BACK`, `step` says what is done."""

    LINKED = "linked"  # it has a branch, and is a plain folder
    CONVERTING = "converting"
    CONVERTED = "converted"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


FOLLOWED = frozenset({FolderState.LINKED, FolderState.CONVERTING, FolderState.CONVERTED, FolderState.ROLLING_BACK})
"""States in which the branch is advanced with every backup."""


@dataclass(frozen=True, slots=True)
class GitFolder:
    """A folder as its row says.

    `path` is the workspace's, `tree` the folder in the repository's tree, `branch` its branch. `head` is where
    the backup left that branch, `shown` its root tree, `at` the commit of the backup branch that it shows; all
    three None before the branch was made. `epoch` counts the times that something was about to be moved.
    """

    path: str
    tree: str
    branch: str
    state: FolderState
    head: str | None = None
    shown: str | None = None
    at: str | None = None
    epoch: int = 0
    row: Row = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The row's key: a path may hold what a key may not."""
        return key_of(self.path)

    @property
    def step(self) -> str:
        """What a conversion or its undoing is about to do."""
        return str(self.row.get("step") or "")

    @property
    def moving(self) -> bool:
        """Whether its contents may stand half in one place and half in another."""
        return bool(self.row.get("moving"))

    def text(self, name: str) -> str | None:
        """A text of the row, None where it is empty."""
        value = self.row.get(name)
        return str(value) if value not in (None, "") else None

    def number(self, name: str) -> int:
        """A number of the row, 0 where there is none."""
        return int(self.row.get(name) or 0)


def key_of(path: str) -> str:
    """The key of a folder's row."""
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class GitFolderStore:
    """Rows of the table `gitfolders`, by the hash of the folder's path."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables, self._clock = tables, clock

    def folders(self) -> list[GitFolder]:
        """Every folder that has, or had, a branch, in the order of their paths."""
        return sorted(map(_folder, self._tables.query(GIT_FOLDERS, _FOLDERS)), key=lambda f: f.path)

    def followed(self, paths: Iterable[str] | None = None) -> list[GitFolder]:
        """Those whose branches are advanced with every backup, of `paths` alone where given."""
        found = self.folders() if paths is None else [f for path in paths if (f := self.find(path))]
        return [folder for folder in found if folder.state in FOLLOWED]

    def find(self, path: str) -> GitFolder | None:
        """One folder, or None."""
        found = self._tables.get(GIT_FOLDERS, _FOLDERS, key_of(path))
        return _folder(found) if found else None

    def get(self, path: str) -> GitFolder:
        """One folder. Raises `UnknownFolder`."""
        found = self.find(path)
        if found is None:
            raise UnknownFolder(path=path)
        return found

    def link(self, path: str, tree: str, branch: str) -> GitFolder:
        """The folder's row, made where there is none."""
        known = self.find(path)
        if known and (known.tree, known.branch) == (tree, branch) and known.state in FOLLOWED:
            return known
        state = known.state if known and known.state in FOLLOWED else FolderState.LINKED
        self.update(path, path=path, tree=tree, branch=branch, state=state.value)
        return self.get(path)

    def update(self, path: str, /, **values: str | int | float | bool | None) -> None:
        """Merge values into a folder's row; None empties one."""
        changed: Row = {name: "" if value is None else value for name, value in values.items()}
        self._tables.upsert(GIT_FOLDERS, _FOLDERS, key_of(path), {**changed, "updated_at": self._now()})

    def advanced(self, moved: dict[str, tuple[str, str, str]]) -> None:
        """Write where branches stand after a push: head, root tree and the backup's commit, by path."""
        rows: dict[str, Row] = {
            key_of(path): {"head": head, "shown": shown, "at": at, "advanced_at": self._now()}
            for path, (head, shown, at) in moved.items()
        }
        self._tables.upsert_many(GIT_FOLDERS, _FOLDERS, rows)

    def moving(self) -> dict[str, int]:
        """The epoch of every folder, negative where its contents are on the move, by path."""
        return dict(self._epochs())

    def _epochs(self) -> Iterator[tuple[str, int]]:
        for folder in self.folders():
            yield folder.path, -folder.epoch - 1 if folder.moving else folder.epoch

    def _now(self) -> str:
        return self._clock.now().isoformat()


def _folder(found: StoredRow) -> GitFolder:
    row = found.row
    return GitFolder(
        path=str(row["path"]),
        tree=str(row.get("tree") or ""),
        branch=str(row["branch"]),
        state=FolderState(str(row["state"])),
        head=str(row["head"]) if row.get("head") else None,
        shown=str(row["shown"]) if row.get("shown") else None,
        at=str(row["at"]) if row.get("at") else None,
        epoch=int(row.get("epoch") or 0),
        row=row,
    )
