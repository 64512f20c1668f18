"""What the doctor looks at on the machine and asks of the outside systems, without an effect."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import urllib3

from shared.adapters.git_mirror import GitMirror
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import Clock
from shared.errors import NotFound, PermissionDenied, RepositoryError, WorkspaceError
from shared.protocols.diagnosis import Machine

_TIMEOUT = urllib3.Timeout(connect=10, read=20)
PROBE_BRANCH = "refs/heads/backup-doctor"
_EXPORT = "enableExportNotebook"
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class SystemProbes:
    """See `shared.protocols.Probes`. `mail` and `vault` are called only where there is one."""

    def __init__(
        self,
        *,
        workspace: DatabricksWorkspace,
        host: str,
        git: GitMirror,
        scratch: Path,
        host_json: Path,
        clock: Clock,
        mail: Callable[[], str],
        vault: Callable[[], str],
    ) -> None:
        self._workspace, self._host, self._git = workspace, host, git
        self._scratch, self._host_json, self._clock = scratch, host_json, clock
        self._mail, self._vault = mail, vault

    def machine(self) -> Machine:
        """See `Probes.machine`."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        return Machine(shutil.disk_usage(self._scratch).free, _most_memory())

    def git_version(self) -> tuple[int, ...]:
        """See `Probes.git_version`."""
        found = _VERSION.search(self._git.text("tell its version", "--version"))
        folder = Path(self._git.text("tell its folder of programs", "--exec-path"))
        if not (folder / "git-remote-https").exists():
            raise RepositoryError(action="speak HTTPS", detail=f"{folder} has no git-remote-https")
        return tuple(int(part) for part in found[0].split(".")) if found else ()

    def try_push(self) -> None:
        """See `Probes.try_push`. The right is asked for before any branch is: one of a name of its own does."""
        tree = self._git.text("make a tree", "hash-object", "-t", "tree", "-w", "/dev/null")
        who = {f"GIT_{role}_{part}": "doctor" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        made = self._git.run("make a commit", "commit-tree", tree, "-m", "a probe", environment=who)
        commit = made.decode().strip()
        self._git.remote("push", "push", "--dry-run", "--porcelain", "--quiet", "origin", f"{commit}:{PROBE_BRANCH}")

    def identity(self) -> str:
        """See `Probes.identity`."""
        me = self._workspace.api("GET", "preview/scim/v2/Me")
        return str(me.get("userName") or me.get("displayName") or me.get("id") or "nobody")

    def export_is_on(self) -> bool | None:
        """See `Probes.export_is_on`."""
        try:
            found = self._workspace.api("GET", f"workspace-conf?keys={_EXPORT}")
        except (PermissionDenied, NotFound, WorkspaceError):
            return None
        # Its values are texts; one that was never set is null, and stands for the default.
        return str(found.get(_EXPORT)).lower() != "false"

    def seconds_ahead(self) -> float:
        """See `Probes.seconds_ahead`."""
        with urllib3.PoolManager(timeout=_TIMEOUT, retries=False) as http:
            answer = http.request("GET", self._host, redirect=False, preload_content=False)
            answer.release_conn()
        told = answer.headers.get("Date")
        if not told:
            raise ValueError("the workspace's front end does not say what time it is")
        return (self._clock.now() - parsedate_to_datetime(told)).total_seconds()

    def greet_mail_server(self) -> str:
        """See `Probes.greet_mail_server`."""
        return self._mail()

    def vault(self) -> str:
        """See `Probes.vault`."""
        return self._vault()

    def host_settings(self) -> dict[str, object]:
        """See `Probes.host_settings`."""
        found: dict[str, object] = json.loads(self._host_json.read_text())
        return found


def _most_memory() -> int:
    """The limit of the control group that the process is in, or what the machine has."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _CGROUPS:
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):
            continue
    return min(limits)
