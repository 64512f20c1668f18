"""A batch: the unit that is planned, queued, exported, staged and committed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.notebooks import ExportFormat, Language


class ChangeKind(StrEnum):
    """Why a notebook is in a run."""

    CREATED = "created"
    CHANGED = "changed"
    RENAMED = "renamed"  # the same object id at another path, moved or renamed
    DELETED = "deleted"
    CONFLICT = "conflict"  # the repository's file was edited by a person: the workspace's bytes return


@dataclass(frozen=True, slots=True)
class ExportItem:
    """One notebook that a batch asks for.

    `file` is the repository path for `SOURCE`; `jupyter_file` the one used when the notebook is
    over the SOURCE limit and comes as `.ipynb`. `old_file` is the file that a rename or a change
    of language leaves behind, removed in the same commit that adds the new one.
    """

    path: str
    file: str
    jupyter_file: str
    object_id: int
    language: Language
    modified_at: int
    kind: ChangeKind
    size: int | None = None
    old_path: str | None = None
    old_file: str | None = None


@dataclass(frozen=True, slots=True)
class FolderExport:
    """A folder whose every notebook, at any depth, is asked for: one export call may serve it.

    `paths` are the workspace paths of the batch's items that lie below `path`.
    """

    path: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one queue message stands for. `batch_id` is unique in its run and orders the batches."""

    run_id: str
    batch_id: str
    items: tuple[ExportItem, ...]
    folders: tuple[FolderExport, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """A listed notebook (or folder) that the run could not bring in, with a stable code and a reason."""

    path: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a run settled by itself and that people should know; `path` is a notebook, file or ref."""

    path: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class StagedNotebook:
    """One exported notebook in a staged blob. `member` is its name inside the archive."""

    item: ExportItem
    member: str
    file: str
    size: int
    sha256: str
    blob: str
    format: ExportFormat = ExportFormat.SOURCE


@dataclass(frozen=True, slots=True)
class StagedBatch:
    """The index of a staged blob: what was exported and what was not."""

    run_id: str
    batch_id: str
    notebooks: tuple[StagedNotebook, ...]
    failures: tuple[Failure, ...] = field(default=())
