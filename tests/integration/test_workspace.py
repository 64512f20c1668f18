"""The workspace adapter and the vendor's own clients against the simulated workspace."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlparse

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError
from databricks.sdk.errors import NotFound as SdkNotFound
from databricks.sdk.errors import ResourceAlreadyExists as SdkAlreadyExists
from databricks.sdk.service.workspace import ExportFormat as SdkFormat
from databricks.sdk.service.workspace import ImportFormat, RepoAccessControlRequest, RepoPermissionLevel
from databricks.sdk.service.workspace import Language as SdkLanguage

from local.git_server import REPOSITORY, person_commits
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import SystemClock
from shared.domain.notebooks import ExportFormat, Language, ObjectType
from shared.errors import NotFound, PermissionDenied, TooLarge, WorkspaceUnavailable
from tests.servers import TOKEN, Serve, Served


class NoWait(SystemClock):
    """The machine's clock, but nobody waits for a back-off."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.002))


def _adapter(served: Served, token: str = TOKEN) -> DatabricksWorkspace:
    clock = NoWait()
    return DatabricksWorkspace(served.url, lambda: token, AdaptiveLimiter(clock, start_per_second=1000), clock)


@pytest.fixture
def workspace(serve: Serve) -> Served:
    return serve("local.workspace", "--notebooks", "120", "--folders", "9")


def _truth(workspace: Served) -> dict[str, dict[str, object]]:
    return {r["path"]: r for r in map(json.loads, workspace.control("truth").text.splitlines())}


def test_the_adapter_lists_and_exports_what_the_workspace_has(workspace: Served) -> None:
    adapter, truth = _adapter(workspace), _truth(workspace)
    waiting, found = ["/Clients"], {}
    while waiting:
        for child in adapter.list(waiting.pop()):
            if child.object_type.holds_children:
                waiting.append(child.path)
            elif child.object_type is ObjectType.NOTEBOOK:
                found[child.path] = child
    assert found.keys() == truth.keys()
    small = [p for p, row in truth.items() if int(str(row["size"])) < 100_000]
    for path in small[:40]:
        data = adapter.export(path, ExportFormat.SOURCE)
        assert hashlib.sha256(data).hexdigest() == truth[path]["sha256"]


@pytest.mark.parametrize("kind", ["429", "500", "503", "504", "close", "cut_body", "error_200"])
@pytest.mark.parametrize("endpoint", ["workspace/list", "workspace/export"])
def test_a_passing_fault_is_outlived(workspace: Served, kind: str, endpoint: str) -> None:
    path = next(p for p, row in _truth(workspace).items() if int(str(row["size"])) < 100_000)
    workspace.control("behaviour", {"faults": [{"kind": kind, "endpoint": endpoint, "times": 2}]})
    adapter = _adapter(workspace)
    if endpoint == "workspace/list":
        assert len(adapter.list("/Clients")) > 0
    else:
        data = adapter.export(path, ExportFormat.SOURCE)
        assert hashlib.sha256(data).hexdigest() == _truth(workspace)[path]["sha256"]
    assert workspace.control("stats").json()["faults"] == {kind: 2}


@pytest.mark.parametrize("kind", ["503", "close", "cut_body", "error_200"])
def test_a_fault_that_stays_is_an_error_and_never_an_empty_folder(workspace: Served, kind: str) -> None:
    workspace.control("behaviour", {"faults": [{"kind": kind}]})
    with pytest.raises(WorkspaceUnavailable, match="/Clients"):
        _adapter(workspace).list("/Clients")


@pytest.mark.parametrize("style", ["plain", "retry_after", "empty_body"])
def test_throttling_is_outlived_in_each_of_its_shapes(workspace: Served, style: str) -> None:
    workspace.control("behaviour", {"throttle_style": style, "faults": [{"kind": "429", "times": 9}]})
    assert len(_adapter(workspace).list("/Clients")) > 0
    assert workspace.control("stats").json()["refused"] == 9


