"""What a request for a restore may say: validated before anything is looked up."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.domain.moments import checked_moment
from shared.domain.tags import MOST_MOMENT_CHARACTERS

MOST_PATHS = 1_000
MOST_PATH_CHARACTERS = 4_096


def _workspace_path(value: str) -> str:
    path = value.rstrip("/")
    parts = path.split("/")
    if not path.startswith("/") or any(part in ("", ".", "..") for part in parts[1:]):
        raise ValueError("must be an absolute workspace path, such as /Clients/acme/load")
    return path


def _suffix(value: str) -> str:
    if "/" in value:
        raise ValueError("must not hold a slash")
    return value


type WorkspacePath = Annotated[
    str, Field(min_length=1, max_length=MOST_PATH_CHARACTERS), AfterValidator(_workspace_path)
]


class RestoreBody(BaseModel):
    """The body of `POST /api/restores`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MOST_MOMENT_CHARACTERS,
            description="A commit, a date, a time, `tag:NAME`, or `latest`",
        ),
        AfterValidator(checked_moment),
    ]
    paths: Annotated[list[WorkspacePath], Field(max_length=MOST_PATHS)] = []
    folder: WorkspacePath | None = None
    target: WorkspacePath | None = None
    suffix: Annotated[str, Field(max_length=100), AfterValidator(_suffix)] = ""
    dry_run: bool = False
    remove_extra: bool = False
    force: bool = False
    plan: Annotated[str | None, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.paths) == (self.folder is not None):
            raise ValueError("give either paths or a folder")
        if self.remove_extra and (self.folder is None or self.target or self.suffix):
            raise ValueError("remove_extra goes with a folder that is restored in place")
        return self


class UndoBody(BaseModel):
    """The body of `POST /api/restores/{id}/undo`; it may be left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dry_run: bool = False
    force: bool = False
