"""`GET /api/openapi.json`: what the HTTP API takes and answers, for programs that call it."""

from __future__ import annotations

import functools
import json

import azure.functions as func

from functions.answers import guarded
from functions.poison_http import ChosenMessages
from functions.schemas import (
    CAPACITY,
    DATE,
    DELETED,
    DIFFERENCE,
    ID,
    LIMIT_200,
    LISTED,
    MAINTENANCE,
    MOMENT,
    MOMENT_ANSWER,
    NO_NUL,
    NULLABLE,
    NUMBER,
    OBJECT_OR_NULL,
    PATH,
    RESTORE,
    RUN,
    TEXT,
    VERSION,
    Schema,
    answers_of,
    inlined,
    list_of,
    object_of,
    one_of,
    operation,
    whole,
)
from shared.domain.audit import AuditAction
from shared.domain.credentials import CredentialKind
from shared.domain.git_folder_request import OperationBody
from shared.domain.restore_request import RestoreBody, UndoBody
from shared.domain.restores import Outcome
from shared.domain.tag_request import TagBody
from shared.domain.versions import VersionKind
from shared.domain.volume_requests import ImportBody, ParityBody
from shared.services.git_folders.operations import OperationKind, OperationStatus
from shared.services.git_folders.operations import Outcome as GitOutcome
from shared.services.git_folders.store import FolderState

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]


def _content() -> Schema:
    answers = answers_of({}, media="application/octet-stream")
    answers["200"]["content"]["application/json"] = {"schema": object_of(("path", "content"), path=TEXT, content=TEXT)}
    answers["304"] = {"description": "as the ETag says"}
    return operation("get_content", answers, ("path", True, PATH), ("at", False, MOMENT))


def _diff() -> Schema:
    answers = answers_of(DIFFERENCE)
    answers["200"]["content"]["text/plain"] = {"schema": TEXT}
    two = (("from", False, MOMENT), ("to", False, MOMENT))
    return operation("get_diff", answers, ("path", True, PATH), *two, ("format", False, one_of("json", "text")))


def _audit() -> Schema:
    record = object_of(("sequence", "time", "actor", "action", "object", "result", "detail"), hash=TEXT, previous=TEXT)
    found = answers_of(object_of(("records", "next"), records=list_of(record), next=NUMBER))
    for media in ("text/csv", "application/x-ndjson", "text/html"):
        found["200"]["content"][media] = {"schema": {}}
    query = (
        ("from", False, MOMENT),
        ("to", False, MOMENT),
        ("actor", False, {"type": "string", "maxLength": 200, "pattern": NO_NUL}),
        ("action", False, one_of(*AuditAction)),
        ("format", False, one_of("json", "csv", "jsonl", "html")),
        ("limit", False, whole(1, 20_000)),
        ("after", False, whole(0, 10**12 - 1)),
        ("pseudonymise", False, one_of("true", "false")),
    )
    yes: Schema = {"type": "boolean"}
    fault: Schema = {"type": ["object", "null"]}
    proved = object_of(
        ("intact", "complete", "records", "fault", "next"), intact=yes, complete=yes, fault=fault, next=NULLABLE
    )
    part = (
        ("after", False, {"type": "string", "pattern": "^[0-9]{1,12}:[0-9a-f]{64}$"}),
        ("limit", False, whole(2, 50_000)),
    )
    return {
        "/api/audit": {"get": operation("get_audit", found, *query)},
        "/api/audit/verify": {"get": operation("get_audit_verify", answers_of(proved), *part)},
    }


def _recovery() -> Schema:
    names = ("path", "at", "folders", "notebooks", "next")
    tree = object_of(names, path=TEXT, at=MOMENT_ANSWER, notebooks=list_of(LISTED), next=NULLABLE)
    some = (("limit", False, whole(1, 5000)), ("before", False, whole(0, 10**9)))
    listing = (("path", False, PATH), ("at", False, MOMENT), *some)
    versions = object_of(("path", "versions", "next"), path=TEXT, versions=list_of(VERSION), next=NULLABLE)
    restores = answers_of(object_of(("restores",), restores=list_of(RESTORE)))
    items = (
        ("limit", False, whole(1, 1000)),
        ("offset", False, whole(0, 10**9)),
        ("outcome", False, one_of(*Outcome)),
    )
    page = (("limit", False, whole(1, 500)), ("before", False, whole(0, 10**9)))
    search = (
        ("q", False, {"type": "string", "maxLength": 200, "pattern": NO_NUL}),
        DELETED,
        ("limit", False, whole(1, 500)),
    )
    found = answers_of(object_of(("notebooks",), notebooks=list_of(LISTED)))
    started, undone = answers_of(RESTORE, 200, 202), answers_of(RESTORE, 200, 202)
    return {
        "/api/notebooks": {"get": operation("find_notebooks", found, *search)},
        "/api/tree": {"get": operation("get_tree", answers_of(tree), *listing)},
        "/api/versions": {"get": operation("get_versions", answers_of(versions), ("path", True, PATH), *page)},
        "/api/content": {"get": _content()},
        "/api/diff": {"get": _diff()},
        "/api/restores": {
            "get": operation("list_restores", restores, LIMIT_200),
            "post": operation("start_restore", started, body=inlined(RestoreBody.model_json_schema())),
        },
        "/api/restores/{id}": {"get": operation("get_restore", answers_of(RESTORE), *items, identity=True)},
        "/api/restores/{id}/undo": {
            "post": operation("undo_restore", undone, identity=True, body=inlined(UndoBody.model_json_schema()))
        },
    }


