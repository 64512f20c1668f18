"""HTTP entry points of Git folders: plans, conversions and rollbacks as operations, and how folders stand."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.answers import answer, guarded, guarded_async
from functions.requests import origin_of, read_body, who_asks
from functions.tracing import traced
from shared.domain.git_folder_request import OperationBody
from shared.services.git_folders.operations import OperationKind, Request
from shared.wiring import services

blueprint = df.Blueprint()

STEP_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=10)
SLICE_PAUSE = timedelta(seconds=2)
"""Between two time slices: what is waited for, such as a backup, takes longer than that."""


@blueprint.route("git-folders", methods=["GET"])
@guarded
def list_git_folders(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/git-folders`: every folder that has a branch, and the newest operations."""
    return answer(services().git_folders.status())


@blueprint.route("git-folders/operations", methods=["POST"])
@blueprint.durable_client_input("client")
@guarded_async
async def start_git_folder_operation(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/git-folders/operations`: plan, convert or roll back; it goes on by itself."""
    body = read_body(req, OperationBody)
    kind, folders = OperationKind(body.kind), tuple(body.folders)
    asked = Request(kind, folders, body.all, body.accept_losses, who_asks(req), origin_of(req))
    found = await asyncio.to_thread(services().git_folders.start, asked)
    await _ensure(client, str(found["id"]))
    return answer(found, status=202, headers={"Location": f"/api/git-folders/operations/{found['id']}"})


@blueprint.route("git-folders/operations/{id}", methods=["GET"])
@guarded
def get_git_folder_operation(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/git-folders/operations/{id}`: one with what became of each folder, or with its plan."""
    return answer(services().git_folders.get(req.route_params["id"]))


@blueprint.orchestration_trigger("context")
def git_folder_orchestrator(context: df.DurableOrchestrationContext) -> Any:
    """Time slices of one operation until it is over."""
    identity = context.get_input()
    done = yield context.call_activity_with_retry("git_folder_slice", STEP_RETRY, identity)
    if not done:
        yield context.create_timer(context.current_utc_datetime + SLICE_PAUSE)
        context.continue_as_new(identity)


@blueprint.activity_trigger("operation")
def git_folder_slice(operation: str) -> bool:
    """One time slice; True when the operation is over."""
    with traced("git_folder_slice", operation):
        return services().git_folders.step(operation)


@blueprint.timer_trigger("timer", schedule="45 */5 * * * *")
@blueprint.durable_client_input("client")
async def git_folder_watchdog(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Go on with operations whose steps stopped."""
    for identity in await asyncio.to_thread(services().git_folders.abandoned):
        await _ensure(client, identity)


async def _ensure(client: df.DurableOrchestrationClient, identity: str) -> None:
    """Start the orchestration of an operation; one that lives already serves as well."""
    try:
        await client.start_new("git_folder_orchestrator", f"gitfolders-{identity}", identity)
    except Exception as error:
        if "already exists" not in str(error).lower():
            raise
