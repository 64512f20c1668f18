"""Git folders and Git credentials: `/api/2.0/repos` and `/api/2.0/git-credentials`.

As the SDK and the Terraform provider use them: a Git folder is created on the remote's default branch, and then
brought to another by PATCH. Limits are Databricks' own; the words of refusals are inferred.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.workspace.checkout import Shown, shown_file
from local.workspace.content import EXTENSION
from local.workspace.git_source import GitRefused, GitSource, Remote
from local.workspace.model import ApiError, Node, WorkspaceModel
from shared.domain.blob_ids import blob_id

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
MOST_NOTEBOOKS, MOST_FILES, MOST_BYTES, MOST_FOLDERS = 5_000, 10_000, 500 * 2**20, 2_000
PAGE = 20
type Json = dict[str, Any]
type Base = dict[str, list[str]]
"""What was checked out: for each file its blob id, and where it shows below the Git folder."""


class GitFolders:
    """Git folders by id, each an object of type REPO in the tree, and the credentials they use."""

    def __init__(self, model: WorkspaceModel, user: str, stored: Path | None, source: GitSource) -> None:
        self._model, self._user, self._stored, self._source = model, user, stored, source
        known = json.loads(stored.read_text()) if stored and stored.exists() else {"repos": [], "credentials": []}
        self._repos: dict[int, Json] = {r["id"]: r for r in known["repos"]}
        self._credentials: dict[int, Json] = {c["credential_id"]: c for c in known["credentials"]}
        self._bases: dict[int, Base] = {}
        self.limits = {"notebooks": MOST_NOTEBOOKS, "files": MOST_FILES, "bytes": MOST_BYTES, "folders": MOST_FOLDERS}

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
            self._check_out(repo, str(values.get("branch") or values.get("tag")))
            repo["branch"] = values.get("branch")
        elif method == "DELETE":
            self._model.apply("delete", self._user, path=self._path(repo), recursive=True)
            del self._repos[number]
            self._bases.pop(number, None)
        self._save()
        return self._shown(repo) if method == "GET" else {}

    def credentials(self, method: str, number: int | None, values: Mapping[str, Any]) -> Json:
        """One call to `git-credentials` or `git-credentials/{id}`; a token is taken and never given back."""
        if number is None:
            listed = [_shown(c) for c in self._credentials.values()]
            return self._create_credential(values) if method == "POST" else {"credentials": listed}
        if number not in self._credentials:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Credential {number} doesn't exist.")
        credential = self._credentials[number]
        if method == "PATCH":
            credential |= _kept(values)
        elif method == "DELETE":
            del self._credentials[number]
        self._save()
        return _shown(credential) if method == "GET" else {}

    def _create_repo(self, values: Mapping[str, Any]) -> Json:
        provider, url = _provider(values, "provider"), str(values.get("url", ""))
        if not url.startswith("http"):
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"The URL {url} is not supported.")
        path = str(values.get("path") or f"/Repos/{self._user}/{url.rpartition('/')[2].removesuffix('.git')}")
        self._check_place(path)
        remote = self._remote(provider, url)
        branch = _told(lambda: self._source.default_branch(remote))
        shown = self._read(remote, branch)
        self._model.apply("create", self._user, path=path, kind="REPO", language=None)
        self._model.apply("grant", self._user, path=path, grants=[["user_name", self._user, "CAN_MANAGE"]])
        number = self._model.get(path).object_id
        repo = {"id": number, "url": url, "provider": provider, "branch": branch, "path": path}
        self._repos[number] = {**repo, "sparse_checkout": values.get("sparse_checkout")}
        self._put(self._repos[number], *shown)
        self._save()
        return self._shown(self._repos[number])

    def _check_place(self, path: str) -> None:
        if self._model.find(path) is not None:
            raise ApiError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        parent: Node | None = self._model.get(path.rpartition("/")[0] or "/")
        while parent is not None:
            if parent.kind == "REPO":
                raise ApiError(400, "INVALID_PARAMETER_VALUE", "A Git folder cannot be inside another.")
            parent = parent.parent
        if len(self._repos) >= self.limits["folders"]:
            raise ApiError(400, "RESOURCE_LIMIT_EXCEEDED", f"The workspace has {len(self._repos)} Git folders already.")

    def _remote(self, provider: str, url: str) -> Remote:
        for credential in self._credentials.values():
            if str(credential["git_provider"]).lower() == provider.lower():
                return Remote(url, str(credential.get("personal_access_token", "")))
        text = "Missing Git provider credentials. Go to User Settings > Git Integration to add your token."
        raise ApiError(403, "PERMISSION_DENIED", text)

    def _read(self, remote: Remote, ref: str) -> tuple[str, dict[str, Shown], dict[str, str]]:
        """The commit, what each file shows as, and the blob ids. Raises `ApiError` beyond a limit."""
        commit, files = _told(lambda: self._source.files(remote, ref))
        if len(files) > self.limits["files"]:
            raise _over(ref, len(files), self.limits["files"], "files")
        data = _told(lambda: self._source.blobs(remote, files.values()))
        size = sum(len(data[blob]) for blob in files.values())
        if size > self.limits["bytes"]:
            raise _over(ref, size, self.limits["bytes"], "bytes")
        shown = {file: shown_file(file, data[blob]) for file, blob in files.items()}
        notebooks = sum(s.kind == "NOTEBOOK" for s in shown.values())
        if notebooks > self.limits["notebooks"]:
            raise _over(ref, notebooks, self.limits["notebooks"], "notebooks")
        return commit, shown, files

    def _check_out(self, repo: Json, ref: str) -> None:
        shown = self._read(self._remote(repo["provider"], repo["url"]), ref)
        self._put(repo, *shown)

    def _put(self, repo: Json, commit: str, shown: dict[str, Shown], files: dict[str, str]) -> None:
        """Bring the tree to a commit; what was edited and not committed stays, unless the commit changes it too."""
        root, base = self._model.get(self._path(repo)), self._base(repo)
        changed = {f for f in base.keys() | files.keys() if base.get(f, [None])[0] != files.get(f)}
        for file in sorted(changed):
            place = shown[file].path if file in shown else base[file][1]
            if self._is_edited(root, place, file, base, files):
                text = f"There are uncommitted changes to {file}: commit or discard them first."
                raise ApiError(400, "GIT_CONFLICT", text)
        written = [
            [*s[:3], base64.b64encode(s.data).decode()] for f in sorted(changed & files.keys()) if (s := shown[f])
        ]
        removed = {base[f][1] for f in changed - files.keys()} - {s.path for s in shown.values()}
        if written or removed:
            fields = {"path": root.path, "files": written, "removed": sorted(removed)}
            self._model.apply("checkout", self._user, **fields)
        repo["head_commit_id"] = commit
        self._bases[repo["id"]] = {f: [blob, shown[f].path] for f, blob in files.items()}
        if self._stored:
            self._base_file(repo).write_text(json.dumps(self._bases[repo["id"]]))

    def _is_edited(self, root: Node, place: str, file: str, base: Base, files: Mapping[str, str]) -> bool:
        """Whether somebody's work stands where a checkout writes or removes a file."""
        node = self._model.find(f"{root.path}/{place}")
        if node is None or node.kind not in ("NOTEBOOK", "FILE"):
            return False
        own = place + (EXTENSION[node.language or ""] if node.kind == "NOTEBOOK" else "")
        here = blob_id(node.source() if node.kind == "NOTEBOOK" else node.content or b"")
        if own != file and file not in files:
            # A notebook that is in another language by now: its old file is gone already.
            return False
        return here not in (base.get(own, [None])[0], files.get(own))

    def _base(self, repo: Json) -> Base:
        found = self._bases.get(repo["id"])
        if found is None:
            file = self._base_file(repo) if self._stored else None
            found = json.loads(file.read_text()) if file and file.exists() else {}
        return found

    def _base_file(self, repo: Json) -> Path:
        if self._stored is None:
            raise ValueError("nothing is stored")
        return self._stored.parent / f"git-folder-{repo['id']}.json"

    def _path(self, repo: Json) -> str:
        """Where it is: its object moves with the folders above it."""
        node = self._model.by_id(repo["id"])
        if node is None:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"Repo {repo['id']} doesn't exist.")
        return node.path

    def _list_repos(self, values: Mapping[str, Any]) -> Json:
        prefix, start = str(values.get("path_prefix", "")), int(values.get("next_page_token") or 0)
        there = [r for r in self._repos.values() if self._model.by_id(r["id"])]
        found = [r for r in map(self._shown, there) if r["path"].startswith(prefix)]
        page: Json = {"repos": found[start : start + PAGE]} if found[start:] else {}
        return page | ({"next_page_token": str(start + PAGE)} if len(found) > start + PAGE else {})

    def _shown(self, repo: Json) -> Json:
        names = ("id", "url", "provider", "branch", "head_commit_id", "sparse_checkout")
        return {"path": self._path(repo), **{n: repo[n] for n in names if repo.get(n) is not None}}

    def _create_credential(self, values: Mapping[str, Any]) -> Json:
        provider = _provider(values, "git_provider")
        if any(c["git_provider"] == provider for c in self._credentials.values()):
            raise ApiError(400, "INVALID_STATE", f"There is a credential for {provider} already.")
        number = max(self._credentials, default=0) + 1
        self._credentials[number] = {"credential_id": number, **_kept(values)}
        self._save()
        return _shown(self._credentials[number])

    def _save(self) -> None:
        if self._stored:
            body = {"repos": [*self._repos.values()], "credentials": [*self._credentials.values()]}
            self._stored.write_text(json.dumps(body))


def _told[T](call: Callable[[], T]) -> T:
    try:
        return call()
    except GitRefused as error:
        raise ApiError(400, "GIT_ERROR", str(error)) from None


def _over(ref: str, count: int, limit: int, what: str) -> ApiError:
    return ApiError(400, "RESOURCE_LIMIT_EXCEEDED", f"The branch {ref} has {count} {what}, more than {limit}.")


def _provider(values: Mapping[str, Any], name: str) -> str:
    given = str(values.get(name, ""))
    if given.lower() not in [p.lower() for p in PROVIDERS]:
        raise ApiError(400, "INVALID_PARAMETER_VALUE", f"{name} must be one of {', '.join(PROVIDERS)}")
    return given


_NAMES = ("credential_id", "git_provider", "git_username", "git_email", "name", "principal_id")


def _kept(values: Mapping[str, Any]) -> Json:
    return {name: values[name] for name in (*_NAMES, "personal_access_token") if name in values}


def _shown(values: Mapping[str, Any]) -> Json:
    return {name: values[name] for name in _NAMES if name in values}
