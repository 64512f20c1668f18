"""HTTP entry points for messages that failed at every delivery."""

from __future__ import annotations

from typing import Annotated

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field

from functions.answers import answer, guarded
from functions.requests import origin_of, read_body, who_asks
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]

MOST_IDS = 200


class ChosenMessages(BaseModel):
    """The body of both acts: the ids, or none for every message that is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ids: Annotated[list[Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")]], Field(max_length=MOST_IDS)] = []


@blueprint.route("poison", methods=["GET"])
@guarded
def list_poison(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/poison`: the messages that wait in the poison queues."""
    return answer(services().poison.overview())


@blueprint.route("poison/requeue", methods=["POST"])
@guarded
def requeue_poison(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/poison/requeue`: put messages back into the queues that they came from."""
    ids = read_body(req, ChosenMessages).ids
    return answer(services().poison.requeue(ids, who_asks(req), origin_of(req)))


@blueprint.route("poison/drop", methods=["POST"])
@guarded
def drop_poison(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/poison/drop`: take messages off for good."""
    ids = read_body(req, ChosenMessages).ids
    return answer(services().poison.drop(ids, who_asks(req), origin_of(req)))
