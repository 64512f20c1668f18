"""Trials of a running system: edits in its workspace, runs, clones, and the truth to compare with."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local.app import wait_for_new_run
from local.system import LocalSystem
from shared.cli import Client, follow
from shared.domain.names import parse_file

MOST_SOURCE_BYTES = 10_485_760
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
        """One run by the timer function, to its end."""
        before = {r["run_id"] for r in self.client.call("GET", "runs")["runs"]}
        self.system.fire_timer("daily_backup")
        run_id = wait_for_new_run(self.client, before)["run_id"]
        return follow(self.client, run_id, show=False)

    def control(self, what: str, body: dict[str, Any] | None = None) -> Any:
        """A control request to the simulated workspace."""
        headers = {"Authorization": f"Bearer {self.system.secrets['control']}"}
        url = f"{self.system.workspace_url}/control/{what}"
        method = "GET" if body is None else "POST"
        response = requests.request(method, url, json=body, headers=headers, timeout=600)
        response.raise_for_status()
        return response

    def git_control(self, what: str, body: dict[str, Any]) -> None:
        """A control request to the Git server."""
        base = self.system.git_url.rpartition("/")[0]
        headers = {"Authorization": f"Bearer {self.system.secrets['control']}"}
        requests.post(f"{base}/control/{what}", json=body, headers=headers, timeout=60).raise_for_status()

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
