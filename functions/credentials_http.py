"""Credentials: when each expires, over HTTP and by a timer, and their rotation."""

from __future__ import annotations

from typing import Annotated

import azure.functions as func
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from functions.answers import answer, guarded
from functions.requests import origin_of, read_body, who_asks
from functions.tracing import traced
from shared.services.credentials.secrets import CREDENTIAL_NAME
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]


class UserBody(BaseModel):
    """A request's body: an Entra ID token of a user for Azure DevOps, where one is needed. It is kept nowhere."""

    model_config = ConfigDict(extra="forbid")

    user_token: Annotated[SecretStr | None, Field(max_length=16_384)] = None


@blueprint.timer_trigger("timer", schedule="45 */5 * * * *")
def continue_rotations(timer: func.TimerRequest) -> None:
    """Go on with rotations that wait, or whose process died."""
    with traced("continue_rotations"):
        services().credentials.rotation.go_on_all()


@blueprint.timer_trigger("timer", schedule="0 20 * * * *")
def watch_credentials(timer: func.TimerRequest) -> None:
    """Look up when credentials expire, tell of it in time, and rotate those that the backup can."""
    with traced("watch_credentials"):
        services().credentials.watch.look()


@blueprint.route("credentials", methods=["GET"])
@guarded
def list_credentials(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/credentials`: each with the days that it has left, or what is missing to know them."""
    return answer({"credentials": services().credentials.watch.shown()})


@blueprint.route("credentials/check", methods=["POST"])
@guarded
def check_credentials(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/credentials/check`: look everything up now, then as `GET /api/credentials`."""
    token = _user_token(req)
    services().credentials.watch.look(token, who=who_asks(req), origin=origin_of(req))
    return answer({"credentials": services().credentials.watch.shown()})


@blueprint.route("credentials/{name}/rotate", methods=["POST"])
@guarded
def rotate_credential(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/credentials/{name}/rotate`: begin a rotation, or go on with one, as far as it goes now."""
    name, token = req.route_params["name"], _user_token(req)
    if not CREDENTIAL_NAME.fullmatch(name):
        raise ValueError("a credential's name has letters, digits and dashes")
    return answer(services().credentials.rotation.start(name, who_asks(req), origin_of(req), token), status=202)


def _user_token(req: func.HttpRequest) -> str:
    given = read_body(req, UserBody).user_token
    return given.get_secret_value() if given else ""
