"""Spans around what entry points do."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import azure.functions as func
from pydantic import ValidationError

from shared.wiring import services


def traced(name: str, run_id: str = "") -> AbstractContextManager[None]:
    """A span of the function `name`, in the trace of a run, restore or verification where its id is given.

    Where the app's settings are wrong there is none: what is done within says so.
    """
    try:
        return services().telemetry.span(name, run_id)
    except ValidationError:
        return nullcontext()


def traced_request(name: str, req: func.HttpRequest) -> AbstractContextManager[None]:
    """A span of a request, in the trace of what its route names."""
    return traced(name, req.route_params.get("id", ""))