def test_permanent_errors_are_told_apart(workspace: Served) -> None:
    adapter = _adapter(workspace)
    workspace.control("behaviour", {"denied": ["/Clients/client_0001"]})
    with pytest.raises(NotFound, match="/Clients/none"):
        adapter.list("/Clients/none")
    with pytest.raises(PermissionDenied, match="CAN READ"):
        adapter.list("/Clients/client_0001")
    with pytest.raises(PermissionDenied):
        _adapter(workspace, token="wrong").list("/Clients")


def test_an_oversize_notebook_is_too_large_as_source_and_comes_as_jupyter(workspace: Served) -> None:
    path = max(_truth(workspace).values(), key=lambda row: int(str(row["size"])))["path"]
    adapter = _adapter(workspace)
    with pytest.raises(TooLarge):
        adapter.export(str(path), ExportFormat.SOURCE)
    assert json.loads(adapter.export(str(path), ExportFormat.JUPYTER))["nbformat"] == 4


@pytest.mark.parametrize(("style", "prefix"), [("named", "client_0001/"), ("bare", "")])
def test_a_folder_comes_as_a_zip(workspace: Served, tmp_path: Path, style: str, prefix: str) -> None:
    workspace.control("behaviour", {"zip_style": style})
    folder = sorted({p.rpartition("/")[0] for p in _truth(workspace) if "/client_0001/" in p})[-1]
    _adapter(workspace).export_folder(folder, tmp_path / "folder.zip")
    with zipfile.ZipFile(tmp_path / "folder.zip") as archive:
        expected = {p for p in _truth(workspace) if p.startswith(f"{folder}/")}
        assert len(archive.namelist()) == len(expected) > 0
        own = folder.rpartition("/")[2] + "/"
        assert all(n.startswith(own) == (style == "named") for n in archive.namelist()), prefix


def test_an_imported_notebook_comes_back_and_survives_a_restart(workspace: Served, serve: Serve) -> None:
    _adapter(workspace).import_notebook(
        "/Clients/new", b"-- Databricks notebook source\n", Language.SQL, ExportFormat.SOURCE
    )
    workspace.process.kill()
    again = serve("local.workspace", folder=workspace.folder)
    assert _adapter(again).export("/Clients/new", ExportFormat.SOURCE) == b"-- Databricks notebook source\n"


def test_databricks_sdk_runs_unchanged(workspace: Served) -> None:
    client = WorkspaceClient(host=workspace.url, token=TOKEN)
    client.workspace.mkdirs("/Clients/sdk")
    content = base64.b64encode(b"# Databricks notebook source\n1\n").decode()
    client.workspace.import_(
        "/Clients/sdk/nb", content=content, format=ImportFormat.SOURCE, language=SdkLanguage.PYTHON
    )
    assert [o.path for o in client.workspace.list("/Clients/sdk")] == ["/Clients/sdk/nb"]
    exported = client.workspace.export("/Clients/sdk/nb", format=SdkFormat.SOURCE).content
    assert exported == content
    client.workspace.delete("/Clients/sdk", recursive=True)
    with pytest.raises(SdkNotFound):
        client.workspace.get_status("/Clients/sdk")


def test_databricks_cli_exports_the_tree_unchanged(workspace: Served, tmp_path: Path) -> None:
    folder = sorted({p.rpartition("/")[0] for p in _truth(workspace) if "/client_0001/" in p})[-1]
    environment = {
        **os.environ,
        "DATABRICKS_HOST": "http://workspace.test",
        "DATABRICKS_TOKEN": TOKEN,
        "http_proxy": f"http://{urlparse(workspace.url).netloc}",
    }
    command = [
        str(Path(sys.executable).with_name("databricks")),
        "workspace",
        "export_dir",
        folder,
        str(tmp_path / "o"),
    ]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    expected = {row["sha256"] for p, row in _truth(workspace).items() if p.startswith(f"{folder}/")}
    assert {hashlib.sha256(f.read_bytes()).hexdigest() for f in (tmp_path / "o").rglob("*.*")} == expected


