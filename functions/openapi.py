"""`GET /api/openapi.json`: what the HTTP API takes and answers, for programs that call it."""

from __future__ import annotations

import functools
import json
from typing import Any

import azure.functions as func

from functions.answers import guarded
from functions.poison_http import ChosenMessages
from shared.domain.audit import AuditAction
from shared.domain.capacity import Level
from shared.domain.credentials import CredentialKind
from shared.domain.git_folder_request import OperationBody
from shared.domain.restore_request import RestoreBody, UndoBody
from shared.domain.restores import Action, Outcome, RestoreKind, RestoreStatus
from shared.domain.versions import VersionKind
from shared.services.git_folders_operations import OperationKind, OperationStatus
from shared.services.git_folders_operations import Outcome as GitOutcome
from shared.services.git_folders_store import FolderState

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]

type Schema = dict[str, Any]
NO_NUL = r"^[^\u0000]*$"
PATH: Schema = {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": NO_NUL}
MOMENT: Schema = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": NO_NUL}
DATE: Schema = {"type": "string", "format": "date"}
TEXT: Schema = {"type": "string"}
NULLABLE: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": ["integer", "null"]}
ID: Schema = {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"}


def _object(required: tuple[str, ...], **members: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": members}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _one_of(*kinds: str) -> Schema:
    return {"type": "string", "enum": list(kinds)}


MOMENT_ANSWER = _object(
    ("commit", "sequence", "committed_at"), commit=TEXT, sequence={"type": "integer"}, committed_at=TEXT
)
LISTED = _object(("path", "name", "language", "commit"), path=TEXT, name=TEXT, language=TEXT, size=NUMBER, commit=TEXT)
VERSION = _object(
    ("commit", "committed_at", "path", "kind", "language", "blob"),
    commit=TEXT,
    committed_at=TEXT,
    path=TEXT,
    kind=_one_of(*VersionKind),
    other_path=NULLABLE,
    language=TEXT,
    size=NUMBER,
    sha256=NULLABLE,
    blob=TEXT,
    modified_at=NULLABLE,
    author=NULLABLE,
    restore=NULLABLE,
    restored_from=NULLABLE,
)
ITEM = _object(
    ("path", "target", "action", "outcome", "reason"),
    path=TEXT,
    target=TEXT,
    action=_one_of(*Action),
    outcome={"enum": [*Outcome, None]},
    reason=NULLABLE,
    detail=NULLABLE,
    expected_sha256=NULLABLE,
    found_sha256=NULLABLE,
)
RESTORE = _object(
    ("id", "kind", "status", "at", "counts"),
    id=ID,
    kind=_one_of(*RestoreKind),
    status=_one_of(*RestoreStatus),
    at=TEXT,
    percent={"type": "number"},
    counts={"type": "object"},
    items=_list(ITEM),
)
RUN = _object(("run_id", "status", "phase"), run_id=TEXT, status=TEXT, phase=TEXT, counts={"type": "object"})
SIDE = _object(("at", "commit"), at=TEXT, commit=NULLABLE, sha256=NULLABLE)
DIFFERENCE: Schema = {
    **_object(("path", "from", "to", "added", "removed", "equal", "unified"), path=TEXT, unified=TEXT),
}
DIFFERENCE["properties"] |= {"from": SIDE, "to": SIDE, "equal": {"type": "boolean"}}
OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}
CAPACITY = _object(
    ("advised_bytes", "measured", "largest", "growers"),
    advised_bytes={"type": "integer"},
    measured=OBJECT_OR_NULL,
    level=_one_of(*Level),
    growth={"type": "object"},
    assumed={"type": "object"},
    full_copies=OBJECT_OR_NULL,
    archive_plan={"type": "object"},
    largest=_list({"type": "object"}),
    growers=_list({"type": "object"}),
    days=_list({"type": "object"}),
)
MAINTENANCE = _object(("id", "status"), id=TEXT, status=TEXT)
PROBLEM = _object(("type", "title", "status", "detail"), type=TEXT, title=TEXT, status={"type": "integer"}, detail=TEXT)
LIMIT_200 = ("limit", False, _whole(1, 200))
DELETED = ("deleted", False, _one_of("true", "false"))


def _answers(schema: Schema, *statuses: int, media: str = "application/json") -> Schema:
    told: Schema = {str(s): {"description": "done", "content": {media: {"schema": schema}}} for s in statuses or (200,)}
    problem: Schema = {"description": "what went wrong, and what to do"}
    problem["content"] = {"application/problem+json": {"schema": PROBLEM}}
    return {**told, "400": problem, "401": {"description": "no function key"}, "default": problem}


def _operation(
    name: str, answers: Schema, *query: tuple[str, bool, Schema], identity: bool = False, body: Schema | None = None
) -> Schema:
    parameters = [{"name": n, "in": "query", "required": must, "schema": s} for n, must, s in query]
    if identity:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": ID})
    found: Schema = {"operationId": name, "parameters": parameters, "responses": answers}
    if body:
        found["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return found


def _content() -> Schema:
    answers = _answers({}, media="application/octet-stream")
    answers["200"]["content"]["application/json"] = {"schema": _object(("path", "content"), path=TEXT, content=TEXT)}
    answers["304"] = {"description": "as the ETag says"}
    return _operation("get_content", answers, ("path", True, PATH), ("at", False, MOMENT))


def _diff() -> Schema:
    answers = _answers(DIFFERENCE)
    answers["200"]["content"]["text/plain"] = {"schema": TEXT}
    two = (("from", False, MOMENT), ("to", False, MOMENT))
    return _operation("get_diff", answers, ("path", True, PATH), *two, ("format", False, _one_of("json", "text")))


def _audit() -> Schema:
    record = _object(("sequence", "time", "actor", "action", "object", "result", "detail"), hash=TEXT, previous=TEXT)
    found = _answers(_object(("records", "next"), records=_list(record), next=NUMBER))
    for media in ("text/csv", "application/x-ndjson", "text/html"):
        found["200"]["content"][media] = {"schema": {}}
    query = (
        ("from", False, MOMENT),
        ("to", False, MOMENT),
        ("actor", False, {"type": "string", "maxLength": 200, "pattern": NO_NUL}),
        ("action", False, _one_of(*AuditAction)),
        ("format", False, _one_of("json", "csv", "jsonl", "html")),
        ("limit", False, _whole(1, 20_000)),
        ("after", False, _whole(0, 10**12 - 1)),
        ("pseudonymise", False, _one_of("true", "false")),
    )
    yes: Schema = {"type": "boolean"}
    fault: Schema = {"type": ["object", "null"]}
    proved = _object(
        ("intact", "complete", "records", "fault", "next"), intact=yes, complete=yes, fault=fault, next=NULLABLE
    )
    part = (
        ("after", False, {"type": "string", "pattern": "^[0-9]{1,12}:[0-9a-f]{64}$"}),
        ("limit", False, _whole(2, 50_000)),
    )
    return {
        "/api/audit": {"get": _operation("get_audit", found, *query)},
        "/api/audit/verify": {"get": _operation("get_audit_verify", _answers(proved), *part)},
    }


def _recovery() -> Schema:
    names = ("path", "at", "folders", "notebooks", "next")
    tree = _object(names, path=TEXT, at=MOMENT_ANSWER, notebooks=_list(LISTED), next=NULLABLE)
    some = (("limit", False, _whole(1, 5000)), ("before", False, _whole(0, 10**9)))
    listing = (("path", False, PATH), ("at", False, MOMENT), *some)
    versions = _object(("path", "versions", "next"), path=TEXT, versions=_list(VERSION), next=NULLABLE)
    restores = _answers(_object(("restores",), restores=_list(RESTORE)))
    items = (
        ("limit", False, _whole(1, 1000)),
        ("offset", False, _whole(0, 10**9)),
        ("outcome", False, _one_of(*Outcome)),
    )
    page = (("limit", False, _whole(1, 500)), ("before", False, _whole(0, 10**9)))
    search = (
        ("q", False, {"type": "string", "maxLength": 200, "pattern": NO_NUL}),
        DELETED,
        ("limit", False, _whole(1, 500)),
    )
    found = _answers(_object(("notebooks",), notebooks=_list(LISTED)))
    started, undone = _answers(RESTORE, 200, 202), _answers(RESTORE, 200, 202)
    return {
        "/api/notebooks": {"get": _operation("find_notebooks", found, *search)},
        "/api/tree": {"get": _operation("get_tree", _answers(tree), *listing)},
        "/api/versions": {"get": _operation("get_versions", _answers(versions), ("path", True, PATH), *page)},
        "/api/content": {"get": _content()},
        "/api/diff": {"get": _diff()},
        "/api/restores": {
            "get": _operation("list_restores", restores, LIMIT_200),
            "post": _operation("start_restore", started, body=_inlined(RestoreBody.model_json_schema())),
        },
        "/api/restores/{id}": {"get": _operation("get_restore", _answers(RESTORE), *items, identity=True)},
        "/api/restores/{id}/undo": {
            "post": _operation("undo_restore", undone, identity=True, body=_inlined(UndoBody.model_json_schema()))
        },
    }


def _reports() -> Schema:
    counts = {name: {"type": "integer"} for name in ("changes", "notebooks", "added", "removed", "without_lines")}
    tally = _object(tuple(counts), kinds={"type": "object"}, **counts)
    change = _object(
        ("committed_at", "path", "kind", "person", "commit"),
        committed_at=TEXT,
        path=TEXT,
        kind=_one_of(*VersionKind),
        other_path=NULLABLE,
        person=TEXT,
        mail=NULLABLE,
        team=NULLABLE,
        added=NUMBER,
        removed=NUMBER,
        commit=TEXT,
        commit_link=NULLABLE,
        difference_link=NULLABLE,
        restore=NULLABLE,
        restored_from=NULLABLE,
    )
    report = _object(
        ("period", "from", "to", "totals", "people", "teams", "folders", "changes", "left_out", "without_lines"),
        period=TEXT,
        totals=tally,
        people=_list(tally),
        teams=_list(tally),
        folders=_list(tally),
        changes=_list(change),
        left_out={"type": "integer"},
        without_lines={"type": "object"},
    )
    answers = _answers(report)
    answers["200"]["content"] |= {"text/csv": {"schema": TEXT}, "text/html": {"schema": TEXT}}
    name = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": NO_NUL}
    query = (
        ("from", False, DATE),
        ("to", False, DATE),
        ("author", False, name),
        ("team", False, name),
        ("folder", False, PATH),
        ("format", False, _one_of("json", "csv", "html")),
    )
    return {"/api/reports/changes": {"get": _operation("get_change_report", answers, *query)}}


def _running() -> Schema:
    runs, checks = _object(("runs",), runs=_list(RUN)), _object(("checks",), checks=_list({"type": "object"}))
    ways = {"retry": ID, "confirm_deletions": ID}
    start: Schema = {"type": "object", "properties": ways, "maxProperties": 1, "additionalProperties": False}
    status = _object(("active", "last"), active={"type": ["object", "null"]}, last={"type": ["object", "null"]})
    verifications = _answers(_object(("verifications",), verifications=_list(MAINTENANCE)))
    started = _answers(MAINTENANCE, 202)
    health = _operation("get_health", _answers(_object(("status",), status=TEXT))) | {"security": []}
    return {
        "/api/status": {"get": _operation("get_status", _answers(status))},
        "/api/runs": {
            "get": _operation("list_runs", _answers(runs), LIMIT_200),
            "post": _operation("start_run", _answers(_object(("run_id",), run_id=TEXT), 202), body=start),
        },
        "/api/runs/{id}": {"get": _operation("get_run", _answers(RUN), identity=True)},
        "/api/verifications": {
            "get": _operation("list_verifications", verifications),
            "post": _operation("start_verification", started),
        },
        "/api/verifications/{id}": {"get": _operation("get_verification", _answers(MAINTENANCE), identity=True)},
        "/api/rebuilds": {"post": _operation("start_rebuild", started)},
        "/api/rebuilds/{id}": {"get": _operation("get_rebuild", _answers(MAINTENANCE), identity=True)},
        "/api/capacity": {"get": _operation("get_capacity", _answers(CAPACITY))},
        "/api/doctor": {"get": _operation("get_doctor", _answers(checks))},
        "/api/health": {"get": health},
        **_poison(),
    }


def _poison() -> Schema:
    message = _object(
        ("id", "queue", "about", "inserted_at", "deliveries", "text"),
        id=TEXT,
        queue=TEXT,
        inserted_at=NULLABLE,
        deliveries={"type": "integer"},
    )
    waiting = _answers(_object(("messages", "hidden"), messages=_list(message), hidden={"type": "integer"}))
    done, body = _answers(_object(("done",), done=_list(ID))), _inlined(ChosenMessages.model_json_schema())
    return {
        "/api/poison": {"get": _operation("list_poison", waiting)},
        "/api/poison/requeue": {"post": _operation("requeue_poison", done, body=body)},
        "/api/poison/drop": {"post": _operation("drop_poison", done, body=body)},
    }


def _credentials() -> Schema:
    rotation: Schema = {"type": ["object", "null"]}
    credential = _object(
        ("name", "label", "kind", "renewed_by", "days_left", "missing", "last_rotation"),
        name=TEXT,
        label=TEXT,
        kind=_one_of(*CredentialKind),
        renewed_by=TEXT,
        expires_at=NULLABLE,
        days_left=NUMBER,
        source=NULLABLE,
        missing=NULLABLE,
        checked_at=NULLABLE,
        last_rotation=rotation,
    )
    listed = _answers(_object(("credentials",), credentials=_list(credential)))
    token = {"type": ["string", "null"], "maxLength": 16_384, "writeOnly": True}
    body: Schema = {"type": "object", "properties": {"user_token": token}, "additionalProperties": False}
    rotated = _answers(_object(("rotation", "step"), rotation=TEXT, step=TEXT), 202)
    rotate = _operation("rotate_credential", rotated, body=body)
    rotate["parameters"].append({"name": "name", "in": "path", "required": True, "schema": ID})
    return {
        "/api/credentials": {"get": _operation("list_credentials", listed)},
        "/api/credentials/check": {"post": _operation("check_credentials", listed, body=body)},
        "/api/credentials/{name}/rotate": {"post": rotate},
    }


def _git_folders() -> Schema:
    folder = _object(("path", "branch", "state"), path=TEXT, branch=TEXT, state=_one_of(*FolderState), head=NULLABLE)
    outcome = _object(("path", "outcome", "reason"), path=TEXT, outcome=_one_of(*GitOutcome), reason=TEXT)
    operation = _object(
        ("id", "kind", "status", "percent", "counts"),
        id=ID,
        kind=_one_of(*OperationKind),
        status=_one_of(*OperationStatus),
        percent={"type": "number"},
        counts={"type": "object"},
        outcomes=_list(outcome),
        plan=OBJECT_OR_NULL,
    )
    status = _object(("folders", "counts", "operations"), folders=_list(folder), operations=_list(operation))
    body = _inlined(OperationBody.model_json_schema())
    return {
        "/api/git-folders": {"get": _operation("list_git_folders", _answers(status))},
        "/api/git-folders/operations": {
            "post": _operation("start_git_folder_operation", _answers(operation, 202), body=body)
        },
        "/api/git-folders/operations/{id}": {
            "get": _operation("get_git_folder_operation", _answers(operation), identity=True)
        },
    }


def _inlined(schema: Schema) -> Schema:
    """A model's schema with its definitions in place: a component of their own they need not be."""
    known = schema.pop("$defs", {})

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return walk(known[value["$ref"].rpartition("/")[2]])
            return {name: walk(member) for name, member in value.items()}
        return [walk(member) for member in value] if isinstance(value, list) else value

    found: Schema = walk(schema)
    return found


@functools.cache
def document() -> Schema:
    """The whole description, in OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Notebook backup", "version": "1"},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}}},
        "security": [{"key": []}],
        "paths": {**_running(), **_recovery(), **_audit(), **_reports(), **_credentials(), **_git_folders()},
    }


@blueprint.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@guarded
def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/openapi.json`: this description."""
    return func.HttpResponse(json.dumps(document()), mimetype="application/json")
