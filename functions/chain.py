"""The backup's chain of triggers: timer, queues, and the durable single instance that commits."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.tracing import traced
from shared.domain.messages import MalformedMessage, read_message
from shared.errors import RunActive
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.runs import PLAN_QUEUE, planning_message
from shared.wiring import services

blueprint = df.Blueprint()

COMMIT_INSTANCE = "backup-commit"
STEP_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=10)
SLICE_PAUSE = timedelta(seconds=1)
_log = logging.getLogger("backup.chain")


@blueprint.timer_trigger("timer", schedule="%BACKUP_SCHEDULE%", use_monitor=True)
@blueprint.queue_output("planning", PLAN_QUEUE, connection="AzureWebJobsStorage")
def daily_backup(timer: func.TimerRequest, planning: func.Out[str]) -> None:
    """Start the daily run. One that is still under way is left to end."""
    try:
        run_id = services().runs.start("timer")
        with traced("daily_backup", run_id):
            planning.set(planning_message(run_id))
            _log.info("run %s starts", run_id, extra={"action": "run.start"})
    except RunActive as error:
        _log.warning("daily run not started: %s", error, extra={"action": "run.start"})


@blueprint.queue_trigger("message", PLAN_QUEUE, connection="AzureWebJobsStorage")
@blueprint.queue_output("batches", EXPORT_QUEUE, connection="AzureWebJobsStorage")
@blueprint.durable_client_input("client")
async def plan_run(
    message: func.QueueMessage, client: df.DurableOrchestrationClient, batches: func.Out[list[str]]
) -> None:
    """List, compare and enqueue a run's batches; then see that its committer runs."""
    (run_id,) = read_message(message.get_body(), "run_id")
    with traced("plan_run", run_id):
        # The worker runs coroutines on its one loop: what blocks goes to a thread.
        step = await asyncio.to_thread(services().plan.plan, run_id)
        if step.done:
            await _ensure_committer(client)
    if step.messages:
        batches.set(list(step.messages))


@blueprint.queue_trigger("message", EXPORT_QUEUE, connection="AzureWebJobsStorage")
def export_batch(message: func.QueueMessage) -> None:
    """Export one batch into a staged archive."""
    run_id, batch_id = read_message(message.get_body(), "run_id", "batch_id")
    with traced("export_batch", run_id):
        services().export.export_batch(run_id, batch_id)


@blueprint.queue_trigger("message", f"{EXPORT_QUEUE}-poison", connection="AzureWebJobsStorage")
def export_poison(message: func.QueueMessage) -> None:
    """Name the notebooks of a batch that failed at every delivery among the run's failures."""
    try:
        run_id, batch_id = read_message(message.get_body(), "run_id", "batch_id")
    except MalformedMessage as error:
        # The batch that it was to name still waits: the watchdog sends it again.
        _log.error("a message was dropped: %s", error, extra={"action": "message.drop"})
        return
    reason = "its export failed at every delivery: see the function app's log for the batch"
    services().batches.give_up(run_id, batch_id, reason)


@blueprint.queue_trigger("message", f"{PLAN_QUEUE}-poison", connection="AzureWebJobsStorage")
def plan_poison(message: func.QueueMessage) -> None:
    """End a run whose planning failed at every delivery as failed, and free the way for the next."""
    try:
        (run_id,) = read_message(message.get_body(), "run_id")
    except MalformedMessage as error:
        _log.error("a message was dropped: %s", error, extra={"action": "message.drop"})
        return
    with traced("plan_poison", run_id):
        services().watch.fail(run_id, "planning failed at every delivery: run `./backup doctor`, then start a new run")
        services().telling.endings.run_ended(run_id)


@blueprint.timer_trigger("timer", schedule="0 */5 * * * *")
@blueprint.durable_client_input("client")
async def watchdog(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Move a stalled run on and see that its committer runs."""
    if await asyncio.to_thread(services().watch.watch):
        await _ensure_committer(client)


@blueprint.orchestration_trigger("context")
def commit_orchestrator(context: df.DurableOrchestrationContext) -> Any:
    """Time slices of committing until the active run is over."""
    done = yield context.call_activity_with_retry("commit_slice", STEP_RETRY, "")
    if not done:
        yield context.create_timer(context.current_utc_datetime + SLICE_PAUSE)
        context.continue_as_new(None)


@blueprint.activity_trigger("slice")
def commit_slice(slice: str) -> bool:
    """One time slice; True when no run needs the committer."""
    with traced("commit_slice", services().runs.active() or ""):
        step = services().drive.drive()
        if step.done and step.run_id:
            # The run is over, whatever becomes of this.
            services().telling.endings.run_ended(step.run_id)
    # A run that began meanwhile found this committer alive, and started no other.
    return step.done and services().runs.active() is None


async def _ensure_committer(client: df.DurableOrchestrationClient) -> None:
    """Start the single instance. One that lives already serves as well: the vendor's get-then-start races."""
    try:
        await client.start_new("commit_orchestrator", COMMIT_INSTANCE)
    except Exception as error:
        if "already exists" not in str(error).lower():
            raise
