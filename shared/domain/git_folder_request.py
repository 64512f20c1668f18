"""What people ask of Git folders over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

type FolderPath = Annotated[str, Field(min_length=2, max_length=4096, pattern=r"^/[^\u0000]*[^/\u0000]$")]


class OperationBody(BaseModel):
    """A plan, or a conversion or rollback of folders: of those that are named, or of `all`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["plan", "convert", "rollback"]
    folders: Annotated[list[FolderPath], Field(max_length=2_000)] = []
    all: bool = False
    accept_losses: bool = False
