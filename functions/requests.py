"""Reading requests: parameters within their bounds, bodies by their models, and who asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import azure.functions as func
from pydantic import BaseModel, ValidationError

from shared.domain.access import ANONYMOUS, Caller
from shared.domain.moments import checked_moment
from shared.domain.tags import MOST_MOMENT_CHARACTERS
from shared.services.access.decisions import PrincipalNotBelieved
from shared.services.recovery.scoped_history import ScopedHistory
from shared.services.state.status import Json
from shared.wiring import services

_PORT = re.compile(r"^(\d+\.\d+\.\d+\.\d+|\[[0-9A-Fa-f:.]+\]):\d+$")
MOST_BODY_BYTES = 5 * 2**20
MOST_FINDINGS = 5_000
_MOST_NAMED = 5


def text(req: func.HttpRequest, name: str, most: int, *, default: str | None = None) -> str:
    """A query parameter; one that is empty is not there. Raises `ValueError`."""
    value = checked(name, req.params.get(name) or default, most)
    if name != "path":
        return value
    if not value.startswith("/"):
        raise ValueError("path must be an absolute workspace path, such as /Clients/acme/load")
    return value.rstrip("/") or value


def as_of(req: func.HttpRequest, name: str, default: str) -> str:
    """A query parameter that says as of when. Raises `ValueError`."""
    value = text(req, name, MOST_MOMENT_CHARACTERS, default=default)
    try:
        return checked_moment(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def checked(name: str, value: str | None, most: int) -> str:
    """A value that must be there, and within its bound. Raises `ValueError`."""
    if value is None:
        raise ValueError(f"the parameter {name} is missing")
    if len(value) > most or "\0" in value:
        raise ValueError(f"{name} must have at most {most} characters, and no NUL")
    return value


def number(req: func.HttpRequest, name: str, default: int, least: int, most: int) -> int:
    """A whole number within bounds. Raises `ValueError`."""
    given = req.params.get(name) or str(default)
    if not (given.isascii() and given.isdigit() and least <= int(given) <= most):
        raise ValueError(f"{name} must be {least} to {most}")
    return int(given)


def findings_page(req: func.HttpRequest, read: Callable[[], Json]) -> Json:
    """A run or verification with a page of its failures and notices. Raises `ValueError`.

    `next` is the `offset` of the next page, None on the last: a run that may read nothing fails by the ten thousand.
    """
    limit, start = number(req, "limit", MOST_FINDINGS, 1, MOST_FINDINGS), number(req, "offset", 0, 0, 10**9)
    found = read()
    shown = {name: found[name][start : start + limit] for name in ("failures", "notices")}
    more = any(len(found[name]) > start + limit for name in shown)
    return {**found, **shown, "next": start + limit if more else None}


def one_of(req: func.HttpRequest, name: str, known: tuple[str, ...]) -> str:
    """A parameter that is one of a few, the first where it is not given. Raises `ValueError`."""
    given = req.params.get(name) or known[0]
    if given not in known:
        raise ValueError(f"{name} must be one of {', '.join(filter(None, known))}")
    return given


def flag(req: func.HttpRequest, name: str) -> bool:
    """A parameter that is `true` or `false`; false where it is not given. Raises `ValueError`."""
    return one_of(req, name, ("false", "true")) == "true"


def read_body[Model: BaseModel](req: func.HttpRequest, model: type[Model]) -> Model:
    """A JSON body, or none at all, as its model. Raises `ValueError` naming each member that is wrong."""
    body = req.get_body()
    if len(body) > MOST_BODY_BYTES:
        raise ValueError(f"the body must have at most {MOST_BODY_BYTES} bytes")
    with told():
        return model.model_validate_json(body if body.strip() else b"{}")


@contextmanager
def told() -> Iterator[None]:
    """Name each member of a request that is wrong, without its value, in a `ValueError`."""
    try:
        yield
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_NAMED]
        named = [f"{'.'.join(map(str, e['loc'])) or 'the body'}: {e['msg']}" for e in found]
        raise ValueError("; ".join(named)) from None


def asking(req: func.HttpRequest) -> Caller:
    """Who asks, as the platform's sign-in says; nobody, where what stands there is not believed."""
    try:
        return services().access.caller(req.headers)
    except PrincipalNotBelieved:
        return ANONYMOUS


def history_for(req: func.HttpRequest) -> ScopedHistory:
    """The history as whoever asks may see it."""
    return ScopedHistory(services().history, services().access, asking(req))


def who_asks(req: func.HttpRequest) -> str:
    """The name of whoever asks, for records."""
    return asking(req).name


def origin_of(req: func.HttpRequest) -> str:
    """Where the request came from: the platform's front end adds that last, after what the request claims itself."""
    last = req.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    # App Service names the port, too, which is another for each connection.
    return (_PORT.sub(r"\1", last) or "unknown")[:100]
