"""The embedded default, started and stopped as one: every outside system that no setting replaces."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from local.azure.embedded import TRUSTED, EmbeddedAzure
from local.azure.pats import PATH
from local.azure.repos import REMOTE
from local.azurite import Azurite
from local.processes import ChildProcess, free_port, port_answers
from local.shifted_clock import ShiftedClock

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "notebooks.git"
_SECRETS = {"workspace": "dapi", "git": "", "control": "", "entra": "", "identity": ""}
"""What the embedded systems open to, by name, and how each begins."""


class DataInUse(Exception):
    """Another ./start works with this data folder."""


@dataclass(frozen=True, slots=True)
class SystemOptions:
    """What `./start` was asked for. `port` 0 takes a free one; latency and ceiling are the simulator's.

    `settings` go before the environment's; what neither names is embedded.
    `invisible_seconds` is how long a message stays hidden that a host took and did not settle. With
    `shifted`, app and workspace go by a clock that can be put forward. With `metered`, the storage's requests and
    the functions' invocations are written down, each in a file of `LocalSystem`.
    """

    data: Path
    port: int = 7071
    notebooks: int = 2000
    folders: int = 0
    workspace_from: Path | None = None
    latency_ms: float = 0.0
    ceiling: float = 0.0
    plain: bool = False
    invisible_seconds: int = 600
    shifted: bool = False
    metered: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


class LocalSystem:
    """Azurite, workspace, Git server, mail catcher and Functions host, each a process of its own."""

    def __init__(self, options: SystemOptions) -> None:
        self.options = options
        self.processes: list[ChildProcess] = []
        self.settings: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{options.port or free_port()}"
        self.workspace_url = self.git_url = self.mail_url = ""
        self._azurite: Azurite | None = None
        self.azure: EmbeddedAzure | None = None
        self.given = {**os.environ, **options.settings}
        options.data.mkdir(parents=True, exist_ok=True)
        self._lock = (options.data / "lock").open("w")
        self.secrets = self._stored_secrets()

    @property
    def key(self) -> str:
        """The function key, once the host has made it."""
        return str(json.loads((self.options.data / "host" / "keys.json").read_text())["default"])

    @property
    def master_key(self) -> str:
        """The key of the admin routes."""
        return str(json.loads((self.options.data / "host" / "keys.json").read_text())["master"])

    @property
    def storage_log(self) -> Path:
        """The storage's requests, a line each, of a metered system."""
        return self.options.data / "logs" / "storage.log"

    @property
    def invocations(self) -> Path:
        """The functions' invocations of a metered system, see `local.functions_host.invocations`."""
        return self.options.data / "logs" / "invocations.jsonl"

    @property
    def clock(self) -> ShiftedClock:
        """The time of a system with a clock that can be put forward."""
        return ShiftedClock(self.options.data / "clock")

    @property
    def _clock_arguments(self) -> list[str]:
        return ["--clock-file", str(self.options.data / "clock")] if self.options.shifted else []

    def start(self) -> None:
        """Start what is embedded, then the host; write the address file. Raises `StartFailed`, `DataInUse`."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataInUse(f"another ./start uses {self.options.data}: stop it, or pass --data") from None
        self.settings = self._settings()
        self.start_host()

    @property
    def host(self) -> ChildProcess:
        """The Functions host's process."""
        return next(p for p in self.processes if p.name == "functions-host")

    def start_host(self, crash_at: str | None = None) -> None:
        """Start the Functions host on its port, with the settings that stand; it may be told where to die."""
        port = int(self.url.rpartition(":")[2])
        arguments = [str(port), str(self.options.data / "host"), "--app-dir", str(ROOT)]
        arguments += ["--invisible-seconds", str(self.options.invisible_seconds)]
        arguments += ["--crash-at", crash_at] if crash_at else []
        arguments += ["--invocations", str(self.invocations)] if self.options.metered else []
        arguments += self._clock_arguments
        host = self._spawn("functions-host", "local.functions_host", arguments, self.settings)
        keys = self.options.data / "host" / "keys.json"
        host.wait_until(lambda: port_answers(port) and keys.exists())
        address = self.options.data / "backup.json"
        address.touch(mode=0o600)
        address.write_text(json.dumps({"url": self.url, "key": self.key}))

    def kill_host(self) -> None:
        """End the host at once, as a crash would."""
        host = self.host
        host.kill()
        self.processes.remove(host)

    def stop(self) -> None:
        """Stop everything that was started, the host first."""
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        if self._azurite:
            self._azurite.stop()
        self._lock.close()

    def fire_timer(self, name: str) -> None:
        """Run a timer function now, by the admin route that the platform's host has too."""
        headers = {"x-functions-key": self.master_key}
        requests.post(f"{self.url}/admin/functions/{name}", json={}, headers=headers, timeout=30).raise_for_status()

    def peaks(self) -> dict[str, float]:
        """Peak resident memory of each process, MiB."""
        return {p.name: p.peak_megabytes() for p in self._all()}

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time of each process so far, with that of its ended children, in seconds."""
        return {p.name: p.cpu_seconds() for p in self._all()}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _all(self) -> list[ChildProcess]:
        return [*([self._azurite.process] if self._azurite else []), *self.processes]

    def _settings(self) -> dict[str, str]:
        settings = {
            **self.options.settings,
            "BACKUP_SCRATCH": str(self.options.data / "scratch"),
            "BACKUP_URL": self.url,
            "BACKUP_SCHEDULE": self.given.get("BACKUP_SCHEDULE", "0 30 2 * * *"),
            "BACKUP_VERIFY_SCHEDULE": self.given.get("BACKUP_VERIFY_SCHEDULE", "0 30 6 * * *"),
            # Everybody here is the one holder of the key, load tests among them.
            "BACKUP_REQUESTS_PER_MINUTE": self.given.get("BACKUP_REQUESTS_PER_MINUTE", "1000000"),
        }
        if EmbeddedAzure.is_wanted(self.given):
            settings |= self._start_azure()
        if "AzureWebJobsStorage" not in self.given and "AzureWebJobsStorage__blobServiceUri" not in self.given:
            settings |= self._start_storage()
        if "DATABRICKS_HOST" not in self.given:
            settings |= self._start_workspace()
        if "GIT_REMOTE_URL" not in self.given:
            settings |= self._start_git()
        if "SMTP_URL" not in self.given:
            settings |= self._start_mail()
        return settings

    def _start_azure(self) -> dict[str, str]:
        data, ports = self.options.data / "azure", (free_port(), free_port())
        self.azure = azure = EmbeddedAzure(self.given, data, self.secrets, *ports)
        azure.certificate.make(self.given.get(TRUSTED, ""))
        process = self._spawn("azure", "local.azure", azure.arguments(), azure.environment())
        process.wait_until(lambda: all(map(port_answers, ports)))
        return {name: value for name, value in azure.settings().items() if name == TRUSTED or name not in self.given}

    def _start_storage(self) -> dict[str, str]:
        """By the account's key, or, where the settings say so, by the app's identity."""
        by_identity = self.azure is not None and "AzureWebJobsStorage__credential" in self.given
        own = self.azure.certificate if self.azure and by_identity else None
        log = self.storage_log if self.options.metered else None
        self._azurite = Azurite(self.options.data / "azurite", own=own, access_log=log)
        self._azurite.start()
        connection = {"AzureWebJobsStorage": self._azurite.connection_string}
        return self._azurite.identity_settings if by_identity else connection

    def _start_workspace(self) -> dict[str, str]:
        o, port = self.options, free_port()
        arguments = [str(port), str(o.data / "workspace"), "--notebooks", str(o.notebooks)]
        arguments += ["--root", self.given.get("BACKUP_ROOT", "/Clients"), "--folders", str(o.folders)]
        arguments += ["--latency-ms", str(o.latency_ms), "--ceiling", str(o.ceiling)]
        arguments += (["--plain"] if o.plain else []) + self._clock_arguments
        arguments += ["--from", str(o.workspace_from.resolve())] if o.workspace_from else []
        tokens = {
            "SIMULATOR_TOKEN": self.secrets["workspace"],
            "SIMULATOR_CONTROL_TOKEN": self.secrets["control"],
            **(self.azure.known_to_workspace() if self.azure else {}),
        }
        process = self._spawn("workspace", "local.workspace", arguments, tokens)
        process.wait_until(lambda: port_answers(port), seconds=180)
        self.workspace_url = f"http://127.0.0.1:{port}"
        token = {} if self.azure and self.azure.opens_workspace else {"DATABRICKS_TOKEN": self.secrets["workspace"]}
        return {"DATABRICKS_HOST": self.workspace_url, "DATABRICKS_WAREHOUSE_ID": "simulated", **token}

    def _start_git(self) -> dict[str, str]:
        port = free_port()
        tokens = {"GIT_SERVER_TOKEN": self.secrets["git"], "GIT_SERVER_CONTROL_TOKEN": self.secrets["control"]}
        tokens |= self.azure.known_to_git() if self.azure else {}
        arguments = [str(port), str(self.options.data / "git")]
        process = self._spawn("git-server", "local.git_server", arguments, tokens)
        process.wait_until(lambda: port_answers(port))
        # Pull requests are made where the address is one of Azure Repos.
        asked = {**os.environ, **self.options.settings}.get("BACKUP_COMMIT_MODE")
        self.git_url = f"http://127.0.0.1:{port}" + (REMOTE if asked == "pull_request" else f"/{REPOSITORY}")
        token = {} if self.azure and self.azure.opens_git else {"GIT_TOKEN": self.secrets["git"]}
        return {"GIT_REMOTE_URL": self.git_url, "BACKUP_PAT_API_URL": f"http://127.0.0.1:{port}{PATH}", **token}

    def _start_mail(self) -> dict[str, str]:
        port, http_port = free_port(), free_port()
        arguments = [str(port), str(http_port), str(self.options.data / "mails")]
        process = self._spawn("mail-catcher", "local.mail_catcher", arguments, {})
        process.wait_until(lambda: port_answers(port) and port_answers(http_port))
        self.mail_url = f"http://127.0.0.1:{http_port}/mails"
        mail = {"BACKUP_MAIL_FROM": "backup@example.com", "BACKUP_MAIL_TO": "administrator@example.com"}
        chosen = {name: self.given.get(name, default) for name, default in mail.items()}
        return {"SMTP_URL": f"smtp://127.0.0.1:{port}", **chosen}

    def _spawn(self, name: str, module: str, arguments: list[str], settings: dict[str, str]) -> ChildProcess:
        environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **settings}
        log = self.options.data / "logs" / f"{name}.log"
        process = ChildProcess(name, [sys.executable, "-m", module, *arguments], log, environment)
        self.processes.append(process)
        return process

    def _stored_secrets(self) -> dict[str, str]:
        path = self.options.data / "secrets.json"
        if not path.exists():
            path.touch(mode=0o600)
        stored: dict[str, str] = json.loads(path.read_text() or "{}")
        stored |= {name: f"{start}{secrets.token_hex(16)}" for name, start in _SECRETS.items() if name not in stored}
        path.write_text(json.dumps(stored))
        return stored


def wait_forever() -> None:
    """Until Ctrl-C."""
    while True:
        time.sleep(3600)
