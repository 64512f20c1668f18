"""How command lines of the Azure CLI are put together."""

from __future__ import annotations

import json
from typing import Any

from shared.cli.setup.engine import Command

DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
AZURE_DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"
GRAPH = "https://graph.microsoft.com/v1.0"
NOT_THERE = r"Not Found|NotFound|does not exist|RESOURCE_DOES_NOT_EXIST|\b404\b"
"""What a service says of a thing that is not there yet."""


def az(*argv: str) -> tuple[str, ...]:
    """A command line of the Azure CLI that answers in JSON."""
    return ("az", *argv, "--output", "json")


def rest(method: str, url: str, body: Any = None, resource: str = "", **more: Any) -> Command:
    """A call of a REST API, with a token for `resource`; `more` are further fields of the command."""
    argv = ["rest", "--method", method, "--url", url]
    argv += ["--resource", resource] if resource else []
    argv += ["--headers", "Content-Type=application/json", "--body", json.dumps(body)] if body is not None else []
    return Command(az(*argv), **more)
