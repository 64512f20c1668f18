"""The header `X-MS-CLIENT-PRINCIPAL` of App Service Authentication.

Base64 of `{"auth_typ", "name_typ", "role_typ", "claims": [{"typ", "val"}]}`
(https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities). `role_typ` is often a long
URI while the token's app roles keep their own name, `roles`
(https://github.com/Azure/azure-functions-host/issues/3898): both are read.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from shared.domain.access import Caller

HEADER = "X-MS-CLIENT-PRINCIPAL"
MOST_CHARACTERS = 64 * 2**10
"""Of the header. The platform's front end bounds all headers of a request to half of that."""
PROVIDER = "aad"
_OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_UPN = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
# What nobody can choose for themselves comes first: a display name is its owner's own.
_NAMES = ("preferred_username", _UPN, "upn")
_SUBJECTS = (_OBJECT_ID, "oid")
_PROGRAMS = ("azp", "appid")
_MOST_NAME_CHARACTERS = 200


class MalformedPrincipal(ValueError):
    """The header is none that the platform writes."""


def caller_of(header: str) -> Caller:
    """The caller that a header names. Raises `MalformedPrincipal`, which quotes nothing of it."""
    principal = _decoded(header)
    if principal.get("auth_typ") != PROVIDER:
        raise MalformedPrincipal("it is of another provider than Microsoft Entra ID")
    claims = _claims(principal)
    subject = _first(claims, *_SUBJECTS)
    if not subject:
        raise MalformedPrincipal("it names no object id")
    name = _first(claims, *_NAMES, str(principal.get("name_typ") or ""))
    program = _first(claims, *_PROGRAMS)
    shown = name or (f"app {program}" if program else subject)
    role_types = {"roles", principal.get("role_typ")}
    return Caller(
        name=shown[:_MOST_NAME_CHARACTERS],
        subject=subject,
        roles=frozenset(value for kind, value in claims if kind in role_types),
        groups=frozenset(value for kind, value in claims if kind == "groups"),
    )


def _decoded(header: str) -> dict[str, Any]:
    if len(header) > MOST_CHARACTERS:
        raise MalformedPrincipal("it is too long")
    try:
        principal = json.loads(base64.b64decode(header, validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise MalformedPrincipal("it is no JSON in base64") from None
    if not isinstance(principal, dict):
        raise MalformedPrincipal("it is no JSON object")
    return principal


def _claims(principal: dict[str, Any]) -> list[tuple[str, str]]:
    claims = principal.get("claims")
    if not isinstance(claims, list):
        raise MalformedPrincipal("it has no list of claims")
    found = []
    for claim in claims:
        kind, value = (claim.get("typ"), claim.get("val")) if isinstance(claim, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(value, str):
            raise MalformedPrincipal("one of its claims is none")
        found.append((kind, value))
    return found


def _first(claims: list[tuple[str, str]], *kinds: str) -> str:
    """The value of the first kind that has one; empty where none has."""
    return next((value for kind in kinds for have, value in claims if have == kind and value.strip()), "")
