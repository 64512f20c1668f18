"""`python -m local.workspace`: serve a simulated workspace on loopback until told to stop."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
from aiohttp import web

from local.azure.entra import Entra
from local.shifted_clock import ShiftedClock
from local.workspace.generate import generate, load_folder
from local.workspace.model import WorkspaceModel
from local.workspace.server import WorkspaceServer
from local.workspace.tokens import Access
from shared.clock import SystemClock

MOST_BODY_BYTES = 64 * 2**20
USER = "backup@example.com"


def main(
    port: int,
    data: Path,
    token: Annotated[str, typer.Option(envvar="SIMULATOR_TOKEN")],
    control_token: Annotated[str, typer.Option(envvar="SIMULATOR_CONTROL_TOKEN")],
    notebooks: int = 2000,
    folders: int = 0,
    root: str = "/Clients",
    seed: int = 1,
    source: Annotated[Path | None, typer.Option("--from")] = None,
    latency_ms: float = 0.0,
    ceiling: float = 0.0,
    plain: bool = False,
    clock_file: Path | None = None,
    entra_key: Annotated[str, typer.Option(envvar="ENTRA_KEY")] = "",
    identities: Annotated[str, typer.Option(envvar="WORKSPACE_IDENTITIES", help="What each may do, as JSON.")] = "{}",
) -> None:
    """Fill a workspace, or go on with the one that `data` describes, and serve it."""
    data.mkdir(parents=True, exist_ok=True)
    stored = data / "workspace.json"
    values: dict[str, Any] = {
        "notebooks": notebooks,
        "folders": folders or max(notebooks // 16, 1),
        "root": root,
        "seed": seed,
    }
    values |= {"plain": plain, "source": str(source.resolve()) if source else ""}
    if stored.exists():
        values = json.loads(stored.read_text())
    clock = ShiftedClock(clock_file) if clock_file else SystemClock()
    model = WorkspaceModel(data / "journal.jsonl", lambda: clock.now().timestamp())
    if values["source"]:
        load_folder(model, str(values["root"]), Path(str(values["source"])))
    else:
        fill = (int(values["notebooks"]), int(values["folders"]), int(values["seed"]))
        generate(model, str(values["root"]), *fill, plain=bool(values["plain"]))
    stored.write_text(json.dumps(values))
    model.replay()
    entra = Entra(entra_key) if entra_key else None
    access = Access(USER, token, data / "tokens.json", model.now_ms, entra, json.loads(identities))
    server = WorkspaceServer(model, access, control_token, USER, str(values["root"]), data)
    server.behaviour.update({"latency_ms": latency_ms, "ceiling": ceiling})
    asyncio.run(_serve(server, port))


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """A request whose body may hold the largest notebook in base64: the API's own limit answers beyond."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MOST_BODY_BYTES)


async def _serve(server: WorkspaceServer, port: int) -> None:
    runner = web.ServerRunner(web.Server(server.handle, request_factory=_request, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=512).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    typer.run(main)
