"""Requests as the platform's sign-in hands them over, and the app's HTTP functions as the host calls them."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

import azure.functions as func
import pytest

from shared.wiring import services
from tests.pages_site import Client
from tests.registered import functions

HEADER = "X-MS-CLIENT-PRINCIPAL"
LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
IN_AZURE = {"WEBSITE_INSTANCE_ID": "i-1", "WEBSITE_AUTH_ENABLED": "True", "WEBSITE_HOSTNAME": "backup.example.com"}


def set_up(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    """Have the app's services made anew with these settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    services.cache_clear()


def principal(
    *roles: str,
    name: str = "ada@example.com",
    groups: Iterable[str] = (),
    role_type: str = "roles",
    **changes: Any,
) -> dict[str, str]:
    """The header of somebody who is signed in. `changes` replace members of its JSON object."""
    claims = [(OBJECT_ID, f"id of {name}"), ("preferred_username", name), ("name", "A. Nybody")]
    claims += [(role_type, role) for role in roles] + [("groups", group) for group in groups]
    body = {
        "auth_typ": "aad",
        "name_typ": "name",
        "role_typ": LONG_ROLE,
        "claims": [{"typ": kind, "val": value} for kind, value in claims],
    }
    return {HEADER: encoded({**body, **changes})}


def encoded(body: object) -> str:
    """A JSON value in base64."""
    return base64.b64encode(json.dumps(body).encode()).decode()


@functools.cache
def http_functions() -> dict[str, tuple[str, str, Any]]:
    """Every registered HTTP function by its name: method, route, and what the host calls."""
    found = {}
    for function in functions():
        trigger = function.get_trigger().get_dict_repr()
        if str(trigger["type"]) == "httpTrigger":
            (method,) = trigger["methods"]
            found[function.get_function_name()] = (method.value, str(trigger["route"]), function.get_user_function())
    return found


class _Out(func.Out[str]):
    """Takes what an output binding is given."""

    def set(self, val: str) -> None:
        self.value = val

    def get(self) -> str:
        return self.value


def send(
    name: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes = b"",
    params: Mapping[str, str] | None = None,
    identity: str = "none",
) -> func.HttpResponse:
    """Call an HTTP function as the host does."""
    method, route, function = http_functions()[name]
    known = {"id": identity} if "{id}" in route else {}
    given = {"Host": "backup.example.com", **(headers or {})}
    url = f"https://backup.example.com/api/{route.replace('{id}', identity)}"
    request = func.HttpRequest(method, url, headers=given, params=params or {}, route_params=known, body=body)
    if hasattr(function, "client_function"):
        answer = asyncio.run(function.client_function(request, client=Client()))
    elif name == "start_run":
        answer = function(request, planning=_Out())
    else:
        answer = function(request)
    assert isinstance(answer, func.HttpResponse)
    return answer


def code_of(answer: func.HttpResponse) -> str:
    """The code of a problem answer, or of the same as a page; empty where it is none."""
    if answer.mimetype == "application/problem+json":
        return str(json.loads(answer.get_body())["type"]).removeprefix("urn:notebook-backup:")
    return ""
