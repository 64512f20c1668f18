"""A Git server over smart HTTP: `git http-backend` behind bearer or basic auth, able to refuse.

`python -m local.git_server PORT DATA`. It allows what Azure Repos allows (partial clone by `blob:none` and
`tree:0`, shallow clone) and refuses what it refuses (trees that fail fsck, forced pushes).
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from aiohttp import BasicAuth, web

from local.azure.entra import Entra
from local.azure.pats import PATH, PersonalTokens
from local.azure.repos import API, REMOTE, AzureRepos

REPOSITORY = "notebooks.git"
CHUNK_BYTES = 2**16
MOST_PACKS = 20
_CONFIG = {
    "http.receivepack": "true",
    "receive.denyNonFastForwards": "true",
    "receive.fsckObjects": "true",
    "receive.autogc": "false",
    "pack.writeReverseIndex": "true",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpackfilter.allow": "false",
    "uploadpackfilter.blob:none.allow": "true",
    "uploadpackfilter.tree.allow": "true",
}


def make_repository(path: Path, branch: str = "main") -> None:
    """A bare repository with the server's configuration; one that exists is kept."""
    if not (path / "HEAD").exists():
        subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    subprocess.run(["git", "-C", str(path), "symbolic-ref", "HEAD", f"refs/heads/{branch}"], check=True)
    for name, value in _CONFIG.items():
        subprocess.run(["git", "-C", str(path), "config", name, value], check=True)
    tidy(path)


def tidy(path: Path) -> None:
    """What a server does now and then: many packs become one, with the indexes that answers are made from."""
    packs = list((path / "objects" / "pack").glob("*.pack"))
    if len(packs) > MOST_PACKS or any(not pack.with_suffix(".rev").exists() for pack in packs):
        subprocess.run(["git", "-C", str(path), "repack", "-a", "-d", "-q"], check=True)


