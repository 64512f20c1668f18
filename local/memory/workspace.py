"""A workspace in memory: the simulator's own endpoints, called without HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.workspace.api import WorkspaceApi
from local.workspace.behaviour import Behaviour
from local.workspace.model import ApiError, WorkspaceModel
from shared.adapters.workspace import raise_for, workspace_object
from shared.domain.notebooks import ExportFormat, Language, WorkspaceObject
from shared.errors import PermissionDenied

PRINCIPAL = "backup@example.com"


class MemoryWorkspace:
    """See `shared.protocols.Workspace`. `behaviour.denied` names folders that may not be read."""

    def __init__(self, model: WorkspaceModel) -> None:
        self.model, self.behaviour = model, Behaviour()
        self._api = WorkspaceApi(model, self.behaviour, PRINCIPAL)

    def list(self, path: str) -> list[WorkspaceObject]:
        """See `Workspace.list`."""
        body: Any = self._call(self._api.list, path)
        return [o for row in body.get("objects", []) if (o := workspace_object(row, path)).path != path]

    def export(self, path: str, fmt: ExportFormat) -> bytes:
        """See `Workspace.export`."""
        data: bytes = self._call(self._api.export, path, format=fmt.value, direct_download="true")
        return data

    def export_folder(self, path: str, target: Path) -> None:
        """See `Workspace.export_folder`."""
        body: Any = self._call(self._api.export, path, format="SOURCE")
        target.write_bytes(base64.b64decode(body["content"]))

    def status(self, path: str) -> WorkspaceObject:
        """See `Workspace.status`."""
        return workspace_object(self._call(self._api.get_status, path), path)

    def import_notebook(self, path: str, content: bytes, language: Language, fmt: ExportFormat) -> None:
        """See `Workspace.import_notebook`."""
        body = {"content": base64.b64encode(content).decode(), "overwrite": "true"}
        self._call(self._api.import_, path, language=language.value, format=fmt.value, **body)

    def make_folder(self, path: str) -> None:
        """See `Workspace.make_folder`."""
        self._call(self._api.mkdirs, path)

    def delete_notebook(self, path: str) -> None:
        """See `Workspace.delete_notebook`."""
        self._call(self._api.delete, path)

    def endpoint(self, name: str, body: Mapping[str, Any]) -> Any:
        """One of the simulator's endpoints that no adapter method stands for. Raises `ApiError`."""
        table: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "workspace/rename": self._api.rename,
            "workspace/delete": self._api.delete,
            "preview/scim/v2/Me": self._api.me,
        }
        return table[name](body)

    def _call(self, endpoint: Callable[[Mapping[str, str]], Any], path: str, **values: str) -> Any:
        if self.behaviour.denies(path):
            raise PermissionDenied(path=path, error_code="PERMISSION_DENIED", detail="no permission")
        try:
            return endpoint({"path": path, **values})
        except ApiError as error:
            raise_for(path, error.status, json.dumps({"error_code": error.code, "message": error.message}).encode())
