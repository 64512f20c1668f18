"""Git folders and Git credentials: `/api/2.0/repos` and `/api/2.0/git-credentials`, kept in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.workspace.model import ApiError, WorkspaceModel

PROVIDERS = (
    "gitHub",
    "bitbucketCloud",
    "gitLab",
    "azureDevOpsServices",
    "gitHubEnterprise",
    "bitbucketServer",
    "gitLabEnterpriseEdition",
    "awsCodeCommit",
)
type Json = dict[str, Any]


class GitFolders:
    """Git folders by id, each an object of type REPO in the tree, and the credentials they use."""

    def __init__(self, model: WorkspaceModel, user: str, stored: Path) -> None:
        self._model, self._user, self._stored = model, user, stored
        known = json.loads(stored.read_text()) if stored.exists() else {"repos": [], "credentials": []}
        self._repos: dict[int, Json] = {r["id"]: r for r in known["repos"]}
        self._credentials: dict[int, Json] = {c["credential_id"]: c for c in known["credentials"]}

    def repos(self, method: str, number: int | None, values: Mapping[str, Any]) -> Json:
        """One call to `repos` or `repos/{id}`. Raises `ApiError`."""
        if number is None:
            return self._create_repo(values) if method == "POST" else self._list_repos(values)
        repo = self._repos.get(number)
        if repo is None:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Repo {number} doesn't exist.")
        if method == "PATCH":
            if ("branch" in values) == ("tag" in values):
                raise ApiError(400, "INVALID_PARAMETER_VALUE", "Exactly one of branch and tag must be given.")
            repo["branch"] = values.get("branch")
            repo["sparse_checkout"] = values.get("sparse_checkout", repo["sparse_checkout"])
        elif method == "DELETE":
            self._model.apply("delete", self._user, path=repo["path"], recursive=True)
            del self._repos[number]
        self._save()
        return repo if method == "GET" else {}

    def credentials(self, method: str, number: int | None, values: Mapping[str, Any]) -> Json:
        """One call to `git-credentials` or `git-credentials/{id}`; a token is taken and never given back."""
        if number is None:
            return (
                self._create_credential(values) if method == "POST" else {"credentials": [*self._credentials.values()]}
            )
        if number not in self._credentials:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Credential {number} doesn't exist.")
        credential = self._credentials[number]
        if method == "PATCH":
            credential |= _shown(values)
        elif method == "DELETE":
            del self._credentials[number]
        self._save()
        return credential if method == "GET" else {}

    def _create_repo(self, values: Mapping[str, Any]) -> Json:
        provider, url = _provider(values, "provider"), str(values.get("url", ""))
        if not url.startswith("http"):
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"The URL {url} is not supported.")
        path = str(values.get("path") or f"/Repos/{self._user}/{url.rpartition('/')[2].removesuffix('.git')}")
        if self._model.find(path) is not None:
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        self._model.apply("create", self._user, path=path, kind="REPO", language=None)
        number = self._model.get(path).object_id
        repo = {"id": number, "url": url, "provider": provider, "path": path, "branch": values.get("branch", "main")}
        self._repos[number] = {**repo, "sparse_checkout": values.get("sparse_checkout")}
        self._save()
        return self._repos[number]

    def _list_repos(self, values: Mapping[str, Any]) -> Json:
        prefix = str(values.get("path_prefix", ""))
        return {"repos": [r for r in self._repos.values() if r["path"].startswith(prefix)]}

    def _create_credential(self, values: Mapping[str, Any]) -> Json:
        _provider(values, "git_provider")
        number = max(self._credentials, default=0) + 1
        self._credentials[number] = {"credential_id": number, **_shown(values)}
        self._save()
        return self._credentials[number]

    def _save(self) -> None:
        body = {"repos": [*self._repos.values()], "credentials": [*self._credentials.values()]}
        self._stored.write_text(json.dumps(body))


def _provider(values: Mapping[str, Any], name: str) -> str:
    given = str(values.get(name, ""))
    if given.lower() not in [p.lower() for p in PROVIDERS]:
        raise ApiError(400, "INVALID_PARAMETER_VALUE", f"{name} must be one of {', '.join(PROVIDERS)}")
    return given


def _shown(values: Mapping[str, Any]) -> Json:
    names = ("git_provider", "git_username", "git_email", "name", "principal_id")
    return {name: values[name] for name in names if name in values}
