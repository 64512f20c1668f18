"""The pages of recovery: find a notebook, its history, a version, a difference, a restore and its result."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import azure.durable_functions as df
import azure.functions as func

from functions.answers import problem_of
from functions.page_views import MOST_SHOWN_LINES, cells, crumbs, page, stretches
from functions.recovery_http import MOST_MOMENT, MOST_PATH, MOST_QUERY, ensure_restorer
from functions.requests import checked, origin_of, text, told, who_asks
from functions.version_views import commit_json, found_json, listed_json, version_json
from shared.domain.restore_request import RestoreBody
from shared.services.content import LIVE
from shared.services.history import LATEST
from shared.wiring import services

blueprint = df.Blueprint()

MOST_FOUND, MOST_VERSIONS = 100, 200
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
    history = services().history
    query, deleted = text(req, "q", MOST_QUERY, default=""), req.params.get("deleted") == "true"
    if query or deleted:
        rows = history.find(query, deleted=deleted, limit=MOST_FOUND)
        found = [found_json(f) for f in rows]
        return page(req, "found.html", query=query, deleted=deleted, found=found, most=MOST_FOUND)
    path, at = text(req, "path", MOST_PATH, default=history.root), text(req, "at", MOST_MOMENT, default=LATEST)
    moment = history.moment(at)
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
    """`GET /api/history?path=`: the versions of a notebook as a timeline."""
    path, history = text(req, "path", MOST_PATH), services().history
    found = history.versions(path)
    shown = [version_json(v) | {"gone": v.version.kind.gone} for v in found[:MOST_VERSIONS]]
    older = [v["commit"] for v in shown[1:]] + [None]
    return page(
        req,
        "history.html",
        path=path,
        crumbs=crumbs(history.root, path),
        versions=list(zip(shown, older, strict=True)),
        total=len(found),
    )


@blueprint.route("preview", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_preview(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/preview?path=&at=`: a version, cell by cell."""
    path, at = text(req, "path", MOST_PATH), text(req, "at", MOST_MOMENT, default=LATEST)
    found = services().content.at(path, at)
    source = found.data.decode("utf-8", "replace")
    shown = cells(source, found.language)
    cut = source.count("\n") > MOST_SHOWN_LINES
    trail = crumbs(services().history.root, path)
    return page(req, "preview.html", path=path, at=at, found=found, cells=shown, cut=cut, crumbs=trail)


@blueprint.route("compare", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_compare(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/compare?path=&from=&to=`: two versions side by side."""
    path = text(req, "path", MOST_PATH)
    before, after = text(req, "from", MOST_MOMENT, default=LATEST), text(req, "to", MOST_MOMENT, default=LIVE)
    found = services().compare.compare(path, before, after)
    trail = crumbs(services().history.root, path)
    return page(req, "compare.html", path=path, found=found, stretches=stretches(found), crumbs=trail)


@blueprint.route("restore", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input("client")
@paged_async
async def page_restore(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`GET /api/restore?path=|folder=&at=&target=&suffix=`: the plan, and the button."""
    fields = {name: req.params.get(name, "") for name in ("path", "folder", "at", "target", "suffix")}
    body = _body(fields, dry_run=True)
    plan = await asyncio.to_thread(services().restores.start, body, who_asks(req), origin_of(req))
    await ensure_restorer(client, plan)
    trail = crumbs(services().history.root, fields["path"] or fields["folder"])
    return page(req, "restore.html", fields=fields, plan=plan, crumbs=trail)


@blueprint.route("restore", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input("client")
@paged_async
async def page_restore_now(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/restore`: restore what the plan says, and show the result."""
    fields = _form(req)
    body = _body(fields, dry_run=False, plan=fields.get("plan"))
    done = await asyncio.to_thread(services().restores.start, body, who_asks(req), origin_of(req))
    await ensure_restorer(client, done)
    return page(req, "result.html", restore=done)


@blueprint.route("restore-result", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@paged
def page_result(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/restore-result?id=`: how a restore stands; a page of one under way looks again by itself."""
    return page(req, "result.html", restore=services().restores.get(text(req, "id", 64)))


@blueprint.route("undo", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input("client")
@paged_async
async def page_undo(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/undo`: put back what a restore replaced, and show the result."""
    asked = checked("id", _form(req).get("id"), 64)
    done = await asyncio.to_thread(
        services().restores.undo, asked, dry_run=False, force=False, who=who_asks(req), origin=origin_of(req)
    )
    await ensure_restorer(client, done)
    return page(req, "result.html", restore=done)


def _body(fields: dict[str, str], *, dry_run: bool, plan: str | None = None) -> RestoreBody:
    """The request that a page's fields stand for. Raises `ValueError`."""
    what: dict[str, Any] = {"folder": fields["folder"]} if fields.get("folder") else {"paths": [fields.get("path", "")]}
    given: dict[str, Any] = {"at": fields.get("at"), "suffix": fields.get("suffix", ""), "dry_run": dry_run}
    given |= {"target": fields["target"]} if fields.get("target") else {}
    with told():
        return RestoreBody.model_validate({**what, **given, "plan": plan or None})


def _form(req: func.HttpRequest) -> dict[str, str]:
    parsed = parse_qs(req.get_body().decode("utf-8", "replace"), max_num_fields=20, errors="surrogatepass")
    return {name: values[0] for name, values in parsed.items()}
