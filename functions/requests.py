"""Reading requests: parameters within their bounds, bodies by their models, and who asks."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import contextmanager

import azure.functions as func
from pydantic import BaseModel, ValidationError

MOST_BODY_BYTES = 5 * 2**20
_MOST_NAMED = 5


def text(req: func.HttpRequest, name: str, most: int, *, default: str | None = None) -> str:
    """A query parameter; one that is empty is not there. Raises `ValueError`."""
    value = checked(name, req.params.get(name) or default, most)
    if name != "path":
        return value
    if not value.startswith("/"):
        raise ValueError("path must be an absolute workspace path, such as /Clients/acme/load")
    return value.rstrip("/") or value


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


def who_asks(req: func.HttpRequest) -> str:
    """The name that the platform's authentication gives, where it does; it decides nothing, it is only recorded."""
    try:
        principal = json.loads(base64.b64decode(req.headers.get("X-MS-CLIENT-PRINCIPAL", ""), validate=True))
        claims = {c["typ"]: c["val"] for c in principal["claims"]}
        return str(claims.get(principal.get("name_typ")) or claims.get("preferred_username") or "function key")[:200]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return "function key"


def origin_of(req: func.HttpRequest) -> str:
    """Where the request came from, as the platform's front end says."""
    return (req.headers.get("X-Forwarded-For", "").split(",")[0].strip() or "unknown")[:100]
