"""HTTP entry points of the audit trail: records, exports, a report to sign, and the proof of the chain."""

from __future__ import annotations

import re

import azure.functions as func

from functions.answers import answer, guarded
from functions.audit_views import report_page
from functions.requests import flag, number, one_of, origin_of, text, who_asks
from shared.domain.audit import AuditAction, AuditHead
from shared.domain.canonical import Scalar
from shared.domain.periods import period
from shared.services.audit.export import Pseudonyms, as_csv, as_json_lines, fields
from shared.services.audit.proof import MOST_RECORDS, ProvedPart
from shared.services.audit.rows import AuditDamaged, Where
from shared.services.reporting.audit_access import Page, Reader
from shared.services.state.status import Json
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]

FORMATS = ("json", "csv", "jsonl", "html")
MOST_IN_PAGE, MOST_NUMBER = 20_000, 10**12 - 1
MOST_TIME, MOST_ACTOR = 64, 200
_HEAD = re.compile(r"(\d{1,12}):([0-9a-f]{64})", re.ASCII)


@blueprint.route("audit", methods=["GET"])
@guarded
def get_audit(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/audit?from=&to=&actor=&action=&format=&limit=&after=&pseudonymise=`: records, or a report to sign."""
    form, where, pseudonymise = one_of(req, "format", FORMATS), _where(req), flag(req, "pseudonymise")
    limit = number(req, "limit", 100 if form == "json" else MOST_IN_PAGE, 1, MOST_IN_PAGE)
    names = ("from", "to", "actor", "action", "format", "after", "pseudonymise")
    asked: dict[str, Scalar] = {f"asked {name}": value for name in names if (value := req.params.get(name))}
    audit, reader = services().audit, _reader(req)
    if form == "html":
        report = audit.report(where, reader, asked, pseudonymise=pseudonymise)
        return report_page(report, reader.name, pseudonymised=pseudonymise)
    found = audit.page(where, limit, reader, asked)
    return _exported(found, form, audit.pseudonyms() if pseudonymise else None)


@blueprint.route("audit/verify", methods=["GET"])
@guarded
def get_audit_verify(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/audit/verify?after=&limit=`: prove the chain, or the part of it after a head that was proved."""
    after, most = _head(req), number(req, "limit", MOST_RECORDS, 2, MOST_RECORDS)
    try:
        return answer(_proved(services().audit.prove(after, _reader(req), most)))
    except AuditDamaged as error:
        fault = {"kind": "damaged", "first_bad": None, "detail": str(error)}
        return answer({**_NOTHING, "intact": False, "complete": True, "fault": fault})


_NOTHING: Json = {
    **dict.fromkeys(("records", "anchored", "anchors", "out_of_reach", "foreign", "strange"), 0),
    **dict.fromkeys(("head", "end", "next")),
    "against": [],
}


def _exported(found: Page, form: str, pseudonyms: Pseudonyms | None) -> func.HttpResponse:
    if form == "json":
        return answer({"records": [fields(r, pseudonyms) for r in found.records], "next": found.next})
    made = as_csv(found.records, pseudonyms) if form == "csv" else as_json_lines(found.records, pseudonyms)
    headers = {
        "X-Audit-Next": "" if found.next is None else str(found.next),
        "Content-Disposition": f'attachment; filename="audit.{form}"',
    }
    mimetype = "text/csv" if form == "csv" else "application/x-ndjson"
    return func.HttpResponse(b"".join(made), headers=headers, mimetype=mimetype)


def _proved(found: ProvedPart) -> Json:
    verdict, fault = found.verdict, found.verdict.fault
    return {
        "intact": verdict.intact,
        "complete": found.complete,
        "records": verdict.records,
        "head": _told(verdict.head),
        "end": _told(found.end),
        "anchored": verdict.anchored,
        "anchors": found.anchors,
        "out_of_reach": verdict.out_of_reach,
        "fault": {"kind": fault.kind.value, "first_bad": fault.sequence, "detail": None} if fault else None,
        "against": [{**_told(one.head), "commits": list(one.commits), "kept": one.kept} for one in found.against],
        "foreign": found.foreign,
        "strange": found.strange,
        "next": None if found.complete else f"{verdict.head.sequence}:{verdict.head.hash}",
    }


def _told(head: AuditHead) -> Json:
    return {"sequence": head.sequence, "hash": head.hash}


def _where(req: func.HttpRequest) -> Where:
    start, end = (text(req, name, MOST_TIME, default="") or None for name in ("from", "to"))
    from_ms, to_ms = period(start, end)
    action = one_of(req, "action", ("", *AuditAction))
    actor = text(req, "actor", MOST_ACTOR, default="")
    return Where(from_ms, to_ms, actor or None, action or None, after=number(req, "after", 0, 0, MOST_NUMBER))


def _head(req: func.HttpRequest) -> AuditHead | None:
    given = req.params.get("after")
    if not given:
        return None
    found = _HEAD.fullmatch(given)
    if not found:
        raise ValueError("after must be NUMBER:HASH, as `next` of the answer before gives it")
    return AuditHead(int(found[1]), found[2])


def _reader(req: func.HttpRequest) -> Reader:
    return Reader(who_asks(req), origin_of(req))
