"""A whole system of its own for a test module, and what tests ask of it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.app import wait_for_new_run
from local.system import LocalSystem, SystemOptions
from shared.cli import Client, follow
from shared.domain.names import parse_file


@dataclass
class Lab:
    """A running system with its clients."""

    system: LocalSystem
    folder: Path

    @property
    def client(self) -> Client:
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
        response = requests.request(method, url, json=body, headers=headers, timeout=60)
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
            if file.is_file() and not relative.startswith(".git") and file.suffix in (".py", ".sql", ".scala", ".r"):
                parsed = parse_file(relative)
                path = f"{root}/{'/'.join(parsed.parts)}"
                found[(path, parsed.language.value)] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found


def git(clone: Path, *arguments: str) -> str:
    """What a git command prints."""
    result = subprocess.run(["git", "-C", str(clone), *arguments], check=True, capture_output=True, text=True)
    return result.stdout.strip()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A system with the options in the module's OPTIONS."""
    folder = tmp_path_factory.mktemp("system")
    options = SystemOptions(folder / "data", port=0, **getattr(request.module, "OPTIONS", {}))
    (folder / "clones").mkdir()
    with LocalSystem(options) as system:
        yield Lab(system, folder / "clones")
