"""HTTP entry points for the tags that mark points of the history."""

from __future__ import annotations

import azure.functions as func

from functions.answers import answer, guarded
from functions.requests import origin_of, read_body, who_asks
from shared.domain.tag_request import TagBody
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]


@blueprint.route("tags", methods=["GET"])
@guarded
def list_tags(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/tags`: the tags of the repository, and what each says."""
    return answer(services().tags.overview())


@blueprint.route("tags", methods=["POST"])
@guarded
def create_tag(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/tags`: mark a commit of the backup; asked for again, it is the same tag."""
    body = read_body(req, TagBody)
    commit = services().history.moment(body.at).commit
    return answer(services().tags.create(body.name, commit, body.message, who_asks(req), origin_of(req)), status=201)
