"""Git folders over the REST API: `/api/2.0/repos`, `git-credentials`, `permissions` and `workspace/rename`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from shared.adapters.workspace import DatabricksWorkspace
from shared.domain.notebooks import ObjectType
from shared.errors import BackupError, NotFound, WorkspaceError, WorkspaceUnavailable
from shared.protocols.git_folders import Grant, RemoteFolder

CREDENTIAL_NAME = "notebook-backup"
_KINDS = {ObjectType.DIRECTORY: "directories", ObjectType.NOTEBOOK: "notebooks", ObjectType.REPO: "repos"}
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")
_NO_SUCH_CALL = ("ENDPOINT_NOT_FOUND", "FEATURE_DISABLED", "NOT_IMPLEMENTED", "HTTP 404", "HTTP 405", "HTTP 501")


class CredentialMissing(BackupError):
    """The backup's identity has no Git credential for {provider}. Link one (docs/git-folders.md), or set GIT_TOKEN."""

    code = "git_credential_missing"


class DatabricksGitFolders:
    """See `shared.protocols.git_folders.GitFolders`; `token` gives the configured Git token, None without one."""

    def __init__(
        self, workspace: DatabricksWorkspace, url: str, provider: str, token: Callable[[], str | None], email: str
    ) -> None:
        self._workspace, self._url, self._provider, self._token, self._email = workspace, url, provider, token, email
        self._own: Grant | None = None

    def find(self, path: str) -> RemoteFolder | None:
        """See `GitFolders.find`."""
        return next((found for found in self.below(path) if found.path == path), None)

    def below(self, path: str) -> list[RemoteFolder]:
        """See `GitFolders.below`."""
        found: list[RemoteFolder] = []
        page = ""
        while True:
            body = self._workspace.api("GET", f"repos?path_prefix={quote(path, safe='')}{page}")
            found += [remote_folder(row, path) for row in body.get("repos", [])]
            if not body.get("next_page_token"):
                # The prefix is one of text: `/a/b` finds `/a/bc` as well.
                return [f for f in found if f.path == path or f.path.startswith(f"{path}/")]
            page = f"&next_page_token={quote(str(body['next_page_token']), safe='')}"

    def create(self, path: str) -> RemoteFolder:
        """See `GitFolders.create`."""
        body = {"url": self._url, "provider": self._provider, "path": path}
        return remote_folder(self._workspace.api("POST", "repos", body), path)

    def check_out(self, folder_id: int, branch: str) -> None:
        """See `GitFolders.check_out`."""
        self._workspace.api("PATCH", f"repos/{folder_id}", {"branch": branch})

    def delete(self, folder_id: int) -> None:
        """See `GitFolders.delete`."""
        self._unless_gone(lambda: self._workspace.api("DELETE", f"repos/{folder_id}"))

    def ensure_credential(self) -> None:
        """See `GitFolders.ensure_credential`."""
        listed = self._workspace.api("GET", "git-credentials").get("credentials", [])
        known = [c for c in listed if str(c.get("git_provider", "")).lower() == self._provider.lower()]
        token = self._token()
        if not known and token is None:
            raise CredentialMissing(provider=self._provider)
        body = {"git_provider": self._provider, "git_username": CREDENTIAL_NAME, "git_email": self._email}
        body |= {"name": CREDENTIAL_NAME, "personal_access_token": token or ""}
        if not known:
            self._workspace.api("POST", "git-credentials", body)
        elif token is not None and known[0].get("name") == CREDENTIAL_NAME:
            # Ours, from a time when the token may have been another.
            self._workspace.api("PATCH", f"git-credentials/{known[0]['credential_id']}", body)

    def grants(self, kind: ObjectType, object_id: int) -> list[Grant]:
        """See `GitFolders.grants`."""
        return own_grants(self._workspace.api("GET", f"permissions/{_KINDS[kind]}/{object_id}"), str(object_id))

    def set_grants(self, kind: ObjectType, object_id: int, grants: Iterable[Grant]) -> None:
        """See `GitFolders.set_grants`."""
        self._workspace.api("PUT", f"permissions/{_KINDS[kind]}/{object_id}", access_list(grants))

    def own_grant(self) -> Grant:
        """See `GitFolders.own_grant`."""
        if self._own is None:
            name = str(self._workspace.api("GET", "preview/scim/v2/Me").get("userName", ""))
            self._own = Grant("user_name" if "@" in name else "service_principal_name", name, "CAN_MANAGE")
        return self._own

    def move(self, source: str, target: str) -> bool:
        """See `GitFolders.move`."""
        try:
            self._workspace.api("POST", "workspace/rename", {"source_path": source, "destination_path": target})
        except WorkspaceError as error:
            if error.fields.get("error_code") in _NO_SUCH_CALL:
                return False
            raise
        return True

    def delete_folder(self, path: str) -> None:
        """See `GitFolders.delete_folder`."""
        body = {"path": path, "recursive": True}
        self._unless_gone(lambda: self._workspace.api("POST", "workspace/delete", body))

    @staticmethod
    def _unless_gone(call: Callable[[], Any]) -> None:
        try:
            call()
        except NotFound:
            # By an earlier attempt whose answer was lost, or by somebody.
            return


def remote_folder(row: Any, path: str) -> RemoteFolder:
    """A Git folder of an answer. Raises `WorkspaceUnavailable` where it is cut."""
    try:
        branch, commit = row.get("branch"), row.get("head_commit_id")
        return RemoteFolder(int(row["id"]), str(row["path"]), str(row["url"]), branch, commit)
    except (KeyError, TypeError, ValueError, AttributeError):
        detail = f"a Git folder of its answer is cut: {json.dumps(row)[:100]}"
        raise WorkspaceUnavailable(path=path, error_code="BAD_BODY", detail=detail) from None


def own_grants(body: Any, path: str) -> list[Grant]:
    """The grants of an answer of the permissions API that are the object's own. Raises `WorkspaceUnavailable`."""
    try:
        return sorted(
            Grant(principal, str(row[principal]), str(permission["permission_level"]))
            for row in body["access_control_list"]
            for principal in _PRINCIPALS
            if row.get(principal)
            for permission in row.get("all_permissions", [])
            if not permission.get("inherited")
        )
    except (KeyError, TypeError, AttributeError):
        detail = "its permissions cannot be read"
        raise WorkspaceUnavailable(path=path, error_code="BAD_BODY", detail=detail) from None


def access_list(grants: Iterable[Grant]) -> dict[str, Any]:
    """The body that sets grants."""
    return {"access_control_list": [{g.principal: g.name, "permission_level": g.level} for g in grants]}