def _reports() -> Schema:
    counts = {name: {"type": "integer"} for name in ("changes", "notebooks", "added", "removed", "without_lines")}
    tally = object_of(tuple(counts), kinds={"type": "object"}, **counts)
    change = object_of(
        ("committed_at", "path", "kind", "person", "commit"),
        committed_at=TEXT,
        path=TEXT,
        kind=one_of(*VersionKind),
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
    report = object_of(
        ("period", "from", "to", "totals", "people", "teams", "folders", "changes", "left_out", "without_lines"),
        period=TEXT,
        totals=tally,
        people=list_of(tally),
        teams=list_of(tally),
        folders=list_of(tally),
        changes=list_of(change),
        left_out={"type": "integer"},
        without_lines={"type": "object"},
    )
    answers = answers_of(report)
    answers["200"]["content"] |= {"text/csv": {"schema": TEXT}, "text/html": {"schema": TEXT}}
    name = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": NO_NUL}
    query = (
        ("from", False, DATE),
        ("to", False, DATE),
        ("author", False, name),
        ("team", False, name),
        ("folder", False, PATH),
        ("format", False, one_of("json", "csv", "html")),
    )
    return {"/api/reports/changes": {"get": operation("get_change_report", answers, *query)}}


def _volume() -> Schema:
    held = object_of(("path", "blob"), path=TEXT, language=TEXT, format=TEXT, blob=TEXT)
    listing = object_of(("at", "notebooks", "next"), at=MOMENT_ANSWER, notebooks=list_of(held), next=NULLABLE)
    pages = (("at", False, MOMENT), ("after", False, PATH), ("limit", False, whole(1, 20_000)))
    kept = object_of(("day", "copy", "agreed"), day=TEXT, copy=TEXT, agreed={"type": "boolean"})
    report = object_of(
        ("agreed_since", "days", "space"), agreed_since=NULLABLE, days=list_of(kept), space={"type": "object"}
    )
    of_day = operation("get_parity_day", answers_of(object_of(("day", "findings"), day=TEXT)))
    of_day["parameters"].append({"name": "day", "in": "path", "required": True, "schema": DATE})
    imported = answers_of(object_of(("branch", "copies"), branch=TEXT), 201)
    parity = inlined(ParityBody.model_json_schema())
    return {
        "/api/listing": {"get": operation("get_listing", answers_of(listing), *pages)},
        "/api/parity": {
            "get": operation("get_parity", answers_of(report)),
            "post": operation("keep_parity", answers_of(kept, 201), body=parity),
        },
        "/api/parity/{day}": {"get": of_day},
        "/api/volume-imports": {
            "post": operation("keep_import", imported, body=inlined(ImportBody.model_json_schema()))
        },
    }


def _tags() -> Schema:
    one = object_of(
        ("name", "commit", "kind", "message", "tagger", "tagged_at"),
        name=TEXT,
        commit=TEXT,
        kind=NULLABLE,
        message=TEXT,
        tagger=NULLABLE,
        tagged_at=NULLABLE,
    )
    found = answers_of(object_of(("tags", "error"), tags=list_of(one), error=NULLABLE))
    body = inlined(TagBody.model_json_schema())
    return {
        "/api/tags": {
            "get": operation("list_tags", found),
            "post": operation("create_tag", answers_of(one, 201), body=body),
        }
    }


def _running() -> Schema:
    runs, checks = object_of(("runs",), runs=list_of(RUN)), object_of(("checks",), checks=list_of({"type": "object"}))
    ways = {"retry": ID, "confirm_deletions": ID}
    start: Schema = {"type": "object", "properties": ways, "maxProperties": 1, "additionalProperties": False}
    status = object_of(
        ("active", "last", "publication"),
        active={"type": ["object", "null"]},
        last={"type": ["object", "null"]},
        publication={"type": ["object", "null"]},
    )
    verifications = answers_of(object_of(("verifications",), verifications=list_of(MAINTENANCE)))
    started = answers_of(MAINTENANCE, 202)
    kept = answers_of(MAINTENANCE)
    part = (("limit", False, whole(1, 5_000)), ("offset", False, whole(0, 10**9)))
    health = operation("get_health", answers_of(object_of(("status",), status=TEXT))) | {"security": []}
    return {
        "/api/status": {"get": operation("get_status", answers_of(status))},
        "/api/runs": {
            "get": operation("list_runs", answers_of(runs), LIMIT_200),
            "post": operation("start_run", answers_of(object_of(("run_id",), run_id=TEXT), 202), body=start),
        },
        "/api/runs/{id}": {"get": operation("get_run", answers_of(RUN), *part, identity=True)},
        "/api/verifications": {
            "get": operation("list_verifications", verifications),
            "post": operation("start_verification", started),
        },
        "/api/verifications/{id}": {"get": operation("get_verification", kept, *part, identity=True)},
        "/api/rebuilds": {"post": operation("start_rebuild", started)},
        "/api/rebuilds/{id}": {"get": operation("get_rebuild", kept, *part, identity=True)},
        "/api/capacity": {"get": operation("get_capacity", answers_of(CAPACITY))},
        "/api/doctor": {"get": operation("get_doctor", answers_of(checks))},
        "/api/health": {"get": health},
        **_poison(),
    }


def _poison() -> Schema:
    message = object_of(
        ("id", "queue", "about", "inserted_at", "deliveries", "text"),
        id=TEXT,
        queue=TEXT,
        inserted_at=NULLABLE,
        deliveries={"type": "integer"},
    )
    waiting = answers_of(object_of(("messages", "hidden"), messages=list_of(message), hidden={"type": "integer"}))
    done, body = answers_of(object_of(("done",), done=list_of(ID))), inlined(ChosenMessages.model_json_schema())
    return {
        "/api/poison": {"get": operation("list_poison", waiting)},
        "/api/poison/requeue": {"post": operation("requeue_poison", done, body=body)},
        "/api/poison/drop": {"post": operation("drop_poison", done, body=body)},
    }


def _credentials() -> Schema:
    rotation: Schema = {"type": ["object", "null"]}
    credential = object_of(
        ("name", "label", "kind", "renewed_by", "days_left", "missing", "last_rotation"),
        name=TEXT,
        label=TEXT,
        kind=one_of(*CredentialKind),
        renewed_by=TEXT,
        expires_at=NULLABLE,
        days_left=NUMBER,
        source=NULLABLE,
        missing=NULLABLE,
        checked_at=NULLABLE,
        last_rotation=rotation,
    )
    listed = answers_of(object_of(("credentials",), credentials=list_of(credential)))
    token = {"type": ["string", "null"], "maxLength": 16_384, "writeOnly": True}
    body: Schema = {"type": "object", "properties": {"user_token": token}, "additionalProperties": False}
    rotated = answers_of(object_of(("rotation", "step"), rotation=TEXT, step=TEXT), 202)
    rotate = operation("rotate_credential", rotated, body=body)
    rotate["parameters"].append({"name": "name", "in": "path", "required": True, "schema": ID})
    return {
        "/api/credentials": {"get": operation("list_credentials", listed)},
        "/api/credentials/check": {"post": operation("check_credentials", listed, body=body)},
        "/api/credentials/{name}/rotate": {"post": rotate},
    }


def _git_folders() -> Schema:
    folder = object_of(("path", "branch", "state"), path=TEXT, branch=TEXT, state=one_of(*FolderState), head=NULLABLE)
    outcome = object_of(("path", "outcome", "reason"), path=TEXT, outcome=one_of(*GitOutcome), reason=TEXT)
    moved = object_of(
        ("id", "kind", "status", "percent", "counts"),
        id=ID,
        kind=one_of(*OperationKind),
        status=one_of(*OperationStatus),
        percent={"type": "number"},
        counts={"type": "object"},
        outcomes=list_of(outcome),
        plan=OBJECT_OR_NULL,
    )
    status = object_of(("folders", "counts", "operations"), folders=list_of(folder), operations=list_of(moved))
    body = inlined(OperationBody.model_json_schema())
    return {
        "/api/git-folders": {"get": operation("list_git_folders", answers_of(status))},
        "/api/git-folders/operations": {
            "post": operation("start_git_folder_operation", answers_of(moved, 202), body=body)
        },
        "/api/git-folders/operations/{id}": {
            "get": operation("get_git_folder_operation", answers_of(moved), identity=True)
        },
    }


@functools.cache
def document() -> Schema:
    """The whole description, in OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Notebook backup", "version": "1"},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}}},
        "security": [{"key": []}],
        "paths": {
            **_running(),
            **_recovery(),
            **_audit(),
            **_reports(),
            **_credentials(),
            **_git_folders(),
            **_volume(),
            **_tags(),
        },
    }


@blueprint.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@guarded
def get_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """`GET /api/openapi.json`: this description."""
    return func.HttpResponse(json.dumps(document()), mimetype="application/json")
