"""Azurite, the vendor's storage emulator, started and stopped by us on ports and data of its own."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from local.azure.tls import OwnCertificate
from local.npm_packages import NODE, install_packages
from local.processes import ChildProcess, free_port, port_answers

PACKAGE = Path(__file__).resolve().parent / "azurite_package"
ACCOUNT = "backup"


def install_azurite() -> Path:
    """The pinned Azurite's start script, installed from its lock file the first time."""
    return install_packages(PACKAGE, "azurite") / "azurite" / "dist" / "src" / "azurite.js"


class Azurite:
    """Blob, queue and table service on loopback; a second start with the same folder has the same data and key.

    With a certificate of its `own` it serves HTTPS, and takes tokens of identities, too. Every request becomes
    a line of `access_log`, in Apache's common format, where one is named.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        in_memory: bool = False,
        own: OwnCertificate | None = None,
        access_log: Path | None = None,
    ) -> None:
        self._data, self._in_memory, self._own, self._access_log = data_dir, in_memory, own, access_log
        self._process: ChildProcess | None = None
        self._ports: dict[str, int] = {}
        self._key = ""

    @property
    def connection_string(self) -> str:
        """For the vendor's clients and `AzureWebJobsStorage`; valid while started."""
        endpoints = ";".join(f"{n}Endpoint={self._address(n.lower())}" for n in ("Blob", "Queue", "Table"))
        scheme = "https" if self._own else "http"
        return f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={self._key};{endpoints};"

    @property
    def identity_settings(self) -> dict[str, str]:
        """The settings of an app that opens the account by its identity."""
        return {f"AzureWebJobsStorage__{n}ServiceUri": self._address(n) for n in ("blob", "queue", "table")}

    def _address(self, service: str) -> str:
        return f"{'https' if self._own else 'http'}://127.0.0.1:{self._ports[service]}/{ACCOUNT}"

    @property
    def process(self) -> ChildProcess:
        """The running process. Raises `RuntimeError` before `start`."""
        if self._process is None:
            raise RuntimeError("Azurite is not started")
        return self._process

    def start(self) -> None:
        """Start and wait until all three services accept connections."""
        script = install_azurite()
        self._data.mkdir(parents=True, exist_ok=True)
        self._key = self._stored_key()
        self._ports = {name: free_port() for name in ("blob", "queue", "table")}
        argv = [str(NODE), str(script), "--location", str(self._data), "--disableTelemetry"]
        argv += ["--skipApiVersionCheck", *([] if self._access_log else ["--silent"])]
        argv += ["--inMemoryPersistence"] if self._in_memory else []
        if self._in_memory:
            argv = [a for i, a in enumerate(argv) if a != "--location" and argv[i - 1] != "--location"]
        if self._own:
            # It takes Entra ID tokens over HTTPS alone, and checks all of them but their signature.
            argv += ["--oauth", "basic", "--cert", str(self._own.certificate), "--key", str(self._own.key)]
        for name, port in self._ports.items():
            argv += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port)]
        environment = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{self._key}"}
        self._process = ChildProcess("Azurite", argv, self._access_log or self._data / "azurite.log", environment)
        self._process.wait_until(lambda: all(port_answers(port) for port in self._ports.values()))

    def stop(self) -> None:
        """End the process; nothing happens where it has ended."""
        if self._process:
            self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _stored_key(self) -> str:
        path = self._data / "account.json"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(json.dumps({"key": base64.b64encode(secrets.token_bytes(32)).decode()}))
        key: str = json.loads(path.read_text())["key"]
        return key
