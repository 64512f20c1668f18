"""HTTP: the app's routes with function keys, the durable client's protocol, and the admin routes."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import azure.functions as func
from aiohttp import web

from local.functions_host.app_loader import LoadedFunction, Send
from local.functions_host.durable_engine import DurableEngine, InstanceExists
from local.functions_host.durable_history import Instance
from local.functions_host.timers import TimerListener

MOST_BODY_BYTES = 100 * 2**20
PARALLEL_REQUESTS = 32


class Keys:
    """The host's keys, made once: `default` opens function routes, `master` everything."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps({name: secrets.token_urlsafe(32) for name in ("default", "master")}))
        self.values: dict[str, str] = json.loads(path.read_text())

    def admit(self, request: web.Request, level: str) -> bool:
        """Whether the request carries a key for this level."""
        if level == "anonymous":
            return True
        given = request.headers.get("x-functions-key") or request.query.get("code") or ""
        names = ("master",) if level == "admin" else ("default", "master")
        return any(hmac.compare_digest(given.encode(), self.values[name].encode()) for name in names)


class HttpFront:
    """The web application of a host."""

    def __init__(
        self,
        functions: list[LoadedFunction],
        prefix: str,
        keys: Keys,
        engine: DurableEngine,
        client: str,
        send: Send | None = None,
    ) -> None:
        self._keys, self._engine, self._client, self._send = keys, engine, client, send
        self.timers: dict[str, TimerListener] = {}
        self._pool = ThreadPoolExecutor(PARALLEL_REQUESTS, thread_name_prefix="http")
        self.app = web.Application(client_max_size=MOST_BODY_BYTES)
        for function in functions:
            if function.trigger["type"] == "httpTrigger":
                self._add_route(function, prefix)
        add = self.app.router.add_route
        add("POST", "/admin/functions/{name}", self._fire)
        add("GET", "/admin/host/status", self._host_status)
        add("POST", "/durabletask/orchestrators/{function}", self._start)
        add("POST", "/durabletask/orchestrators/{function}/{id}", self._start)
        add("GET", "/durabletask/instances/{id}", self._instance)
        add("DELETE", "/durabletask/instances/{id}", self._purge)
        add("POST", "/durabletask/instances/{id}/raiseEvent/{name}", self._raise_event)
        add("POST", "/durabletask/instances/{id}/{action}", self._set_status)

    def close(self) -> None:
        """Wait for requests under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _add_route(self, function: LoadedFunction, prefix: str) -> None:
        route = function.trigger.get("route") or function.name
        level = function.trigger.get("authLevel", "function")

        async def handle(request: web.Request) -> web.Response:
            if not self._keys.admit(request, level):
                return web.Response(status=401)
            body = await request.read()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._call, function, request, body)

        for method in function.trigger.get("methods") or ("GET", "POST"):
            self.app.router.add_route(str(method), f"/{prefix}/{route}", handle)

    def _call(self, function: LoadedFunction, request: web.Request, body: bytes) -> web.Response:
        asked = func.HttpRequest(
            request.method,
            str(request.url),
            headers=dict(request.headers),
            params=dict(request.query),
            route_params=dict(request.match_info),
            body=body,
        )
        result = function.invoke(asked, self._client, self._send)
        if isinstance(result, func.HttpResponse):
            headers = {**dict(result.headers), "Content-Type": f"{result.mimetype}; charset={result.charset}"}
            return web.Response(status=result.status_code, body=result.get_body(), headers=headers)
        return web.Response(text=str(result or ""))

    async def _fire(self, request: web.Request) -> web.Response:
        if not self._keys.admit(request, "admin"):
            return web.Response(status=401)
        timer = self.timers.get(request.match_info["name"])
        if timer is None:
            return web.Response(status=404)
        asyncio.get_running_loop().run_in_executor(self._pool, timer.fire)
        return web.Response(status=202)

    async def _host_status(self, request: web.Request) -> web.Response:
        if not self._keys.admit(request, "admin"):
            return web.Response(status=401)
        return web.json_response({"state": "Running"})

    async def _start(self, request: web.Request) -> web.Response:
        instance_id = request.match_info.get("id") or secrets.token_hex(16)
        data = _once_decoded(await request.read())
        try:
            self._engine.start(request.match_info["function"], instance_id, data)
        except InstanceExists:
            text = f"An Orchestration instance with the status Running already exists: {instance_id}"
            return web.json_response({"Message": "An error has occurred.", "ExceptionMessage": text}, status=500)
        except KeyError:
            return web.json_response({"ExceptionMessage": "The function doesn't exist"}, status=404)
        return web.json_response({"id": instance_id}, status=202)

    async def _instance(self, request: web.Request) -> web.Response:
        instance = self._engine.get(request.match_info["id"])
        if instance is None:
            return web.Response(status=404)
        return web.json_response(_shown(instance), status=202 if instance.live else 200)

    async def _purge(self, request: web.Request) -> web.Response:
        gone = self._engine.purge(request.match_info["id"])
        return web.json_response({"instancesDeleted": 1}) if gone else web.Response(status=404)

    async def _raise_event(self, request: web.Request) -> web.Response:
        data = _once_decoded(await request.read())
        done = self._engine.raise_event(request.match_info["id"], request.match_info["name"], data)
        return web.Response(status=202 if done else 404)

    async def _set_status(self, request: web.Request) -> web.Response:
        statuses = {"terminate": "Terminated", "suspend": "Suspended", "resume": "Running"}
        status = statuses.get(request.match_info["action"])
        if status is None:
            return web.Response(status=404)
        done = self._engine.set_status(request.match_info["id"], status, request.query.get("reason", ""))
        return web.Response(status=202 if done else 410)


def _once_decoded(body: bytes) -> str:
    """The client encodes a value as JSON, and that text as JSON again."""
    value = json.loads(body or b"null")
    return value if isinstance(value, str) else json.dumps(value)


def client_binding(base_url: str) -> str:
    """What a durable client binding hands to a function."""
    urls = {"id": "INSTANCEID", "statusQueryGetUri": f"{base_url}/durabletask/instances/INSTANCEID"}
    body: dict[str, Any] = {"taskHubName": "NotebookBackup", "creationUrls": {}, "managementUrls": urls}
    return json.dumps({**body, "rpcBaseUrl": f"{base_url}/durabletask/"})


def _shown(instance: Instance) -> dict[str, Any]:
    return {
        "name": instance.function,
        "instanceId": instance.instance_id,
        "runtimeStatus": instance.status,
        "input": instance.input,
        "customStatus": instance.custom_status,
        "output": instance.output,
        "createdTime": instance.created_at,
        "lastUpdatedTime": instance.updated_at or instance.created_at,
    }
