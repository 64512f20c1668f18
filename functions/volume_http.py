"""HTTP entry points for the way out of an older backup: the parallel run's comparisons, imports, and a listing."""

from __future__ import annotations

from datetime import date

import azure.functions as func

from functions.answers import answer, guarded
from functions.recording import record_read
from functions.requests import as_of, number, origin_of, read_body, text, who_asks
from functions.version_views import commit_json
from shared.domain.audit import AuditAction
from shared.domain.volume_requests import ImportBody, ParityBody
from shared.services.recovery.history import LATEST
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]

MOST_LISTED = 20_000
MOST_PATH = 4_096
_LISTED = ("path", "language", "format", "blob", "size", "sha256")


@blueprint.route("listing", methods=["GET"])
@guarded
def get_listing(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/listing?at=&after=&limit=`: every notebook as of a moment, with its blob, in path order."""
    history = services().history
    moment = history.moment(as_of(req, "at", LATEST))
    after, limit = text(req, "after", MOST_PATH, default=""), number(req, "limit", MOST_LISTED, 1, MOST_LISTED)
    found = [v.version for v in history.below(history.root, moment.sequence, limit + 1, after=after)]
    shown = [{name: getattr(version, name) for name in _LISTED} for version in found[:limit]]
    following = found[limit - 1].path if len(found) > limit else None
    return answer({"at": commit_json(moment), "notebooks": shown, "next": following})


@blueprint.route("parity", methods=["GET"])
@guarded
def get_parity(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/parity`: since when the old copies and the backup agree, and what space each takes."""
    found = services().parity.report()
    record_read(req, AuditAction.REPORT_READ, "parity")
    return answer(found)


@blueprint.route("parity/{day}", methods=["GET"])
@guarded
def get_parity_day(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/parity/{day}`: all that the last comparison of a day found."""
    day = req.route_params["day"]
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise ValueError("the day must be a date such as 2026-11-24") from None
    found = services().parity.day(when)
    record_read(req, AuditAction.REPORT_READ, "parity", day=when.isoformat())
    return answer(found)


@blueprint.route("parity", methods=["POST"])
@guarded
def keep_parity(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/parity`: keep one comparison, which `./backup parity` made beside the volume."""
    body = read_body(req, ParityBody)
    return answer(services().parity.record(body, who_asks(req), origin_of(req)), status=201)


@blueprint.route("volume-imports", methods=["POST"])
@guarded
def keep_import(req: func.HttpRequest) -> func.HttpResponse:
    """`POST /api/volume-imports`: record what `./backup import-volume` brought into Git."""
    body = read_body(req, ImportBody)
    services().parity.imported(body, who_asks(req), origin_of(req))
    return answer({"branch": body.branch, "copies": len(body.copies)}, status=201)