class GitServer:
    """Serves the repository in `data`; `refusals` are kinds still to be given, by service."""

    def __init__(self, data: Path, tokens: PersonalTokens, control_token: str) -> None:
        self._data, self._tokens, self._control_token = data, tokens, control_token
        self._repository = data / REPOSITORY
        self._repos = AzureRepos(self._repository, data / "pull-requests.json")
        self.refusals: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(client_max_size=0)
        app.router.add_post("/control/refuse", self._control_refuse)
        app.router.add_post("/control/settle", self._control_settle)
        app.router.add_post("/control/commit", self._control_commit)
        app.router.add_get("/control/stats", self._control_stats)
        app.router.add_post("/control/repos", self._control_repos)
        app.router.add_route("*", PATH, self._tokens.handle)
        app.router.add_route("*", API, self._api)
        app.router.add_route("*", f"{API}/{{rest:.*}}", self._api)
        app.router.add_route("*", f"{REMOTE}/{{rest:.*}}", self._git)
        app.router.add_route("*", f"/{REPOSITORY}/{{rest:.*}}", self._git)
        return app

    async def _git(self, request: web.Request) -> web.StreamResponse:
        if not self._authorized(request):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        service = request.query.get("service") or request.path.rpartition("/")[2]
        self.calls[service] += 1
        kind = self._refusal(service, request.method)
        if kind in ("401", "403", "413", "429", "503"):
            return web.Response(status=int(kind), headers={"Retry-After": "1"} if kind == "429" else {})
        if kind == "echo":
            # A server that repeats a credential in its refusal, which git prints.
            given = request.headers.get("Authorization", "")
            return web.Response(status=403, text=f"refused: {given}")
        if kind == "moved":
            await asyncio.to_thread(person_commits, self._repository, "main", {"MOVED.md": "moved"}, "somebody")
        return await self._backend(request, lose_answer=kind == "lost_answer")

    def _refusal(self, service: str, method: str) -> str | None:
        for refusal in self.refusals:
            wanted = refusal.get("service", "git-receive-pack")
            # A moved branch and a lost answer concern the push itself, not what it asks beforehand.
            late = refusal["kind"] in ("moved", "lost_answer")
            if refusal["times"] > 0 and wanted == service and not (late and method == "GET"):
                refusal["times"] -= 1
                return str(refusal["kind"])
        return None

    async def _backend(self, request: web.Request, *, lose_answer: bool) -> web.StreamResponse:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            env={**os.environ, **self._cgi(request)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        feeding = asyncio.create_task(_feed(request, process, self.bytes))
        response = await _answer(request, process, lose_answer, self.bytes)
        await feeding
        await process.wait()
        if lose_answer and request.transport:
            request.transport.abort()
        return response

    def _cgi(self, request: web.Request) -> dict[str, str]:
        values = {
            "GIT_PROJECT_ROOT": str(self._data),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            # Azure Repos' address of the one repository leads to the same place.
            "PATH_INFO": request.path.replace(REMOTE, f"/{REPOSITORY}", 1),
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "REMOTE_USER": "git",
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        # aiohttp has taken a request's content encoding off; its length no longer holds then.
        if request.content_length is not None and "Content-Encoding" not in request.headers:
            values["CONTENT_LENGTH"] = str(request.content_length)
        return values

    def _authorized(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        if given.lower().startswith("basic "):
            return self._tokens.opens(BasicAuth.decode(given).password)
        return given.lower().startswith("bearer ") and (self._tokens.admits(given) or self._tokens.opens(given[7:]))

    def _check_control(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self._control_token}":
            raise web.HTTPUnauthorized

    async def _control_refuse(self, request: web.Request) -> web.Response:
        self._check_control(request)
        body = await request.json()
        self.refusals.append({"times": 1, **body, "kind": str(body["kind"])})
        return web.json_response({})

    async def _control_settle(self, request: web.Request) -> web.Response:
        """No refusal is due any more."""
        self._check_control(request)
        self.refusals.clear()
        return web.json_response({})

    async def _control_commit(self, request: web.Request) -> web.Response:
        self._check_control(request)
        body = await request.json()
        branch, author = body.get("branch", "main"), body.get("author", "somebody")
        await asyncio.to_thread(person_commits, self._repository, branch, body["files"], author)
        return web.json_response({})

    async def _api(self, request: web.Request) -> web.Response:
        if not self._authorized(request):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        kind = self._refusal("api", request.method)
        if kind is not None:
            return web.Response(status=int(kind), headers={"Retry-After": "1"} if kind == "429" else {})
        self.calls["api"] += 1
        return await self._repos.handle(request)

    async def _control_repos(self, request: web.Request) -> web.Response:
        self._check_control(request)
        return web.json_response(await asyncio.to_thread(self._repos.control, await request.json()))

    async def _control_stats(self, request: web.Request) -> web.Response:
        self._check_control(request)
        return web.json_response({"calls": dict(self.calls), "bytes": dict(self.bytes)})


def person_commits(repository: Path, branch: str, files: dict[str, str | None], author: str) -> None:
    """A commit by a person on the server's branch; a file given as None is removed."""
    ref = f"refs/heads/{branch}"
    lines = [f"commit {ref}", f"committer {author} <{author}@example.com> now", "data 6", "change"]
    known = subprocess.run(["git", "-C", str(repository), "rev-parse", "-q", "--verify", ref], capture_output=True)
    lines += [f"from {ref}^0"] if known.returncode == 0 else []
    for file, text in files.items():
        lines += [f"D {file}"] if text is None else [f"M 100644 inline {file}", f"data {len(text.encode())}", text]
    stream = "\n".join([*lines, "done", ""]).encode()
    command = ["git", "-C", str(repository), "fast-import", "--quiet", "--done", "--date-format=now"]
    subprocess.run(command, input=stream, check=True)


async def _feed(request: web.Request, process: asyncio.subprocess.Process, seen: Counter[str]) -> None:
    """Hand a request's body to git; what comes is counted as `received`."""
    assert process.stdin  # noqa: S101 - asked for above
    try:
        async for part in request.content.iter_chunked(CHUNK_BYTES):
            seen["received"] += len(part)
            process.stdin.write(part)
            await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return


async def _answer(
    request: web.Request, process: asyncio.subprocess.Process, lose_answer: bool, seen: Counter[str]
) -> web.StreamResponse:
    """Turn the CGI answer into an HTTP one, streamed; what git says is counted as `sent`."""
    assert process.stdout  # noqa: S101 - asked for above
    response = web.StreamResponse()
    while line := (await process.stdout.readline()).decode().strip():
        name, _, value = line.partition(": ")
        if name == "Status":
            response.set_status(int(value.split()[0]))
        else:
            response.headers[name] = value
    if not lose_answer:
        await response.prepare(request)
    while part := await process.stdout.read(CHUNK_BYTES):
        seen["sent"] += len(part)
        if not lose_answer:
            await response.write(part)
    return response


def main(
    port: int,
    data: Path,
    token: Annotated[str, typer.Option(envvar="GIT_SERVER_TOKEN")],
    control_token: Annotated[str, typer.Option(envvar="GIT_SERVER_CONTROL_TOKEN")],
    entra_key: Annotated[str, typer.Option(envvar="ENTRA_KEY")] = "",
    certificate: Annotated[Path | None, typer.Option(help="Serve HTTPS with this PEM file.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
) -> None:
    """Serve until told to stop."""
    data.mkdir(parents=True, exist_ok=True)
    make_repository(data / REPOSITORY)
    tokens = PersonalTokens(token, data / "tokens.json", Entra(entra_key) if entra_key else None)
    server = GitServer(data.resolve(), tokens, control_token)
    asyncio.run(serve(server.app(), port, _tls(certificate, key) if certificate else None))


def _tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def serve(app: web.Application, port: int, tls: ssl.SSLContext | None = None) -> None:
    """Serve an application on loopback until SIGTERM or SIGINT."""
    runner = web.AppRunner(app, access_log=None, auto_decompress=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    typer.run(main)
