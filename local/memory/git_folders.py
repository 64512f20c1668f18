"""Git folders in memory: the simulator's own endpoints, called without HTTP, on the remote that is in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from local.memory.workspace import MemoryWorkspace
from local.workspace.git_folders import GitFolders as Endpoints
from local.workspace.git_source import Files, GitRefused, GitSource, Remote
from local.workspace.model import ApiError
from local.workspace.permissions import Permissions
from shared.adapters.git_folders import DatabricksGitFolders
from shared.adapters.workspace import raise_for

URL = "https://dev.azure.com/o/p/_git/r"
TOKEN = "memory"  # noqa: S105 - opens nothing


class MemorySource:
    """See `GitSource`: what a remote in memory, or beside the test, holds."""

    def __init__(self, remote: Any) -> None:
        self._remote = remote

    def default_branch(self, remote: Remote) -> str:
        """See `GitSource.default_branch`."""
        del remote
        return str(self._remote.default_branch)

    def files(self, remote: Remote, ref: str) -> tuple[str, Files]:
        """See `GitSource.files`."""
        del remote
        commit = self._remote.head if ref == "main" else self._remote.branches.get(ref)
        if commit is None:
            raise GitRefused(f"the remote has no branch or tag {ref}")
        return commit, dict(self._remote.commits[commit].tree)

    def blobs(self, remote: Remote, ids: Iterable[str]) -> dict[str, bytes]:
        """See `GitSource.blobs`."""
        del remote
        return {blob: self._remote.blobs[blob] for blob in ids}


class _Calls:
    """Stands for the REST adapter's `api`: the endpoints are called in this process."""

    def __init__(self, workspace: MemoryWorkspace, endpoints: Endpoints, user: str) -> None:
        self._workspace, self._folders = workspace, endpoints
        self._permissions = Permissions(workspace.model, user)

    def api(self, method: str, endpoint: str, body: Any = None) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(json.dumps(self._perform(method, endpoint, body or {})))
        except ApiError as error:
            told = json.dumps({"error_code": error.code, "message": error.message})
            raise_for(str((body or {}).get("path") or endpoint), error.status, told.encode())
        return answer

    def _perform(self, method: str, endpoint: str, body: dict[str, Any]) -> Any:
        resource, _, query = endpoint.partition("?")
        kind, _, rest = resource.partition("/")
        if kind in ("repos", "git-credentials"):
            call = self._folders.repos if kind == "repos" else self._folders.credentials
            return call(method, int(rest) if rest else None, body or _parsed(query))
        if kind == "permissions":
            what, _, number = rest.partition("/")
            return self._permissions.call(method, what, int(number), body)
        return self._workspace.endpoint(resource, body)


def _parsed(query: str) -> dict[str, str]:
    return dict(parse_qsl(query))


class MemoryGitFolders(DatabricksGitFolders):
    """See `shared.protocols.git_folders.GitFolders`. `endpoints.limits` can be made small."""

    def __init__(self, workspace: MemoryWorkspace, endpoints: Endpoints, user: str) -> None:
        calls: Any = _Calls(workspace, endpoints, user)
        super().__init__(calls, URL, "azureDevOpsServices", lambda: TOKEN, user)


def endpoints_of(workspace: MemoryWorkspace, source: GitSource, user: str) -> Endpoints:
    """The endpoints of a workspace in memory, which outlive the processes that call them."""
    return Endpoints(workspace.model, user, None, source)
