"""The workspace API's endpoints: a request's values in, a JSON object or bytes out."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from local.workspace.behaviour import Behaviour
from local.workspace.content import EXTENSION, from_jupyter, jupyter
from local.workspace.model import ApiError, Node, WorkspaceModel

MOST_SOURCE_BYTES = 10_485_760
MOST_IMPORT_BYTES = 10_485_760
MOST_JUPYTER_BYTES = 104_857_600
CHUNK_ROWS = 1_000
AUDIT_COLUMNS = ("event_time", "user_email", "service_name", "action_name", "request_params", "event_id")

type Rows = list[list[str]]


class WorkspaceApi:
    """`/api/2.0/workspace/...` and what goes with it, over a model, for `user`, who is whoever calls."""

    def __init__(self, model: WorkspaceModel, behaviour: Behaviour, user: str) -> None:
        self._model, self._behaviour, self.user = model, behaviour, user
        self._results: dict[str, Rows] = {}
        self._polls: dict[str, int] = {}

    def list(self, query: Mapping[str, str]) -> dict[str, Any]:
        """GET workspace/list."""
        node = self._model.get(_path(query))
        nodes = [node] if node.children is None else list(node.children.values())
        after = int(query.get("notebooks_modified_after", 0))
        prefix = "" if node.children is None else node.path.rstrip("/") + "/"
        rows = [_row(n, prefix + n.name if prefix else n.path) for n in nodes if n.modified_at >= after or n.children]
        return {"objects": rows} if rows else {}

    def get_status(self, query: Mapping[str, str]) -> dict[str, Any]:
        """GET workspace/get-status."""
        node = self._model.get(_path(query))
        return _row(node, node.path)

    def export(self, query: Mapping[str, str]) -> bytes | dict[str, Any]:
        """GET workspace/export: bytes with `direct_download=true`, else base64 in JSON."""
        node, fmt = self._model.get(_path(query)), query.get("format", "SOURCE")
        if fmt not in ("SOURCE", "JUPYTER", "AUTO"):
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"format {fmt} is not supported here")
        if node.children is not None:
            data, file_type = self._zip(node), "zip"
        elif node.kind == "NOTEBOOK":
            data, file_type = _notebook(node, fmt)
        else:
            data, file_type = node.content or b"", "file"
        if query.get("direct_download") == "true":
            return data
        return {"content": base64.b64encode(data).decode(), "file_type": file_type}

    def import_(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST workspace/import."""
        path, fmt = str(body.get("path", "")), body.get("format", "SOURCE")
        data = base64.b64decode(body.get("content", ""))
        if len(data) > MOST_IMPORT_BYTES:
            raise ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", "Size exceeds 10485760 bytes")
        language = body.get("language") or ("PYTHON" if fmt == "JUPYTER" else None)
        if language is None:
            raise ApiError(400, "INVALID_PARAMETER_VALUE", "The language field is required for SOURCE")
        known = self._model.find(path)
        if known and not body.get("overwrite"):
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        if known and known.kind != "NOTEBOOK":
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) is no notebook.")
        if fmt == "JUPYTER":
            data, language = from_jupyter(data)
        fields = {"path": path, "language": language, "content_base64": base64.b64encode(data).decode()}
        self._model.apply("import", self.user, **fields)
        return {}

    def mkdirs(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST workspace/mkdirs."""
        self._model.apply("mkdir", self.user, path=str(body["path"]))
        return {}

    def delete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST workspace/delete."""
        self._model.apply("delete", self.user, path=str(body["path"]), recursive=bool(body.get("recursive")))
        return {}

    def rename(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST workspace/rename: in no public reference, used by Databricks' own file system client."""
        if not self._behaviour.rename:
            raise ApiError(404, "ENDPOINT_NOT_FOUND", "No API found for 'POST /api/2.0/workspace/rename'")
        self._model.apply("move", self.user, path=str(body["source_path"]), to=str(body["destination_path"]))
        return {}

    def me(self, _: Mapping[str, str]) -> dict[str, Any]:
        """GET preview/scim/v2/Me."""
        return {"id": "1", "userName": self.user, "active": True}

    def conf(self, query: Mapping[str, str]) -> dict[str, Any]:
        """GET workspace-conf: only admins may."""
        if not self._behaviour.admin:
            raise ApiError(403, "PERMISSION_DENIED", "Only workspace admins can read the workspace configuration")
        return dict.fromkeys(query.get("keys", "").split(","), self._behaviour.conf)

    def statements(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST sql/statements over `system.access.audit`, bounded by the parameters `from` and `to` (ms)."""
        if "system.access.audit" not in str(body.get("statement", "")):
            raise ApiError(400, "BAD_REQUEST", "only system.access.audit can be queried here")
        given = {p["name"]: p.get("value") for p in body.get("parameters", [])}
        low, high = int(given.get("from") or 0), int(given.get("to") or 2**62)
        rows = [
            [
                str(e["event_time"]),
                e["user"],
                "notebook",
                e["action_name"],
                json.dumps(e["request_params"]),
                e["event_id"],
            ]
            for number, e in enumerate(self._model.audit)
            if low <= e["event_time"] < high and self._has_come(number, e["event_time"])
        ]
        statement = f"statement-{len(self._results) + 1}"
        self._results[statement] = rows
        self._polls[statement] = self._behaviour.statement_polls
        return self.statement(statement)

    def statement(self, statement: str) -> dict[str, Any]:
        """GET sql/statements/{id}: how a statement stands, with the first chunk of its result once there is one."""
        rows = self._rows_of(statement)
        if self._polls[statement] > 0:
            self._polls[statement] -= 1
            return {"statement_id": statement, "status": {"state": "PENDING"}}
        schema = {"columns": [{"name": c, "position": i} for i, c in enumerate(AUDIT_COLUMNS)]}
        chunks = max(1, -(-len(rows) // CHUNK_ROWS))
        return {
            "statement_id": statement,
            "status": {"state": "SUCCEEDED"},
            "manifest": {"schema": schema, "total_row_count": len(rows), "total_chunk_count": chunks},
            "result": self.chunk(statement, 0),
        }

    def _has_come(self, number: int, at: int) -> bool:
        """Whether a row of the audit table can be read already."""
        late = number % self._behaviour.audit_late_every == 0
        return not late or at + self._behaviour.audit_late_seconds * 1000 <= self._model.now_ms()

    def _rows_of(self, statement: str) -> Rows:
        if statement not in self._results:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"The statement {statement} was not found.")
        return self._results[statement]

    def chunk(self, statement: str, index: int) -> dict[str, Any]:
        """GET sql/statements/{id}/result/chunks/{index}: up to `CHUNK_ROWS` rows, and where it goes on."""
        rows = self._rows_of(statement)
        start = index * CHUNK_ROWS
        part = rows[start : start + CHUNK_ROWS]
        answer = {"chunk_index": index, "row_offset": start, "row_count": len(part), "data_array": part}
        if start + CHUNK_ROWS < len(rows):
            link = f"/api/2.0/sql/statements/{statement}/result/chunks/{index + 1}"
            answer |= {"next_chunk_index": index + 1, "next_chunk_internal_link": link}
        return answer

    def _zip(self, folder: Node) -> bytes:
        """A folder's notebooks as a zip, names with or without the folder's own in front."""
        if self._behaviour.zip_style == "never":
            raise ApiError(400, "BAD_REQUEST", "This folder cannot be exported as SOURCE")
        own = folder.name + "/" if self._behaviour.zip_style == "named" else ""
        base = len(folder.path.rstrip("/")) + 1
        found, total = io.BytesIO(), 0
        with zipfile.ZipFile(found, "w", zipfile.ZIP_STORED) as archive:
            for node in folder.notebooks():
                data = node.source()
                total += len(data)
                if total > MOST_SOURCE_BYTES:
                    raise ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", f"Size exceeds {MOST_SOURCE_BYTES} bytes")
                name = own + node.path[base:] + EXTENSION[node.language or "PYTHON"]
                archive.writestr(zipfile.ZipInfo(name), data)
        return found.getvalue()


def _notebook(node: Node, fmt: str) -> tuple[bytes, str]:
    data, language = node.source(), node.language or "PYTHON"
    if fmt == "JUPYTER":
        data = jupyter(data, language)
    limit = MOST_JUPYTER_BYTES if fmt == "JUPYTER" else MOST_SOURCE_BYTES
    if len(data) > limit:
        raise ApiError(400, "MAX_NOTEBOOK_SIZE_EXCEEDED", f"Size exceeds {limit} bytes")
    return data, "ipynb" if fmt == "JUPYTER" else EXTENSION[language][1:]


def _path(query: Mapping[str, str]) -> str:
    path = query.get("path", "")
    if not path.startswith("/"):
        raise ApiError(400, "INVALID_PARAMETER_VALUE", f"Path ({path}) must be absolute.")
    return path


def _row(node: Node, path: str) -> dict[str, Any]:
    row = {
        "object_type": node.kind,
        "path": path,
        "object_id": node.object_id,
        "resource_id": str(node.object_id),
        "created_at": node.created_at,
        "modified_at": node.modified_at,
    }
    if node.language:
        row["language"] = node.language
    if node.kind == "FILE":
        row["size"] = len(node.content or b"")
    return row
