"""The pages of recovery: find a notebook, its history, a version, a difference, a restore and its result."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import azure.durable_functions as df
import azure.functions as func

from functions.answers import problem_of
from functions.page_views import cells, crumbs, headers, link, page, source_of, stretches
from functions.recovery_http import MOST_MOMENT, MOST_PATH, MOST_QUERY, ensure_restorer
from functions.requests import number, origin_of, text, told, who_asks
from functions.version_views import commit_json, found_json, listed_json, version_json
from shared.domain.restore_request import RestoreBody
from shared.domain.restores import Outcome
from shared.protocols import IndexedVersion
from shared.services.content import LIVE
from shared.services.history import LATEST, UnknownMoment
from shared.wiring import services

blueprint = df.Blueprint()

MOST_FOUND, MOST_VERSIONS, MOST_ITEMS = 100, 200, 200
MOST_FIELDS, MOST_FORM_BYTES = 20, 10_000
RESTORE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
type Json = dict[str, Any]
type Page = Callable[..., func.HttpResponse]
type AsyncPage = Callable[..., Awaitable[func.HttpResponse]]


def _problem(req: func.HttpRequest, error: Exception, name: str) -> func.HttpResponse:
    """An error as a page, in the same words as the API's."""
    answer = problem_of(error, name)
    return page(req, "problem.html", status=answer.status_code, problem=json.loads(answer.get_body()))


