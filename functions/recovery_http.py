"""HTTP entry points of recovery: finding, reading, comparing and restoring versions."""

from __future__ import annotations

import asyncio
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from functions.answers import answer, guarded, guarded_async
from functions.recording import record_read
from functions.requests import as_of, asking, flag, history_for, number, one_of, origin_of, read_body, text
from functions.tracing import traced
from functions.version_views import commit_json, found_json, listed_json, version_json
from shared.domain.audit import AuditAction
from shared.domain.restore_request import RestoreBody, UndoBody
from shared.domain.restores import Outcome
from shared.domain.times import iso
from shared.services.recovery.history import LATEST
from shared.wiring import services

blueprint = df.Blueprint()

MOST_FOUND, MOST_VERSIONS, MOST_RESTORES, MOST_ITEMS = 500, 500, 200, 1_000
MOST_LISTED = 5_000
MOST_QUERY, MOST_PATH = 200, 4_096
STEP_RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=5_000, max_number_of_attempts=10)


@blueprint.route("notebooks", methods=["GET"])
@guarded
def find_notebooks(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/notebooks?q=&deleted=&limit=`: notebooks whose path holds a text."""
    deleted, limit = flag(req, "deleted"), number(req, "limit", 50, 1, MOST_FOUND)
    found = history_for(req).find(text(req, "q", MOST_QUERY, default=""), deleted=deleted, limit=limit)
    return answer({"notebooks": [found_json(f) for f in found]})


@blueprint.route("tree", methods=["GET"])
@guarded
def get_tree(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/tree?path=&at=&limit=&before=`: what a folder held, its folders first."""
    history = history_for(req)
    path = text(req, "path", MOST_PATH, default=history.root)
    limit, start = number(req, "limit", MOST_LISTED, 1, MOST_LISTED), number(req, "before", 0, 0, 10**9)
    moment = history.moment(as_of(req, "at", LATEST))
    folders, notebooks = history.children(path, moment.sequence, limit + 1, start)
    more = len(folders) + len(notebooks) > limit
    shown = [{"path": f, "name": f.rpartition("/")[2]} for f in folders[:limit]]
    listed = [listed_json(n) for n in notebooks[: limit - len(shown)]]
    following = str(start + limit) if more else None
    return answer({"path": path, "at": commit_json(moment), "folders": shown, "notebooks": listed, "next": following})


@blueprint.route("versions", methods=["GET"])
@guarded
def get_versions(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/versions?path=&limit=&before=`: the versions of a notebook, the newest first."""
    path, limit = text(req, "path", MOST_PATH), number(req, "limit", 50, 1, MOST_VERSIONS)
    start = number(req, "before", 0, 0, 10**9)
    found = history_for(req).versions(path)
    more = start + limit < len(found)
    shown = [version_json(f) for f in found[start : start + limit]]
    return answer({"path": path, "versions": shown, "next": str(start + limit) if more else None})


@blueprint.route("content", methods=["GET"])
@guarded
def get_content(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/content?path=&at=`: the bytes of a notebook, or an object around its text."""
    path, at = text(req, "path", MOST_PATH), as_of(req, "at", LATEST)
    found = services().content.at(path, at)
    # The tag saves a program that keeps a content sending it again; a browser is to keep none.
    headers = {"ETag": f'"{found.blob}"', "Cache-Control": "no-store"}
    headers |= {"X-Backup-Commit": found.commit or "", "X-Backup-Sha256": found.sha256}
    headers |= {"Vary": "Accept"}
    if headers["ETag"] in [tag.strip() for tag in req.headers.get("If-None-Match", "").split(",")]:
        return func.HttpResponse(status_code=304, headers=headers)
    record_read(req, AuditAction.CONTENT_READ, path, at=at, commit=found.commit, sha256=found.sha256)
    if "application/json" in req.headers.get("Accept", ""):
        named = {n: getattr(found, n) for n in ("path", "commit", "sha256", "blob", "language", "format")}
        times = {"committed_at": iso(found.committed_at), "modified_at": iso(found.modified_at)}
        kinds = {**times, "size": len(found.data)}
        return answer({**named, **kinds, "content": found.data.decode("utf-8", "replace")}, headers=headers)
    return func.HttpResponse(found.data, headers=headers, mimetype="application/octet-stream")


@blueprint.route("diff", methods=["GET"])
@guarded
def get_diff(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/diff?path=&from=&to=&format=`: what differs between two versions."""
    path, form = text(req, "path", MOST_PATH), text(req, "format", 10, default="json")
    if form not in ("json", "text"):
        raise ValueError("format must be json or text")
    before = as_of(req, "from", LATEST)
    after = as_of(req, "to", "live")
    found = services().compare.compare(path, before, after)
    record_read(req, AuditAction.CONTENT_READ, path, at=before, compared_with=after)
    if form == "text":
        return func.HttpResponse(found.unified(), mimetype="text/plain")
    sides = {
        name: {
            "at": side.at,
            "label": side.label,
            "commit": side.content.commit if side.content else None,
            "sha256": side.content.sha256 if side.content else None,
        }
        for name, side in (("from", found.before), ("to", found.after))
    }
    totals = {"added": found.added, "removed": found.removed, "equal": found.equal}
    return answer({"path": path, **sides, **totals, "unified": found.unified()})


@blueprint.route("restores", methods=["POST"])
@blueprint.durable_client_input("client")
@guarded_async
async def start_restore(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/restores`: plan or restore; one notebook at once, what is more goes on by itself."""
    body = read_body(req, RestoreBody)
    found = await asyncio.to_thread(services().guarded_restores.start, asking(req), body, origin_of(req))
    return await _started(client, found)


@blueprint.route("restores/{id}/undo", methods=["POST"])
@blueprint.durable_client_input("client")
@guarded_async
async def undo_restore(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/restores/{id}/undo`: put back what was in place before."""
    body = read_body(req, UndoBody)
    found = await asyncio.to_thread(
        services().guarded_restores.undo,
        asking(req),
        req.route_params["id"],
        dry_run=body.dry_run,
        force=body.force,
        origin=origin_of(req),
    )
    return await _started(client, found)


@blueprint.route("restores", methods=["GET"])
@guarded
def list_restores(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/restores?limit=`: the newest first."""
    limit = number(req, "limit", 20, 1, MOST_RESTORES)
    return answer({"restores": services().guarded_restores.recent(asking(req), limit)})


@blueprint.route("restores/{id}", methods=["GET"])
@guarded
def get_restore(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/restores/{id}?limit=&offset=&outcome=`: one restore with its notebooks."""
    limit, offset = number(req, "limit", 200, 1, MOST_ITEMS), number(req, "offset", 0, 0, 10**9)
    outcome = one_of(req, "outcome", ("", *Outcome)) or None
    restores, identity = services().guarded_restores, req.route_params["id"]
    return answer(restores.get(asking(req), identity, limit=limit, offset=offset, outcome=outcome))


@blueprint.orchestration_trigger("context")
def restore_orchestrator(context: df.DurableOrchestrationContext) -> Any:
    """Time slices of one restore until it is over."""
    restore_id = context.get_input()
    done = yield context.call_activity_with_retry("restore_slice", STEP_RETRY, restore_id)
    if not done:
        context.continue_as_new(restore_id)


@blueprint.activity_trigger("restore")
def restore_slice(restore: str) -> bool:
    """One time slice; True when the restore is over."""
    with traced("restore_slice", restore):
        return services().restores.step(restore)


@blueprint.timer_trigger("timer", schedule="30 */5 * * * *")
@blueprint.durable_client_input("client")
async def restore_watchdog(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Go on with restores whose steps stopped."""
    for restore_id in await asyncio.to_thread(services().restores.abandoned):
        await ensure_restorer(client, {"id": restore_id, "status": "running"})


async def ensure_restorer(client: df.DurableOrchestrationClient, restore: dict[str, Any]) -> None:
    """Start the orchestration of a restore that is under way; one that lives already serves as well."""
    if restore["status"] != "running":
        return
    try:
        await client.start_new("restore_orchestrator", f"restore-{restore['id']}", restore["id"])
    except Exception as error:
        if "already exists" not in str(error).lower():
            raise


async def _started(client: df.DurableOrchestrationClient, found: dict[str, Any]) -> func.HttpResponse:
    await ensure_restorer(client, found)
    if found["status"] != "running":
        return answer(found)
    return answer(found, status=202, headers={"Location": f"/api/restores/{found['id']}"})
