"""What the commands beside an old volume report to the app: validated before anything is stored."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.parity import Difference, Explanation

MOST_FINDINGS = 5_000
MOST_COPIES = 5_000
MOST_NUMBER = 2**53 - 1
type Count = Annotated[int, Field(ge=0, le=MOST_NUMBER)]
type Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\u0000]*$")]
type Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class FoundBody(BaseModel):
    """One notebook that differs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[str, Field(min_length=1, max_length=4_096, pattern=r"^[^\u0000]*$")]
    difference: Difference
    explanations: Annotated[list[Explanation], Field(max_length=len(Explanation))] = []
    detail: Annotated[str, Field(max_length=1_000, pattern=r"^[^\u0000]*$")] = ""


class ParityBody(BaseModel):
    """The body of `POST /api/parity`: one comparison. `left_out` findings are counted, and not among `findings`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    day: date
    copy_name: Name
    commit: Commit
    notebooks: Count
    files: Count
    size: Count
    equal: Count
    explained: Count
    missing: Count
    extra: Count
    different: Count
    unread: Count
    not_compared: Count = 0
    left_out: Count = 0
    findings: Annotated[list[FoundBody], Field(max_length=MOST_FINDINGS)] = []

    @property
    def agreed(self) -> bool:
        """Whether nothing differs that is not explained."""
        return not (self.missing or self.extra or self.different or self.unread)


class ImportedCopy(BaseModel):
    """What became of one copy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    status: Annotated[str, Field(pattern="^(imported|unchanged|already|refused)$")]
    commit: Commit | None = None


class ImportBody(BaseModel):
    """The body of `POST /api/volume-imports`: what an import did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    branch: Name
    copies: Annotated[list[ImportedCopy], Field(max_length=MOST_COPIES)]
