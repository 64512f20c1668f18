"""How somebody gets a token of Microsoft Entra ID for the app, and what is wrong with the one that they have."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

_GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_RESOURCE = re.compile(rf'resource_id="(?:api://)?({_GUID})"')
"""App Service Authentication names the app's registration in the challenge of a 401."""


def token_command(application_id: str = "APPLICATION_ID") -> str:
    """The command line that puts a token into the environment, for a shell."""
    token = f"az account get-access-token --resource api://{application_id} --query accessToken --output tsv"
    return f"export BACKUP_TOKEN=$({token})"


def refusal(token: str | None, challenge: str, now: datetime) -> str:
    """What to do about a token that was refused, or that is missing; `challenge` is the header WWW-Authenticate."""
    claims = _claims(token or "")
    named = _RESOURCE.search(challenge)
    found = named[1] if named else str(claims.get("aud", "")).removeprefix("api://")
    is_known = re.fullmatch(_GUID, found) is not None
    command = token_command(found) if is_known else token_command()
    where = "" if is_known else " (your administrator knows APPLICATION_ID; the set-up printed it at its end)"
    return f"{_state(claims, now)}In Azure get one with the Azure CLI, after `az login`: {command}{where}."


def _state(claims: dict[str, Any], now: datetime) -> str:
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or not 0 < expires < 1e11 or expires > now.timestamp():
        return ""
    return f"Your token expired at {datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M} UTC. "


def _claims(token: str) -> dict[str, Any]:
    """What a token says of itself, unproved; nothing where it is none."""
    parts = token.split(".")
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