def test_edits_by_people_are_rows_of_the_audit_table(workspace: Served) -> None:
    path = next(iter(_truth(workspace)))
    workspace.control("edits", {"user": "ada@example.com", "actions": [{"action": "edit", "path": path}]})
    body = {"warehouse_id": "w", "statement": "SELECT * FROM system.access.audit"}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.post(f"{workspace.url}/api/2.0/sql/statements", json=body, headers=headers, timeout=10).json()
    names = [c["name"] for c in answer["manifest"]["schema"]["columns"]]
    row = dict(zip(names, answer["result"]["data_array"][-1], strict=True))
    assert (row["user_email"], row["action_name"]) == ("ada@example.com", "modifyNotebook")
    assert json.loads(row["request_params"])["path"] == path


def test_the_vendors_sdk_manages_git_folders_and_credentials(workspace: Served, serve: Serve) -> None:
    client = WorkspaceClient(host=workspace.url, token=TOKEN)
    credential = client.git_credentials.create("azureDevOpsServices", git_username="ada", personal_access_token=TOKEN)
    assert [c.git_username for c in client.git_credentials.list()] == ["ada"]
    client.workspace.mkdirs("/Clients/git")
    served = serve("local.git_server")
    repository = served.folder / REPOSITORY
    person_commits(repository, "main", {"etl/load.py": "# Databricks notebook source\n1\n", "a.txt": "a"}, "ada")
    subprocess.run(["git", "-C", str(repository), "branch", "acme", "main"], check=True)
    url, path = f"{served.url}/{REPOSITORY}", "/Clients/git/acme"
    repo = client.repos.create(url, "azureDevOpsServices", path=path)
    assert [str(o.object_type) for o in client.workspace.list("/Clients/git")] == ["ObjectType.REPO"]
    with pytest.raises(SdkAlreadyExists):
        client.repos.create(url, "azureDevOpsServices", path=path)
    assert repo.id and credential.credential_id
    listed = {str(o.path): str(o.object_type) for o in client.workspace.list(path, recursive=True)}
    assert listed == {f"{path}/etl/load": "ObjectType.NOTEBOOK", f"{path}/a.txt": "ObjectType.FILE"}
    with pytest.raises(DatabricksError):
        client.repos.update(repo.id, branch="none")
    levels = [RepoAccessControlRequest(group_name="acme", permission_level=RepoPermissionLevel.CAN_EDIT)]
    client.repos.set_permissions(str(repo.id), access_control_list=levels)
    told = client.repos.get_permissions(str(repo.id)).access_control_list or []
    assert [a.group_name for a in told for p in a.all_permissions or [] if not p.inherited] == ["acme"]
    workspace.control("limits", {"notebooks": 0})
    with pytest.raises(DatabricksError):
        client.repos.create(url, "azureDevOpsServices", path="/Clients/git/other")
    workspace.control("limits", {"notebooks": 5})
    client.repos.update(repo.id, branch="acme")
    assert [(r.path, r.branch) for r in client.repos.list(path_prefix="/Clients")] == [(path, "acme")]
    client.repos.delete(repo.id)
    client.git_credentials.delete(credential.credential_id)
    assert not list(client.repos.list()) and not list(client.git_credentials.list())
    assert not list(client.workspace.list("/Clients/git"))


def test_audit_rows_come_in_chunks_to_the_vendors_sdk(workspace: Served) -> None:
    edits = [{"action": "edit", "path": path} for path in list(_truth(workspace))[:60]] * 40
    workspace.control("edits", {"user": "grace@example.com", "actions": edits})
    statements = WorkspaceClient(host=workspace.url, token=TOKEN).statement_execution
    answer = statements.execute_statement("SELECT * FROM system.access.audit", "warehouse")
    chunk, rows = answer.result, []
    while chunk:
        rows += chunk.data_array or []
        more = chunk.next_chunk_index
        chunk = statements.get_statement_result_chunk_n(str(answer.statement_id), more) if more else None
    assert len(rows) == len(edits) == len({row[5] for row in rows}) > 2000
