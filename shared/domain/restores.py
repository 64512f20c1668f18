"""Restores: what is asked for, what is done with each notebook, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from shared.domain.manifest import ManifestEntry
from shared.domain.notebooks import ExportFormat, Language, ObjectType, WorkspaceObject

MOST_IMPORT_BYTES = 10_485_760
"""The workspace's limit on an import, whatever its format."""


class RestoreKind(StrEnum):
    """A restore from the backup, or one that puts back what another restore replaced."""

    RESTORE = "restore"
    UNDO = "undo"


class RestoreStatus(StrEnum):
    """`PLANNED` is a dry run. `PARTIAL`: something was refused or failed, the rest is in place."""

    PLANNED = "planned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"


class Action(StrEnum):
    """What a restore does with one notebook."""

    CREATE = "create"
    OVERWRITE = "overwrite"
    UNCHANGED = "unchanged"
    REMOVE = "remove"
    REFUSE = "refuse"


class Outcome(StrEnum):
    """What came of it; the first three are as it should be."""

    VERIFIED = "verified"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def good(self) -> bool:
        """Whether the notebook is as the restore meant it."""
        return self in (Outcome.VERIFIED, Outcome.UNCHANGED, Outcome.REMOVED)


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What somebody asks for: `paths`, or a `folder`. `commit` and `sequence` are the resolved `at`."""

    kind: RestoreKind
    at: str
    commit: str
    sequence: int
    paths: tuple[str, ...] = ()
    folder: str | None = None
    target: str | None = None
    suffix: str = ""
    remove_extra: bool = False
    force: bool = False
    undo_of: str | None = None
    requested_by: str = "unknown"
    requested_from: str = "unknown"


@dataclass(frozen=True, slots=True)
class Live:
    """A workspace object as it stood when it was looked at: it was edited since where these differ."""

    object_id: int
    modified_at: int
    language: Language | None
    object_type: ObjectType

    @classmethod
    def of(cls, found: WorkspaceObject) -> Live:
        """What is remembered of an object."""
        return cls(found.object_id, found.modified_at, found.language, found.object_type)


@dataclass(frozen=True, slots=True)
class RestoreItem:
    """One notebook of a plan. `source` is a Git blob id, or the name of a stored blob in an undo.

    `live` is what stood at `target` when it was planned, None where nothing did. `held` is the Git blob id of
    what stands there, where the last backup holds just that: then the backup itself keeps it.
    """

    path: str
    target: str
    action: Action
    language: Language = Language.PYTHON
    format: ExportFormat = ExportFormat.SOURCE
    source: str = ""
    sha256: str | None = None
    size: int | None = None
    commit: str | None = None
    modified_at: int | None = None
    live: Live | None = None
    held: str | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What came of one notebook. `kept` is where what it replaced is kept; `written_at` what the workspace said
    was the time of modification once it was written: an edit after that is somebody else's.
    """

    outcome: Outcome
    reason: str | None = None
    detail: str | None = None
    expected_sha256: str | None = None
    found_sha256: str | None = None
    kept: str | None = None
    kept_language: Language | None = None
    kept_format: ExportFormat = ExportFormat.SOURCE
    written: Live | None = None


def target_of(path: str, request: RestoreRequest, root: str) -> str:
    """Where a notebook goes: its own path, or beside it."""
    if request.target is None:
        return path + request.suffix
    base = request.folder or root
    below = path.removeprefix(base).lstrip("/") if path.startswith(f"{base}/") else path.rpartition("/")[2]
    return f"{request.target.rstrip('/')}/{below}{request.suffix}"


def decide(item: RestoreItem, live: WorkspaceObject | None, present: str | None = None) -> RestoreItem:
    """The action for a version that is to stand at `item.target`, where `live` stands now.

    `present` is the Git blob id of what stands there, where it is known.
    """
    if live is not None and live.object_type is not ObjectType.NOTEBOOK:
        return replace(item, action=Action.REFUSE, reason="occupied", detail=OCCUPIED, live=Live.of(live))
    if live is not None and present == item.source and live.language == item.language:
        return replace(item, action=Action.UNCHANGED, live=Live.of(live))
    if item.size is not None and item.size > MOST_IMPORT_BYTES:
        return replace(item, action=Action.REFUSE, reason="too_large", detail=TOO_LARGE)
    if live is None:
        return replace(item, action=Action.CREATE)
    return replace(item, action=Action.OVERWRITE, live=Live.of(live))


def same_as_backed_up(live: WorkspaceObject, entry: ManifestEntry) -> bool:
    """Whether the workspace says that a notebook is as it was at its last export."""
    return (live.object_id, live.modified_at, live.language) == (entry.object_id, entry.modified_at, entry.language)


TOO_LARGE = "over the workspace's import limit of 10 MB: take the content with `./backup show`, and split it"
OCCUPIED = "a folder or file stands there: restore beside it, with a target folder or a suffix"
