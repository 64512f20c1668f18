"""The pages of recovery: find a notebook, its history, a version, a difference, a restore and its result."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import azure.durable_functions as df
import azure.functions as func

from functions.answers import answer_to
from functions.gate import entered, seal
from functions.highlighting import cells, source_of
from functions.page_views import by_cells, crumbs, download, page, rows_of, see
from functions.recording import record_read
from functions.recovery_http import MOST_PATH, MOST_QUERY, ensure_restorer
from functions.requests import as_of, asking, history_for, number, origin_of, text, told
from functions.version_views import commit_json, found_json, listed_json, version_json
from shared.domain.access import Caller
from shared.domain.audit import AuditAction
from shared.domain.names import EXTENSION, JUPYTER_EXTENSION
from shared.domain.notebooks import ExportFormat
from shared.domain.restore_request import RestoreBody
from shared.domain.restores import Outcome
from shared.domain.versions import VersionKind
from shared.protocols import IndexedVersion
from shared.services.recovery.content import LIVE, NotebookContent
from shared.services.recovery.history import LATEST, NotInBackup, UnknownMoment
from shared.wiring import services

blueprint = df.Blueprint()

MOST_FOUND, MOST_VERSIONS, MOST_ITEMS, MOST_LISTED = 100, 200, 200, 500
MOST_FIELDS, MOST_FORM_BYTES = 20, 10_000
EDITED = ("edited_since_plan", "changed_since_restore")
REASONS = {
    "edited_since_plan": "Somebody edited this notebook after you saw the plan, so nothing was written over it.",
    "changed_since_restore": "Somebody edited this notebook after the restore, so the undo left their work alone.",
    "too_large": "Over the workspace's import limit of 10 MB: download the version, split it, and import the parts.",
}
RESTORE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
type Json = dict[str, Any]
type Page = Callable[..., func.HttpResponse]
type AsyncPage = Callable[..., Awaitable[func.HttpResponse]]


def _problem(req: func.HttpRequest, error: Exception, name: str) -> func.HttpResponse:
    """An error as a page, in the same words as the API's."""
    if isinstance(error, UnknownMoment | NotInBackup) and _nothing_yet():
        return _empty(req, 404)
    answer = answer_to(req, error, name)
    shown = page(req, "problem.html", status=answer.status_code, problem=json.loads(answer.get_body()))
    for name in ("Retry-After", "WWW-Authenticate"):
        if name in answer.headers:
            shown.headers[name] = answer.headers[name]
    return shown


def _nothing_yet() -> bool:
    """Whether no backup has been made."""
    try:
        services().history.moment(LATEST)
    except UnknownMoment:
        return True
    return False


def _empty(req: func.HttpRequest, status: int = 200) -> func.HttpResponse:
    """What is said before the first backup, with the progress of one that is under way."""
    return page(req, "empty.html", status=status, active=services().status.overview()["active"])


def paged(handler: Page) -> Page:
    """Turn errors into pages."""

    @functools.wraps(handler)
    def run(req: func.HttpRequest) -> func.HttpResponse:
        try:
            with entered(handler.__name__, req):
                return seal(handler(req))
        except Exception as error:  # noqa: BLE001 - the last line of defence of a page
            return seal(_problem(req, error, handler.__name__))

    return run


def paged_async(handler: AsyncPage) -> AsyncPage:
    """The same for a coroutine."""

    @functools.wraps(handler)
    async def run(req: func.HttpRequest, **bindings: Any) -> func.HttpResponse:
        try:
            with entered(handler.__name__, req):
                return seal(await handler(req, **bindings))
        except Exception as error:  # noqa: BLE001 - the last line of defence of a page
            return seal(_problem(req, error, handler.__name__))

    return run


