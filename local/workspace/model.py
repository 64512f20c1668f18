"""The workspace's tree and every operation on it, kept in a journal so that a restart goes on from there."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from local.workspace.content import source


class ApiError(Exception):
    """An answer in the API's error shape."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Node:
    """One workspace object. Its path follows from its parents, so a folder moves in one step."""

    __slots__ = (
        "children",
        "content",
        "created_at",
        "grants",
        "kind",
        "language",
        "modified_at",
        "name",
        "object_id",
        "oversize",
        "parent",
        "revision",
    )

    def __init__(self, object_id: int, name: str, parent: Node | None, kind: str, at: int) -> None:
        self.object_id, self.name, self.parent, self.kind = object_id, name, parent, kind
        self.language: str | None = None
        self.created_at = self.modified_at = at
        self.revision = 0
        self.content: bytes | None = None
        self.oversize = False
        self.grants: dict[tuple[str, str], str] = {}
        self.children: dict[str, Node] | None = {} if kind in ("DIRECTORY", "REPO") else None

    @property
    def path(self) -> str:
        """The absolute path."""
        parts: list[str] = []
        node: Node = self
        while node.parent is not None:
            parts.append(node.name)
            node = node.parent
        return "/" + "/".join(reversed(parts))

    def source(self) -> bytes:
        """A notebook's SOURCE bytes."""
        if self.content is not None:
            return self.content
        return source(self.object_id, self.revision, self.language or "PYTHON", oversize=self.oversize)

    def notebooks(self) -> Iterator[Node]:
        """Every notebook at or below."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.kind == "NOTEBOOK":
                yield node
            waiting.extend((node.children or {}).values())


class WorkspaceModel:
    """The tree. Every change is an operation `{op, user, at, ...}` that goes through `apply`."""

    def __init__(self, journal: Path | None = None, now: Callable[[], float] = time.time) -> None:
        self.root = Node(0, "", None, "DIRECTORY", 0)
        self.audit: list[dict[str, Any]] = []
        self._next_id = 1
        self._by_id: dict[int, Node] = {0: self.root}
        self._journal, self._now = journal, now

    def replay(self) -> None:
        """Apply the journal's operations again."""
        if self._journal and self._journal.exists():
            with self._journal.open() as lines:
                for line in lines:
                    if line.endswith("\n"):
                        self._perform(json.loads(line))

    def now_ms(self) -> int:
        """The time of the workspace, Unix milliseconds."""
        return int(self._now() * 1000)

    def apply(self, op: str, user: str, **fields: Any) -> None:
        """Perform an operation and keep it. Raises `ApiError`, and changes nothing then."""
        operation = {"op": op, "user": user, "at": self.now_ms(), **fields}
        self._perform(operation)
        if self._journal:
            with self._journal.open("a") as lines:
                lines.write(json.dumps(operation) + "\n")

    def find(self, path: str) -> Node | None:
        """The object at a path."""
        node = self.root
        for part in path.strip("/").split("/") if path.strip("/") else ():
            found = (node.children or {}).get(part)
            if found is None:
                return None
            node = found
        return node

    def get(self, path: str) -> Node:
        """The object at a path. Raises `ApiError` 404."""
        node = self.find(path)
        if node is None:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")
        return node

    def add(self, path: str, kind: str, language: str | None, at: int) -> Node:
        """Place a new object; its parent must exist and its path be free."""
        parent_path, _, name = path.rpartition("/")
        parent = self.get(parent_path or "/")
        if parent.children is None or not name:
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"{parent_path} is no folder.")
        if name in parent.children:
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        node = Node(self._next_id, name, parent, kind, at)
        node.language = language
        self._next_id += 1
        parent.children[name] = node
        self._by_id[node.object_id] = node
        return node

    def by_id(self, object_id: int) -> Node | None:
        """The object of an id, None where there is none any more."""
        node = self._by_id.get(object_id)
        return node if node is not None and self.find(node.path) is node else None

    def _perform(self, operation: dict[str, Any]) -> None:
        handler = getattr(self, f"_op_{operation['op']}", None)
        if handler is None:
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"unknown action {operation['op']}")
        handler(operation)

    def _op_mkdir(self, o: dict[str, Any]) -> None:
        node = self.root
        for part in o["path"].strip("/").split("/"):
            found = (node.children or {}).get(part)
            if found is None:
                found = self.add(f"{node.path.rstrip('/')}/{part}", "DIRECTORY", None, o["at"])
                self._log("createFolder", o, found.path, found)
            node = found
        if node.children is None:
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({o['path']}) is no folder.")

    def _op_create(self, o: dict[str, Any]) -> None:
        node = self.add(o["path"], o.get("kind", "NOTEBOOK"), o.get("language", "PYTHON"), o["at"])
        node.content = _bytes(o)
        self._log("createNotebook", o, node.path, node)

    def _op_import(self, o: dict[str, Any]) -> None:
        node = self.find(o["path"])
        if node is None:
            node = self.add(o["path"], "NOTEBOOK", o["language"], o["at"])
        node.content, node.language, node.modified_at = _bytes(o), o["language"], o["at"]
        self._log("importNotebook", o, node.path, node)

    def _op_edit(self, o: dict[str, Any]) -> None:
        node = self._notebook(o["path"])
        node.content = _bytes(o)
        node.revision += 1
        node.modified_at = max(o["at"], node.modified_at + 1)
        self._log("modifyNotebook", o, node.path, node)

    def _op_set_language(self, o: dict[str, Any]) -> None:
        node = self._notebook(o["path"])
        node.language, node.content = o["language"], None
        node.modified_at = max(o["at"], node.modified_at + 1)
        self._log("modifyNotebook", o, node.path, node)

    def _op_move(self, o: dict[str, Any]) -> None:
        node, old = self.get(o["path"]), o["path"]
        parent_path, _, name = o["to"].rpartition("/")
        parent = self.get(parent_path or "/")
        if parent.children is None or name in parent.children:
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({o['to']}) already exists.")
        assert node.parent and node.parent.children is not None  # noqa: S101 - only the root has no parent
        del node.parent.children[node.name]
        renamed = node.parent is parent
        node.name, node.parent = name, parent
        parent.children[name] = node
        self._log("renameNotebook" if renamed else "moveNotebook", o, old, node, newPath=o["to"], oldPath=old)

    _op_rename = _op_move

    def _op_grant(self, o: dict[str, Any]) -> None:
        node = self.get(o["path"])
        if o.get("replace"):
            node.grants.clear()
        node.grants.update({(principal, name): level for principal, name, level in o["grants"]})

    def _op_checkout(self, o: dict[str, Any]) -> None:
        """Files that a Git folder shows, by their paths below it."""
        for relative in o["removed"]:
            node = self.find(f"{o['path']}/{relative}")
            while node is not None and not node.children and node.kind != "REPO":
                parent = node.parent
                if parent is not None and parent.children is not None:
                    del parent.children[node.name]
                node = parent
        for relative, kind, language, content in o["files"]:
            path = f"{o['path']}/{relative}"
            node = self.find(path)
            if node is None:
                self._op_mkdir({**o, "path": path.rpartition("/")[0]})
                node = self.add(path, kind, language, o["at"])
            node.kind, node.language, node.content = kind, language, base64.b64decode(content)
            node.modified_at = max(o["at"], node.modified_at + 1)

    def _op_delete(self, o: dict[str, Any]) -> None:
        node = self.get(o["path"])
        if node.children and not o.get("recursive"):
            raise ApiError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({o['path']}) is not empty")
        if node.parent is None or node.parent.children is None:
            raise ApiError(400, "INVALID_PARAMETER_VALUE", "the root cannot be deleted")
        self._log("deleteNotebook" if node.kind == "NOTEBOOK" else "deleteFolder", o, o["path"], node)
        del node.parent.children[node.name]

    def _notebook(self, path: str) -> Node:
        node = self.get(path)
        if node.kind != "NOTEBOOK":
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"{path} is no notebook")
        return node

    def _log(self, action: str, o: dict[str, Any], path: str, node: Node, **more: str) -> None:
        self.audit.append(
            {
                "event_time": o["at"],
                "user": o["user"],
                "action_name": action,
                "request_params": {"path": path, "notebookId": str(node.object_id), **more},
                "event_id": f"event-{len(self.audit) + 1}",
            }
        )


def _bytes(operation: dict[str, Any]) -> bytes | None:
    if "content_base64" in operation:
        return base64.b64decode(operation["content_base64"])
    return operation["content"].encode() if "content" in operation else None
