"""What a request for a tag may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.domain.moments import checked_moment
from shared.domain.tags import MOST_MESSAGE_CHARACTERS, MOST_MOMENT_CHARACTERS, MOST_NAME_CHARACTERS


class TagBody(BaseModel):
    """The body of `POST /api/tags`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=MOST_NAME_CHARACTERS, description="As Git takes it for a tag")]
    message: Annotated[str, Field(max_length=MOST_MESSAGE_CHARACTERS)] = ""
    at: Annotated[str, Field(min_length=1, max_length=MOST_MOMENT_CHARACTERS), AfterValidator(checked_moment)] = (
        "latest"
    )