@blueprint.route("browse", methods=["GET"])
@paged
def page_browse(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/browse?path=&at=&before=&q=&deleted=`: folders and notebooks, or what a search found."""
    if place := req.params.get("place"):
        return see(req, "browse", path=unquote(place, errors="surrogatepass"), at=req.params.get("at"))
    query, deleted = text(req, "q", MOST_QUERY, default=""), req.params.get("deleted") == "true"
    if query or deleted:
        rows = history_for(req).find(query, deleted=deleted, limit=MOST_FOUND)
        found = [found_json(f) for f in rows]
        if not found and _nothing_yet():
            return _empty(req)
        return page(req, "found.html", query=query, deleted=deleted, found=found, most=MOST_FOUND)
    history = history_for(req)
    path, at = text(req, "path", MOST_PATH, default=history.root), as_of(req, "at", LATEST)
    if at == LATEST and _nothing_yet():
        return _empty(req)
    moment = history.moment(at)
    start = number(req, "before", 0, 0, 10**9)
    folders, notebooks = history.children(path, moment.sequence, MOST_LISTED + 1, start)
    more = len(folders) + len(notebooks) > MOST_LISTED
    return page(
        req,
        "browse.html",
        path=path,
        at=at,
        moment=commit_json(moment),
        crumbs=crumbs(history.root, path),
        folders=[(f, f.rpartition("/")[2]) for f in folders[:MOST_LISTED]],
        notebooks=[listed_json(n) for n in notebooks[: MOST_LISTED - len(folders)]],
        start=start,
        next=start + MOST_LISTED if more else None,
    )


@blueprint.route("history", methods=["GET"])
@paged
def page_history(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/history?path=&before=`: the versions of a notebook as a timeline."""
    path, start = text(req, "path", MOST_PATH), number(req, "before", 0, 0, 10**9)
    found = history_for(req).versions(path)
    shown = [
        version_json(v)
        | {"gone": v.version.kind.gone, "earlier": listed_json(e) if (e := _earlier(found, n)) else None}
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


def _earlier(versions: list[IndexedVersion], index: int) -> IndexedVersion | None:
    """The version before, at the former path where this one was renamed, if there is one to compare with."""
    version = versions[index].version
    path = version.other_path if version.kind is VersionKind.RENAMED and version.other_path else version.path
    older = (v for v in versions[index + 1 :] if v.version.path == path and not v.version.kind.gone)
    return next(older, None)


@blueprint.route("preview", methods=["GET"])
@paged
def page_preview(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/preview?path=&at=&download=`: a version, cell by cell, or its bytes as a file."""
    path, at = text(req, "path", MOST_PATH), as_of(req, "at", LATEST)
    found = services().content.at(path, at)
    record_read(req, AuditAction.PREVIEWED, path, at=at, commit=found.commit, sha256=found.sha256)
    if req.params.get("download") == "true":
        return download(found.data, _file_name(path, found))
    shown, cut = cells(source_of(found), found.language)
    trail = crumbs(services().history.root, path)
    return page(req, "preview.html", path=path, found=found, cells=shown, cut=cut, crumbs=trail)


def _file_name(path: str, content: NotebookContent) -> str:
    ending = EXTENSION[content.language] if content.format is ExportFormat.SOURCE else JUPYTER_EXTENSION
    return path.rpartition("/")[2] + ending


@blueprint.route("compare", methods=["GET"])
@paged
def page_compare(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/compare?path=&from=&to=&from_path=&download=`: two versions side by side, or as a unified diff.

    `from_path` is where a notebook that was renamed was before.
    """
    path = text(req, "path", MOST_PATH)
    before, after = as_of(req, "from", LATEST), as_of(req, "to", LIVE)
    former = text(req, "from_path", MOST_PATH, default=path)
    found = services().compare.compare(path, before, after, before_path=former)
    record_read(req, AuditAction.PREVIEWED, path, at=before, compared_with=after, former_path=former)
    if req.params.get("download") == "true":
        return download(found.unified().encode("utf-8", "replace"), f"{path.rpartition('/')[2]}.diff")
    code = by_cells(found)
    given: Json = {
        "found": code,
        "shown": rows_of(code),
        "whole": code is found,
        "crumbs": crumbs(services().history.root, path),
    }
    return page(req, "compare.html", path=path, former=former, **given)


@blueprint.route("restore", methods=["GET"])
@blueprint.durable_client_input("client")
@paged_async
async def page_restore(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`GET /api/restore?path=|folder=|of=|plan=&at=&target=&suffix=`: a plan, and the button.

    `plan` shows one that stands; `of` makes a new one of what an earlier plan or restore asked for.
    """
    offset = number(req, "offset", 0, 0, 10**9)
    plan = await asyncio.to_thread(_plan, req, offset)
    await ensure_restorer(client, plan)
    what = plan["folder"] or (plan["paths"] or [services().history.root])[0]
    trail = crumbs(services().history.root, what)
    return page(req, "restore.html", plan=plan, crumbs=trail, offset=offset, most=MOST_ITEMS)


def _plan(req: func.HttpRequest, offset: int) -> Json:
    """The plan that is named, or a new one: of what the address, or an earlier plan or restore, asks for."""
    if known := req.params.get("plan"):
        return services().guarded_restores.get(asking(req), _identity(known), limit=MOST_ITEMS, offset=offset)
    return services().guarded_restores.start(asking(req), _body(req), origin_of(req))


def _body(req: func.HttpRequest) -> RestoreBody:
    """A dry run of what is asked for. Raises `ValueError`, `UnknownRestore`."""
    beside: Json = {name: value for name in ("target", "suffix") if (value := req.params.get(name))}
    if of := req.params.get("of"):
        asked = {**_asked(services().guarded_restores.get(asking(req), _identity(of), limit=0)), **beside}
        asked["remove_extra"] = asked["remove_extra"] and not beside
        if "beside" in req.params:  # its form gives both fields, and empty ones mean in place
            asked |= {"target": beside.get("target"), "suffix": beside.get("suffix", "")}
    elif folder := req.params.get("folder"):
        asked = {"at": req.params.get("at") or LATEST, "folder": folder, **beside}
    else:
        asked = {"at": req.params.get("at") or LATEST, "paths": [text(req, "path", MOST_PATH)], **beside}
    with told():
        return RestoreBody.model_validate({**asked, "dry_run": True})


def _asked(restore: Json) -> Json:
    """What a stored restore or plan asked for, at the very commit that it resolved to."""
    names = ("folder", "paths", "target", "suffix", "remove_extra")
    return {**{name: restore[name] for name in names}, "at": restore["commit"]}


@blueprint.route("restore", methods=["POST"])
@blueprint.durable_client_input("client")
@paged_async
async def page_restore_now(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/restore`: restore what the plan of the form says, then show the result."""
    form = _form(req)
    done = await asyncio.to_thread(_restore, req, _identity(form.get("plan")), form.get("token", ""))
    return await _started(req, client, done)


def _restore(req: func.HttpRequest, plan_id: str, token: str) -> Json:
    services().form_tokens.check(asking(req), f"restore {plan_id}", token)
    # The plan itself says what was asked for: a form would change a name that holds a line break.
    plan = services().guarded_restores.get(asking(req), plan_id, limit=0)
    body = RestoreBody.model_validate({**_asked(plan), "plan": plan_id})
    return services().guarded_restores.start(asking(req), body, origin_of(req))


@blueprint.route("restore-result", methods=["GET"])
@paged
def page_result(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/restore-result?id=&outcome=&offset=`: how a restore stands; one under way is looked at again."""
    restore_id, offset = _identity(req.params.get("id")), number(req, "offset", 0, 0, 10**9)
    found = services().guarded_restores.get(asking(req), restore_id, limit=0)
    if found["dry_run"]:
        return see(req, "restore", plan=restore_id)
    counts = _outcomes(found)
    outcome = _outcome(req.params.get("outcome"), counts)
    most = 0 if found["status"] == "running" else MOST_ITEMS
    caller, restores = asking(req), services().guarded_restores
    shown = restores.get(caller, restore_id, limit=most, offset=offset, outcome=outcome)
    edited, root = _edited_since(caller, found), services().history.root
    given: Json = {"counts": counts, "outcome": outcome, "reasons": REASONS, "edited": edited, "root": root}
    return page(req, "result.html", restore=shown, offset=offset, most=MOST_ITEMS, **given)


def _outcomes(restore: Json) -> dict[str, int]:
    """How many notebooks had each outcome, those that somebody has to look at first."""
    found = {name: int(restore["counts"][name]) for name in ("failed", "refused", "verified", "removed")}
    return {**found, "unchanged": int(restore["notebooks"]) - sum(found.values())}


def _outcome(asked: str | None, counts: dict[str, int]) -> Outcome | None:
    """The outcome to show, None for all: what failed or was refused, unless something else is asked for."""
    if asked == "all":
        return None
    if asked and asked not in counts:
        raise ValueError(f"outcome must be all, {', '.join(counts)}")
    first = next((name for name in ("failed", "refused") if counts[name]), None)
    chosen = asked or first
    return Outcome(chosen) if chosen else None


def _edited_since(caller: Caller, restore: Json) -> bool:
    """Whether an undo left notebooks alone because somebody edited them."""
    if restore["kind"] != "undo" or not restore["counts"]["refused"]:
        return False
    known = services().guarded_restores.get(caller, restore["id"], limit=MOST_ITEMS, outcome=Outcome.REFUSED)
    refused = known["items"]
    return any(item["reason"] in EDITED for item in refused)


@blueprint.route("undo", methods=["POST"])
@blueprint.durable_client_input("client")
@paged_async
async def page_undo(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """`POST /api/undo`: put back what a restore replaced, edits made since only by force; then show the result."""
    form = _form(req)
    restore_id, force = _identity(form.get("id") or req.params.get("id")), form.get("force") == "true"
    done = await asyncio.to_thread(_undo, req, restore_id, form.get("token", ""), force=force)
    return await _started(req, client, done)


def _undo(req: func.HttpRequest, restore_id: str, token: str, *, force: bool) -> Json:
    services().form_tokens.check(asking(req), f"undo {restore_id}", token)
    restores = services().guarded_restores
    return restores.undo(asking(req), restore_id, dry_run=False, force=force, origin=origin_of(req))


async def _started(req: func.HttpRequest, client: df.DurableOrchestrationClient, found: Json) -> func.HttpResponse:
    """See that it goes on, and send the browser to the result: loading that page again restores nothing."""
    await ensure_restorer(client, found)
    return see(req, "restore-result", id=found["id"])


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