def paged(handler: Page) -> Page:
    """Turn errors into pages."""

    @functools.wraps(handler)
    def run(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return handler(req)
        except Exception as error:  # noqa: BLE001 - the last line of defence of a page
            return _problem(req, error, handler.__name__)

    return run


def paged_async(handler: AsyncPage) -> AsyncPage:
    """The same for a coroutine."""

    @functools.wraps(handler)
    async def run(req: func.HttpRequest, **bindings: Any) -> func.HttpResponse:
        try:
            return await handler(req, **bindings)
        except Exception as error:  # noqa: BLE001 - the last line of defence of a page
            return _problem(req, error, handler.__name__)

    return run


@blueprint.route("browse", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_browse(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/browse?path=&at=&q=&deleted=`: folders and notebooks, or what a search found."""
    query, deleted = text(req, "q", MOST_QUERY, default=""), req.params.get("deleted") == "true"
    if query or deleted:
        rows = services().history.find(query, deleted=deleted, limit=MOST_FOUND)
        found = [found_json(f) for f in rows]
        return page(req, "found.html", query=query, deleted=deleted, found=found, most=MOST_FOUND)
    history = services().history
    path, at = text(req, "path", MOST_PATH, default=history.root), text(req, "at", MOST_MOMENT, default=LATEST)
    try:
        moment = history.moment(at)
    except UnknownMoment:
        if at != LATEST:
            raise
        return page(req, "empty.html")
    folders, notebooks = history.children(path, moment.sequence)
    return page(
        req,
        "browse.html",
        path=path,
        at=at,
        moment=commit_json(moment),
        crumbs=crumbs(history.root, path),
        folders=[(f, f.rpartition("/")[2]) for f in folders],
        notebooks=[listed_json(n) for n in notebooks],
    )


@blueprint.route("history", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_history(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/history?path=&before=`: the versions of a notebook as a timeline."""
    path, start = text(req, "path", MOST_PATH), number(req, "before", 0, 0, 10**9)
    found = services().history.versions(path)
    shown = [
        version_json(v) | {"gone": v.version.kind.gone, "earlier": _earlier(found, n)}
        for n, v in enumerate(found[start : start + MOST_VERSIONS], start)
    ]
    following = start + MOST_VERSIONS
    return page(
        req,
        "history.html",
        path=path,
        crumbs=crumbs(services().history.root, path),
        versions=shown,
        total=len(found),
        next=following if following < len(found) else None,
    )


def _earlier(versions: list[IndexedVersion], index: int) -> str | None:
    """The commit of the version before at the same path, if there is one to compare with."""
    path = versions[index].version.path
    older = (v for v in versions[index + 1 :] if v.version.path == path and not v.version.kind.gone)
    return next((v.commit.commit for v in older), None)


@blueprint.route("preview", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_preview(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/preview?path=&at=`: a version, cell by cell."""
    path, at = text(req, "path", MOST_PATH), text(req, "at", MOST_MOMENT, default=LATEST)
    found = services().content.at(path, at)
    shown, cut = cells(source_of(found), found.language)
    trail = crumbs(services().history.root, path)
    return page(req, "preview.html", path=path, found=found, cells=shown, cut=cut, crumbs=trail)


@blueprint.route("compare", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_compare(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/compare?path=&from=&to=`: two versions side by side."""
    path = text(req, "path", MOST_PATH)
    before, after = text(req, "from", MOST_MOMENT, default=LATEST), text(req, "to", MOST_MOMENT, default=LIVE)
    found = services().compare.compare(path, before, after)
    shown, cut = stretches(found)
    trail = crumbs(services().history.root, path)
    return page(req, "compare.html", path=path, found=found, stretches=shown, cut=cut, crumbs=trail)


@blueprint.route("restore", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input("client")
@paged_async
async def page_restore(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`GET /api/restore?path=|folder=|plan=&at=&target=&suffix=`: the plan, and the button."""
    offset = number(req, "offset", 0, 0, 10**9)
    plan = await asyncio.to_thread(_plan, req, offset)
    await ensure_restorer(client, plan)
    what = plan["folder"] or (plan["paths"] or [services().history.root])[0]
    trail = crumbs(services().history.root, what)
    return page(req, "restore.html", plan=plan, crumbs=trail, offset=offset, most=MOST_ITEMS)


def _plan(req: func.HttpRequest, offset: int) -> Json:
    """The plan that is named, or a new one of what is asked for; `target` or `suffix` make a new one of it too."""
    known = req.params.get("plan")
    stored = services().restores.get(_identity(known), limit=MOST_ITEMS, offset=offset) if known else None
    if stored and not {"target", "suffix"} & req.params.keys():
        return stored
    body = _body(req, stored)
    return services().restores.start(body, who_asks(req), origin_of(req))


def _body(req: func.HttpRequest, stored: Json | None) -> RestoreBody:
    """A dry run of what a stored plan, or the address, names. Raises `ValueError`."""
    given: Json = {name: value for name in ("target", "suffix") if (value := req.params.get(name))}
    if stored:
        what = {"at": stored["commit"], "folder": stored["folder"], "paths": stored["paths"]}
    elif folder := req.params.get("folder"):
        what = {"at": req.params.get("at") or LATEST, "folder": folder}
    else:
        what = {"at": req.params.get("at") or LATEST, "paths": [text(req, "path", MOST_PATH)]}
    with told():
        return RestoreBody.model_validate({**what, **given, "dry_run": True})


@blueprint.route("restore", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input("client")
@paged_async
async def page_restore_now(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/restore`: restore what the plan of the form says, then show the result."""
    done = await asyncio.to_thread(_restore, _identity(_form(req).get("plan")), who_asks(req), origin_of(req))
    return await _started(req, client, done)


def _restore(plan_id: str, who: str, origin: str) -> Json:
    # The plan itself says what was asked for: a form would change a name that holds a line break.
    plan = services().restores.get(plan_id, limit=1)
    asked = {name: plan[name] for name in ("folder", "paths", "target", "suffix", "remove_extra")}
    body = RestoreBody.model_validate({**asked, "at": plan["commit"], "plan": plan_id})
    return services().restores.start(body, who, origin)


@blueprint.route("restore-result", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_result(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/restore-result?id=&outcome=&offset=`: how a restore stands; one under way is looked at again."""
    restore_id, offset = _identity(req.params.get("id")), number(req, "offset", 0, 0, 10**9)
    outcome = Outcome(asked) if (asked := req.params.get("outcome")) else None
    found = services().restores.get(restore_id, limit=MOST_ITEMS, offset=offset, outcome=outcome)
    if found["dry_run"]:
        return _see(req, "restore", plan=restore_id)
    return page(req, "result.html", restore=found, outcome=outcome, offset=offset, most=MOST_ITEMS)


@blueprint.route("undo", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input("client")
@paged_async
async def page_undo(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/undo`: put back what a restore replaced, edits made since only by force; then show the result."""
    form = _form(req)
    restore_id, force = _identity(form.get("id") or req.params.get("id")), form.get("force") == "true"
    done = await asyncio.to_thread(
        services().restores.undo, restore_id, dry_run=False, force=force, who=who_asks(req), origin=origin_of(req)
    )
    return await _started(req, client, done)


async def _started(req: func.HttpRequest, client: df.DurableOrchestrationClient, found: Json) -> func.HttpResponse:
    """See that it goes on, and send the browser to the result: loading that page again restores nothing."""
    await ensure_restorer(client, found)
    return _see(req, "restore-result", id=found["id"])


def _see(req: func.HttpRequest, route: str, **query: object) -> func.HttpResponse:
    target = {"Location": link(req, route, **query)}
    return func.HttpResponse(status_code=303, headers={**headers(), **target}, mimetype="text/html")


def _identity(given: str | None) -> str:
    """The id of a restore or plan. Raises `ValueError`."""
    if not RESTORE_ID.fullmatch(given or ""):
        raise ValueError("the id of a restore or plan is missing, or is none")
    return str(given)


def _form(req: func.HttpRequest) -> dict[str, str]:
    """The fields of a form. Raises `ValueError`."""
    body = req.get_body()
    if len(body) > MOST_FORM_BYTES:
        raise ValueError("the form is too large")
    parsed = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    return {name: values[0] for name, values in parsed.items()}
