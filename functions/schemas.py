"""The vocabulary of the API's description: JSON schemas of what routes take and answer."""

from __future__ import annotations

from typing import Any

from shared.domain.capacity import Level
from shared.domain.moments import MOMENT_PATTERN
from shared.domain.restores import Action, Outcome, RestoreKind, RestoreStatus
from shared.domain.tags import MOST_MOMENT_CHARACTERS
from shared.domain.versions import VersionKind

type Schema = dict[str, Any]
NO_NUL = r"^[^\u0000]*$"
PATH: Schema = {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": NO_NUL}
MOMENT: Schema = {"type": "string", "minLength": 1, "maxLength": MOST_MOMENT_CHARACTERS, "pattern": MOMENT_PATTERN}
DATE: Schema = {"type": "string", "format": "date"}
TEXT: Schema = {"type": "string"}
NULLABLE: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": ["integer", "null"]}
ID: Schema = {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"}


def object_of(required: tuple[str, ...], **members: Schema) -> Schema:
    """An object with its members, and which of them are always there."""
    return {"type": "object", "required": list(required), "properties": members}


def list_of(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def whole(least: int, most: int) -> Schema:
    """A whole number within bounds."""
    return {"type": "integer", "minimum": least, "maximum": most}


def one_of(*kinds: str) -> Schema:
    """One of some texts."""
    return {"type": "string", "enum": list(kinds)}


MOMENT_ANSWER = object_of(
    ("commit", "sequence", "committed_at"), commit=TEXT, sequence={"type": "integer"}, committed_at=TEXT
)
LISTED = object_of(
    ("path", "name", "language", "commit"), path=TEXT, name=TEXT, language=TEXT, size=NUMBER, commit=TEXT
)
VERSION = object_of(
    ("commit", "committed_at", "path", "kind", "language", "blob"),
    commit=TEXT,
    committed_at=TEXT,
    path=TEXT,
    kind=one_of(*VersionKind),
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
ITEM = object_of(
    ("path", "target", "action", "outcome", "reason"),
    path=TEXT,
    target=TEXT,
    action=one_of(*Action),
    outcome={"enum": [*Outcome, None]},
    reason=NULLABLE,
    detail=NULLABLE,
    expected_sha256=NULLABLE,
    found_sha256=NULLABLE,
)
RESTORE = object_of(
    ("id", "kind", "status", "at", "counts"),
    id=ID,
    kind=one_of(*RestoreKind),
    status=one_of(*RestoreStatus),
    at=TEXT,
    percent={"type": "number"},
    counts={"type": "object"},
    items=list_of(ITEM),
)
RUN = object_of(("run_id", "status", "phase"), run_id=TEXT, status=TEXT, phase=TEXT, counts={"type": "object"})
SIDE = object_of(("at", "commit"), at=TEXT, commit=NULLABLE, sha256=NULLABLE)
DIFFERENCE: Schema = {
    **object_of(("path", "from", "to", "added", "removed", "equal", "unified"), path=TEXT, unified=TEXT),
}
DIFFERENCE["properties"] |= {"from": SIDE, "to": SIDE, "equal": {"type": "boolean"}}
OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}
CAPACITY = object_of(
    ("advised_bytes", "measured", "largest", "growers"),
    advised_bytes={"type": "integer"},
    measured=OBJECT_OR_NULL,
    level=one_of(*Level),
    growth={"type": "object"},
    assumed={"type": "object"},
    full_copies=OBJECT_OR_NULL,
    archive_plan={"type": "object"},
    largest=list_of({"type": "object"}),
    growers=list_of({"type": "object"}),
    days=list_of({"type": "object"}),
)
MAINTENANCE = object_of(("id", "status"), id=TEXT, status=TEXT)
PROBLEM = object_of(
    ("type", "title", "status", "detail"), type=TEXT, title=TEXT, status={"type": "integer"}, detail=TEXT
)
LIMIT_200 = ("limit", False, whole(1, 200))
DELETED = ("deleted", False, one_of("true", "false"))


def answers_of(schema: Schema, *statuses: int, media: str = "application/json") -> Schema:
    """The answers of a route: what it gives at its statuses, and problems."""
    told: Schema = {str(s): {"description": "done", "content": {media: {"schema": schema}}} for s in statuses or (200,)}
    problem: Schema = {"description": "what went wrong, and what to do"}
    problem["content"] = {"application/problem+json": {"schema": PROBLEM}}
    return {
        **told,
        "400": problem,
        "401": {"description": "nobody is signed in, or the function key is missing"},
        "default": problem,
    }


def operation(
    name: str, answers: Schema, *query: tuple[str, bool, Schema], identity: bool = False, body: Schema | None = None
) -> Schema:
    """A route by its function: what it answers, and its parameters as name, whether required, and schema."""
    parameters = [{"name": n, "in": "query", "required": must, "schema": s} for n, must, s in query]
    if identity:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": ID})
    found: Schema = {"operationId": name, "parameters": parameters, "responses": answers}
    if body:
        found["requestBody"] = {"content": {"application/json": {"schema": body}}}
    return found


def inlined(schema: Schema) -> Schema:
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
