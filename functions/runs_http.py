"""HTTP entry points for runs and status."""

from __future__ import annotations

import json
import logging
import re

import azure.functions as func

from functions.answers import answer, guarded
from functions.requests import findings_page, number, origin_of, who_asks
from functions.tracing import traced
from shared.services.state.runs import PLAN_QUEUE, planning_message
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]

MOST_RUNS = 200
_log = logging.getLogger("backup.runs")
_WAYS = ("retry", "confirm_deletions")
RUN_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


@blueprint.route("status", methods=["GET"])
@guarded
def get_status(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/status`: the active run with its progress, the last one that ended, and what was published."""
    publication = services().publication
    return answer({**services().status.overview(), "publication": publication.shown() if publication else None})


@blueprint.route("runs", methods=["GET"])
@guarded
def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs?limit=`: the newest runs first."""
    return answer({"runs": services().status.recent(number(req, "limit", 20, 1, MOST_RUNS))})


@blueprint.route("runs", methods=["POST"])
@blueprint.queue_output("planning", PLAN_QUEUE, connection="AzureWebJobsStorage")
@guarded
def start_run(req: func.HttpRequest, planning: func.Out[str]) -> func.HttpResponse:
    """`POST /api/runs`: start a run, of the failures of one, or with its held deletions; 409 where one is active."""
    asked = _asked(req.get_body())
    run_id = services().runs.start(
        "http",
        retry_of=asked.get("retry"),
        confirms=asked.get("confirm_deletions"),
        who=who_asks(req),
        origin=origin_of(req),
    )
    with traced("start_run", run_id):
        planning.set(planning_message(run_id))
        _log.info("run %s starts", run_id, extra={"action": "run.start"})
    return answer({"run_id": run_id, "status": "running"}, status=202, headers={"Location": f"/api/runs/{run_id}"})


def _asked(body: bytes) -> dict[str, str]:
    """What a request's body says: nothing, or a run's id for one of `_WAYS`. Raises `ValueError`."""
    if not body.strip():
        return {}
    try:
        asked = json.loads(body)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    if not isinstance(asked, dict) or asked.keys() - set(_WAYS) or len(asked) > 1:
        raise ValueError('the body may be {"retry": RUN_ID}, {"confirm_deletions": RUN_ID}, or nothing')
    given = {way: run_id for way, run_id in asked.items() if run_id is not None}
    for way, run_id in given.items():
        if not (isinstance(run_id, str) and RUN_ID.fullmatch(run_id)):
            raise ValueError(f"{way} must be a run id, as `./backup runs` lists them")
    return given


@blueprint.route("runs/{id}", methods=["GET"])
@guarded
def get_run(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/runs/{id}?limit=&offset=`: one run with progress and failures."""
    return answer(findings_page(req, lambda: services().status.run(req.route_params["id"])))


@blueprint.route("doctor", methods=["GET"])
@guarded
def get_doctor(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/doctor`: a check of every outside system and right that the settings name."""
    return answer({"checks": services().doctor.check()})


@blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@guarded
def get_health(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/health`: the app is loaded and its settings are valid; asks no outside system."""
    services()
    return func.HttpResponse(json.dumps({"status": "ok"}), mimetype="application/json")
