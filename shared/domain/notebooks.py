"""What the workspace holds, as the backup sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST_SOURCE_BYTES = 10_485_760
"""A larger notebook is not exported as source (the workspace's limit, in its own error message)."""
MOST_NOTEBOOK_BYTES = 100 * 2**20
"""A larger notebook is not exported at all, and a larger file is none: the limit of a Jupyter export."""


class Language(StrEnum):
    """A notebook's default language, spelled as the Databricks workspace API spells it."""

    PYTHON = "PYTHON"
    SQL = "SQL"
    SCALA = "SCALA"
    R = "R"


class ExportFormat(StrEnum):
    """How a notebook's bytes were exported: `JUPYTER` only where `SOURCE` was over 10 MB."""

    SOURCE = "SOURCE"
    JUPYTER = "JUPYTER"


class ObjectType(StrEnum):
    """Kinds of workspace objects that the backup tells apart; anything else reads as `OTHER`."""

    NOTEBOOK = "NOTEBOOK"
    DIRECTORY = "DIRECTORY"
    REPO = "REPO"
    FILE = "FILE"
    LIBRARY = "LIBRARY"
    DASHBOARD = "DASHBOARD"
    MLFLOW_EXPERIMENT = "MLFLOW_EXPERIMENT"
    OTHER = "OTHER"

    @property
    def holds_children(self) -> bool:
        """Whether listing the object can show notebooks below it."""
        return self in (ObjectType.DIRECTORY, ObjectType.REPO)


@dataclass(frozen=True, slots=True)
class WorkspaceObject:
    """One row of `GET /api/2.0/workspace/list`.

    `path` is absolute in the workspace (`/Clients/acme/load`); `modified_at` is Unix time in
    milliseconds, 0 where the workspace gave none; `size` is bytes, None where not given;
    `language` is None for anything but a notebook.
    """

    path: str
    object_type: ObjectType
    object_id: int
    language: Language | None = None
    modified_at: int = 0
    size: int | None = None

    @property
    def name(self) -> str:
        """The last part of the path. A path never ends in `/`."""
        return self.path.rpartition("/")[2]
