"""Trials of a running system: edits in its workspace, runs, clones, and the truth to compare with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobLeaseClient, BlobServiceClient

from local.app import wait_for_new_run
from local.azure.embedded import EmbeddedAzure
from local.azure.entra import AZURE_DEVOPS
from local.processes import StartFailed
from local.system import LocalSystem
from shared.cli import Client, follow
from shared.domain.names import parse_file

LONG_AGO, LONG_AGO_RUN = "2020-01-01T00:00:00+00:00", "20200101T000000Z-0000"
MOST_SOURCE_BYTES = 10_485_760
MOST_SECONDS_TO_TELL = 60
COMMITTER = "durabletask/instances/backup-commit"
SOURCES = (".py", ".sql", ".scala", ".r")


@dataclass
class Lab:
    """A running system with its clients."""

    system: LocalSystem
    folder: Path

    @property
    def client(self) -> Client:
        """The app's HTTP API."""
        return Client(self.system.url, self.system.key)

    def back_up(self) -> dict[str, Any]:
        """One run by the timer function, to its end, and what follows it: its mail, its tags and their records."""
        before = {r["run_id"] for r in self.client.call("GET", "runs")["runs"]}
        self.system.fire_timer("daily_backup")
        run_id = wait_for_new_run(self.client, before)["run_id"]
        ended = follow(self.client, run_id, show=False)
        self._wait_for_committer()
        return ended

    def let_time_pass(self) -> None:
        """What a dead host leaves behind runs out: its blob lease, its run's lease, the watchdog's patience."""
        self.let_time_pass_without_host("leases/commit")
        connection = self.system.settings["AzureWebJobsStorage"]
        self.system.fire_timer("watchdog")
        with TableServiceClient.from_connection_string(connection) as tables:
            self._age(tables)
        self.system.fire_timer("watchdog")

    def let_time_pass_without_host(self, lease: str) -> None:
        """A blob lease of a dead host runs out."""
        connection = self.system.settings["AzureWebJobsStorage"]
        with BlobServiceClient.from_connection_string(connection) as blobs, contextlib.suppress(HttpResponseError):
            BlobLeaseClient(blobs.get_blob_client("backup", lease)).break_lease(lease_break_period=0)

    def checkpoint(self) -> str:
        """The commit that the checkpoint names, read without the app."""
        connection = self.system.settings["AzureWebJobsStorage"]
        with TableServiceClient.from_connection_string(connection) as tables:
            return str(tables.get_table_client("checkpoints").get_entity("backup", "current")["commit"])

    def _wait_for_committer(self) -> None:
        """It is what tells of a run that is over."""
        deadline = monotonic() + MOST_SECONDS_TO_TELL
        while requests.get(f"{self.system.url}/{COMMITTER}", timeout=60).status_code == HTTPStatus.ACCEPTED:
            if monotonic() > deadline:
                raise StartFailed(f"the committer has not ended {MOST_SECONDS_TO_TELL} s after its run")
            sleep(0.05)

    @staticmethod
    def _age(tables: TableServiceClient) -> None:
        """Date the active run back, or its lease where the run has no row yet."""
        checkpoints, runs = tables.get_table_client("checkpoints"), tables.get_table_client("runs")
        with contextlib.suppress(ResourceNotFoundError):
            lease = checkpoints.get_entity("lease", "run")
            if not lease["run_id"]:
                return
            try:
                runs.update_entity({**runs.get_entity("run", lease["run_id"]), "watched_at": LONG_AGO})
            except ResourceNotFoundError:
                checkpoints.update_entity({**lease, "run_id": LONG_AGO_RUN})

    def control(self, what: str, body: dict[str, Any] | None = None) -> Any:
        """A control request to the simulated workspace."""
        headers = {"Authorization": f"Bearer {self.system.secrets['control']}"}
        url = f"{self.system.workspace_url}/control/{what}"
        method = "GET" if body is None else "POST"
        response = requests.request(method, url, json=body, headers=headers, timeout=600)
        response.raise_for_status()
        return response

    def git_control(self, what: str, body: dict[str, Any]) -> Any:
        """A control request to the Git server."""
        base = "/".join(self.system.git_url.split("/")[:3])
        headers = {"Authorization": f"Bearer {self.system.secrets['control']}"}
        answer = requests.post(f"{base}/control/{what}", json=body, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def user_token(self, user: str = "ada@example.com") -> str:
        """What `az account get-access-token` prints for Azure DevOps; the embedded identities have to be there."""
        body = {"resource": AZURE_DEVOPS, "user": user}
        return str(self._azure_control(f"http://127.0.0.1:{self._azure.port}/control/user-token", body)["token"])

    def vault_secrets(self, **switches: Any) -> dict[str, Any]:
        """Every version of every secret, read past the vault's roles."""
        found: dict[str, Any] = self._azure_control(
            f"{self._azure.settings()['KEY_VAULT_URI']}/control/vault", switches
        )
        return dict(found["secrets"])

    def vault_calls(self) -> int:
        """How many operations the vault was asked for; 0 where none is embedded."""
        if self.system.azure is None:
            return 0
        return int(self._azure_control(f"{self._azure.settings()['KEY_VAULT_URI']}/control/vault", {})["calls"])

    def git_stats(self) -> dict[str, Any]:
        """Calls by Git service, and the bytes that the Git server `received` and `sent`."""
        base = "/".join(self.system.git_url.split("/")[:3])
        headers = {"Authorization": f"Bearer {self.system.secrets['control']}"}
        answer = requests.get(f"{base}/control/stats", headers=headers, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    @property
    def _azure(self) -> EmbeddedAzure:
        if self.system.azure is None:
            raise RuntimeError("no setting asks for the embedded identities and vault")
        return self.system.azure

    def _azure_control(self, url: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.system.secrets['control']}"}
        bundle = str(self._azure.certificate.bundle)
        response = requests.post(url, json=body, headers=headers, verify=bundle, timeout=60)
        response.raise_for_status()
        return response.json()

    def edit(self, *actions: dict[str, Any], user: str = "ada@example.com") -> None:
        """Edits in the workspace, as a person."""
        self.control("edits", {"user": user, "actions": list(actions)})

    def source_truth(self) -> dict[tuple[str, str], str]:
        """What has to come as SOURCE: all but the notebooks over the export limit."""
        rows = [json.loads(line) for line in self.control("truth").text.splitlines()]
        return {(r["path"], r["language"]): r["sha256"] for r in rows if r["size"] <= MOST_SOURCE_BYTES}

    def truth(self) -> dict[tuple[str, str], str]:
        """SHA-256 by path and language, as the workspace has it."""
        rows = [json.loads(line) for line in self.control("truth").text.splitlines()]
        return {(r["path"], r["language"]): r["sha256"] for r in rows}

    def clone(self) -> Path:
        """A plain, full clone of the served repository."""
        target = self.folder / f"clone-{len(list(self.folder.iterdir()))}"
        url = self.system.git_url.replace("http://", f"http://x:{self.system.secrets['git']}@")
        subprocess.run(["git", "clone", "--quiet", url, str(target)], check=True)
        return target

    def cloned(self, clone: Path, root: str = "/Clients") -> dict[tuple[str, str], str]:
        """SHA-256 by path and language, as a checkout has it; files of people are left out."""
        found = {}
        for file in clone.rglob("*"):
            relative = file.relative_to(clone).as_posix()
            if file.is_file() and not relative.startswith(".git") and file.suffix in SOURCES:
                parsed = parse_file(relative)
                path = f"{root}/{'/'.join(parsed.parts)}"
                found[(path, parsed.language.value)] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found


def git(clone: Path, *arguments: str) -> str:
    """What a git command prints."""
    result = subprocess.run(["git", "-C", str(clone), *arguments], check=True, capture_output=True, text=True)
    return result.stdout.strip()
