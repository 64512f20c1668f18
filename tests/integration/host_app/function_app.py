"""A small app with every kind of function, for the tests of the host."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp()
NOTES = Path(os.environ.get("HOST_APP_NOTES", "notes"))


def _note(name: str, text: str) -> int:
    """Append a line; returns how many the file has now."""
    with (NOTES / name).open("a") as lines:
        lines.write(text + "\n")
    return len((NOTES / name).read_text().splitlines())


@app.timer_trigger("timer", schedule="0 0 3 * * *")
def nightly(timer: func.TimerRequest) -> None:
    _note("nightly", str(timer.past_due))


@app.queue_trigger("message", "work", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    _note("work", f"{text} {message.dequeue_count}")
    if text == "bad":
        raise ValueError("bad")


@app.queue_trigger("message", "fan", connection="AzureWebJobsStorage")
@app.queue_output("pieces", "work", connection="AzureWebJobsStorage")
@app.queue_output("sink", "nobody-listens", connection="AzureWebJobsStorage")
async def fan(message: func.QueueMessage, pieces: func.Out[list[str]], sink: func.Out[str]) -> None:
    text = message.get_body().decode()
    pieces.set([f"{text} 1", f"{text} 2"])
    sink.set(text)


@app.queue_trigger("message", "work-poison", connection="AzureWebJobsStorage")
def work_poison(message: func.QueueMessage) -> None:
    _note("poison", message.get_body().decode())


@app.route("echo/{name}", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def echo(req: func.HttpRequest) -> func.HttpResponse:
    body = {"name": req.route_params["name"], "q": req.params.get("q"), "body": req.get_body().decode()}
    return func.HttpResponse(json.dumps(body), status_code=201, headers={"X-Test": "1"}, mimetype="application/json")


@app.route("begin/{name}/{id}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input("client")
async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    try:
        started = await client.start_new(req.route_params["name"], req.route_params["id"], json.loads(req.get_body()))
    except Exception as error:  # noqa: BLE001 - what the vendor's client raises
        return func.HttpResponse(str(error), status_code=409)
    return func.HttpResponse(started)


@app.route("state/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input("client")
async def state(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    status = await client.get_status(req.route_params["id"])
    runtime = status.runtime_status.value if status.runtime_status else None
    return func.HttpResponse(json.dumps({"status": runtime, "output": status.output}))


@app.route("raise/{id}/{event}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.durable_client_input("client")
async def raise_it(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.raise_event(req.route_params["id"], req.route_params["event"], json.loads(req.get_body()))
    return func.HttpResponse("raised")


RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=3)


@app.orchestration_trigger("context")
def flaky(context: df.DurableOrchestrationContext) -> Any:
    first = yield context.call_activity_with_retry("fails_until", RETRY, context.get_input())
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=50))
    second = yield context.task_all([context.call_activity("double", n) for n in (1, 2, 3)])
    return {"first": first, "second": second}


@app.orchestration_trigger("context")
def waits(context: df.DurableOrchestrationContext) -> Any:
    answer = yield context.wait_for_external_event("go")
    doubled = yield context.call_activity("double", answer)
    return doubled


@app.orchestration_trigger("context")
def counts_down(context: df.DurableOrchestrationContext) -> Any:
    left = context.get_input()
    yield context.call_activity("count", left)
    if left > 1:
        context.continue_as_new(left - 1)
        return None
    return "done"


@app.activity_trigger("attempts")
def fails_until(attempts: int) -> int:
    if (seen := _note("attempts", "x")) < attempts:
        raise RuntimeError(f"attempt {seen}")
    return seen


@app.activity_trigger("number")
def double(number: int) -> int:
    return 2 * number


@app.activity_trigger("number")
def count(number: int) -> None:
    _note("count", str(number))
