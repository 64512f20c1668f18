"""The HTTP server: authorization, latency, ceiling and faults around the API, and the control endpoints."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BasicAuth, web

from local.workspace.api import WorkspaceApi
from local.workspace.behaviour import Behaviour, Ceiling, Stats
from local.workspace.git_folders import GitFolders
from local.workspace.git_source import RemoteGit
from local.workspace.model import ApiError, WorkspaceModel
from local.workspace.permissions import Permissions
from local.workspace.tokens import Access

type Answer = bytes | dict[str, Any]
_PREFIX = "/api/2.0/"
_WRITES = ("workspace/import", "workspace/mkdirs", "workspace/delete", "workspace/rename")
_PERMISSIONS = re.compile(r"permissions/(directories|notebooks|repos)/(\d+)")
_STATEMENT = re.compile(r"sql/statements/([^/]+)(?:/result/chunks/(\d+))?")


class WorkspaceServer:
    """Serves one model; `handle` is aiohttp's low-level request handler."""

    def __init__(
        self, model: WorkspaceModel, access: Access, control_token: str, user: str, root: str, data: Path
    ) -> None:
        self._model, self._access, self._control_token, self._root = model, access, control_token, root
        self.behaviour, self.stats, self._ceiling = Behaviour(), Stats(), Ceiling()
        api = self._api = WorkspaceApi(model, self.behaviour, user)
        folders = self._folders = GitFolders(model, user, data / "git-folders.json", RemoteGit(data / "git"))
        self._resources = {"repos": folders.repos, "git-credentials": folders.credentials}
        self._permissions = Permissions(model, user)
        self._reads: dict[str, Callable[[dict[str, str]], Answer]] = {
            "workspace/list": api.list,
            "workspace/get-status": api.get_status,
            "workspace/export": api.export,
            "preview/scim/v2/Me": api.me,
            "workspace-conf": api.conf,
            "token/list": access.list,
        }
        self._writes: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "workspace/import": api.import_,
            "workspace/mkdirs": api.mkdirs,
            "workspace/delete": api.delete,
            "workspace/rename": api.rename,
            "sql/statements": api.statements,
            "token/create": access.create,
            "token/delete": access.delete,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            if request.path.startswith("/control/"):
                return await self._control(request)
            return await self._answer(request)
        except ApiError as error:
            return _json({"error_code": error.code, "message": error.message}, error.status)
        except (ValueError, KeyError, TypeError) as error:
            return _json({"error_code": "MALFORMED_REQUEST", "message": str(error)}, 400)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        caller, may_write = self._access.who(*_credentials(request))
        endpoint = request.path.removeprefix(_PREFIX).rstrip("/")
        if endpoint in _WRITES and not may_write:
            raise ApiError(403, "PERMISSION_DENIED", f"{caller} does not have Edit permissions")
        self.stats.calls[endpoint] += 1
        self.stats.in_flight += 1
        self.stats.most_in_flight = max(self.stats.most_in_flight, self.stats.in_flight)
        try:
            admitted = self._ceiling.admits(self.behaviour.ceiling)
            if self.behaviour.latency_ms:
                await asyncio.sleep(self.behaviour.latency_ms / 1000)
            return await self._dispatch(request, endpoint, caller) if admitted else self._refusal()
        finally:
            self.stats.in_flight -= 1

    async def _dispatch(self, request: web.BaseRequest, endpoint: str, caller: str) -> web.StreamResponse:
        perform = self._performer(request.method, endpoint)
        if request.method in ("GET", "DELETE"):
            query = request.rel_url.raw_query_string
            values: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True, errors="surrogatepass"))
        else:
            values = json.loads(await request.read())
        path = str(values.get("path", ""))
        if self.behaviour.denied and self.behaviour.denies(path):
            raise ApiError(403, "PERMISSION_DENIED", f"No permission to read {path}")
        fault = self.behaviour.fault_for(endpoint, path) if self.behaviour.faults else None
        if fault:
            self.stats.faults[fault] += 1
            if fault != "cut_body":
                return self._faulty(request, fault)
        self._api.user = caller
        answer = perform(values)
        if fault:
            return await _cut(request, answer)
        return _respond(answer)

    def _performer(self, method: str, endpoint: str) -> Callable[[dict[str, Any]], Answer]:
        """What performs a call, given its values. Raises `ApiError` 404 where there is none."""
        table = self._reads if method == "GET" else self._writes if method == "POST" else {}
        if endpoint in table:
            return table[endpoint]
        resource, _, number = endpoint.partition("/")
        known = ("GET", "PATCH", "DELETE") if number else ("GET", "POST")
        if resource in self._resources and method in known and (number.isdecimal() or not number):
            return functools.partial(self._resources[resource], method, int(number) if number else None)
        granted = _PERMISSIONS.fullmatch(endpoint)
        if granted and method in ("GET", "PUT", "PATCH"):
            return functools.partial(self._permissions.call, method, granted[1], int(granted[2]))
        statement = _STATEMENT.fullmatch(endpoint)
        if statement and method == "GET":
            name, chunk = statement.groups()
            return lambda _: self._api.statement(name) if chunk is None else self._api.chunk(name, int(chunk))
        raise ApiError(404, "ENDPOINT_NOT_FOUND", f"No API found for '{method} /api/2.0/{endpoint}'")

    def _faulty(self, request: web.BaseRequest, kind: str) -> web.StreamResponse:
        if kind == "429":
            return self._refusal()
        if kind == "close":
            if request.transport:
                request.transport.abort()
            return web.Response()
        if kind == "echo":
            given = request.headers.get("Authorization", "")
            return _json({"error_code": "INVALID_STATE", "message": f"refused: {given}"}, 400)
        if kind == "error_200":
            return _json({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "try again"}, 200)
        return _json({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "deadline exceeded"}, int(kind))

    def _refusal(self) -> web.StreamResponse:
        self.stats.refused += 1
        style = self.behaviour.throttle_style
        if style == "empty_body":
            return web.Response(status=429)
        headers = {"Retry-After": "1"} if style == "retry_after" else {}
        body = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "The rate limit is exceeded"}
        return _json(body, 429, headers)

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self._control_token}":
            return _json({"error": "the control token is needed"}, 401)
        action = request.path.removeprefix("/control/")
        body = json.loads(await request.read() or b"{}") if request.method == "POST" else {}
        if action == "truth":
            return await self._truth(request)
        handler = getattr(self, f"_control_{action}", None)
        if handler is None:
            return _json({"error": f"no control called {action}"}, 404)
        return _json(handler(body))

    def _control_behaviour(self, body: dict[str, Any]) -> dict[str, Any]:
        self.behaviour.update(body)
        return {name: getattr(self.behaviour, name) for name in Behaviour.__slots__}

    def _control_expire_tokens(self, body: dict[str, Any]) -> dict[str, Any]:
        self._access.expire(int(body["seconds"]))
        return {}

    def _control_stats(self, _: dict[str, Any]) -> dict[str, Any]:
        return self.stats.as_json()

    def _control_reset_stats(self, _: dict[str, Any]) -> dict[str, Any]:
        self.stats = Stats()
        return {}

    def _control_limits(self, body: dict[str, Any]) -> dict[str, Any]:
        """Other limits of Git folders, for trials that need no 5,000 notebooks."""
        self._folders.limits.update(body)
        return dict(self._folders.limits)

    def _control_objects(self, _: dict[str, Any]) -> dict[str, Any]:
        """Every object below the root with its kind and the grants that are its own; contents are the truth's."""
        waiting, found = [self._model.get(self._root)], []
        while waiting:
            node = waiting.pop()
            grants = sorted([*who, level] for who, level in node.grants.items())
            found.append({"path": node.path, "kind": node.kind, "object_id": node.object_id, "grants": grants})
            waiting.extend((node.children or {}).values())
        return {"objects": found}

    def _control_edits(self, body: dict[str, Any]) -> dict[str, Any]:
        for action in body["actions"]:
            self._model.apply(action["action"], body["user"], **{k: v for k, v in action.items() if k != "action"})
        return {"done": len(body["actions"])}

    def _control_random_edits(self, body: dict[str, Any]) -> dict[str, Any]:
        draw = random.Random(body.get("seed", 1))
        root = self._model.get(self._root)
        plain = sorted(n.path for n in root.notebooks() if not n.oversize and n.language)
        chosen = draw.sample(plain, min(int(body["count"]), len(plain)))
        users = body.get("users", ["ada@example.com"])
        for number, path in enumerate(chosen):
            user = users[number % len(users)]
            if number % 20 == 7:
                self._model.apply("rename", user, path=path, to=f"{path}_renamed_{body.get('seed', 1)}")
            elif number % 20 == 13:
                self._model.apply("delete", user, path=path)
            elif number % 20 == 17:
                self._model.apply("create", user, path=f"{path}_new_{body.get('seed', 1)}", language="PYTHON")
            else:
                self._model.apply("edit", user, path=path)
        return {"done": len(chosen)}

    async def _truth(self, request: web.BaseRequest) -> web.StreamResponse:
        """JSON lines: every notebook below the root with the hash of its SOURCE bytes."""
        response = web.StreamResponse()
        await response.prepare(request)
        for node in self._model.get(self._root).notebooks():
            data = node.source()
            row = {"path": node.path, "language": node.language, "object_id": node.object_id, "size": len(data)}
            row["sha256"] = hashlib.sha256(data).hexdigest()
            await response.write(json.dumps(row).encode() + b"\n")
        await response.write_eof()
        return response


def _credentials(request: web.BaseRequest) -> tuple[str, str | None]:
    """The `Authorization` header, and the password in it where it is basic."""
    given = request.headers.get("Authorization", "")
    return given, BasicAuth.decode(given).password if given.startswith("Basic ") else None


async def _cut(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Announce the whole body, send half of it, and close."""
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(data))})
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    if request.transport:
        request.transport.close()
    return response


def _respond(answer: Answer) -> web.Response:
    if isinstance(answer, bytes):
        return web.Response(body=answer, content_type="application/octet-stream")
    return _json(answer)


def _json(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    data = json.dumps(body).encode()
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")
