"""`python -m local.azure PORT VAULT_PORT DATA`: the identity endpoint over HTTP, the vault over HTTPS."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web

from local.azure.embedded import TRUSTED
from local.azure.entra import Entra
from local.azure.identity import IdentityEndpoint
from local.azure.tls import OwnCertificate
from local.azure.vault import WRITE, VaultServer


def main(
    port: int,
    vault_port: int,
    data: Path,
    key: Annotated[str, typer.Option(envvar="ENTRA_KEY")],
    header: Annotated[str, typer.Option(envvar="IDENTITY_HEADER")],
    control_token: Annotated[str, typer.Option(envvar="AZURE_CONTROL_TOKEN")],
    identity: Annotated[list[str], typer.Option(help="Client id of an identity that the app has.")],
    seed: Annotated[str, typer.Option(envvar="VAULT_SEED", help="Secrets to begin with, as JSON.")] = "{}",
) -> None:
    """Serve until told to stop."""
    data.mkdir(parents=True, exist_ok=True)
    certificate = OwnCertificate(data)
    certificate.make(os.environ.get(TRUSTED, ""))
    entra = Entra(key)
    roles = dict.fromkeys(identity, WRITE)
    vault = VaultServer(entra, data / "vault.json", f"https://127.0.0.1:{vault_port}", roles, control_token)
    vault.seed(json.loads(seed))
    identities, secrets = web.Application(), web.Application()
    IdentityEndpoint(entra, header, identity, control_token).add_routes(identities)
    vault.add_routes(secrets)
    asyncio.run(_serve(identities, port, secrets, vault_port, certificate))


async def _serve(
    identities: web.Application, port: int, secrets: web.Application, vault_port: int, own: OwnCertificate
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    runners = [web.AppRunner(app, access_log=None) for app in (identities, secrets)]
    for runner in runners:
        await runner.setup()
    await web.TCPSite(runners[0], "127.0.0.1", port).start()
    await web.TCPSite(runners[1], "127.0.0.1", vault_port, ssl_context=context).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    for runner in runners:
        await runner.cleanup()


if __name__ == "__main__":
    typer.run(main)
