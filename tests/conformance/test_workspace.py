"""What a workspace promises, kept by the REST adapter over HTTP and by the one in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.memory.workspace import MemoryWorkspace
from local.workspace.model import WorkspaceModel
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import SystemClock
from shared.domain.notebooks import ExportFormat, Language, ObjectType
from shared.errors import NotFound, PermissionDenied, TooLarge, WorkspaceError
from shared.protocols import Workspace
from tests.servers import TOKEN

SOURCE = "# Databricks notebook source\nprint(1)\n"


@dataclass
class Served:
    """One implementation, with what people do in the workspace."""

    workspace: Workspace
    edit: Callable[..., Any]
    deny: Callable[[str], Any]


@pytest.fixture(params=["memory", "http"])
def served(request: pytest.FixtureRequest) -> Served:
    if request.param == "memory":
        held = MemoryWorkspace(WorkspaceModel())
        found = Served(held, lambda op, **f: held.model.apply(op, "ada", **f), held.behaviour.denied.append)
    else:
        server = request.getfixturevalue("serve")("local.workspace", "--notebooks", "0")
        clock = SystemClock()
        adapter = DatabricksWorkspace(server.url, lambda: TOKEN, AdaptiveLimiter(clock), clock)

        def edit(op: str, **fields: Any) -> None:
            server.control("edits", {"user": "ada", "actions": [{"action": op, **fields}]})

        found = Served(adapter, edit, lambda path: server.control("behaviour", {"denied": [path]}))
    found.edit("mkdir", path="/Clients/a b/ü")
    found.edit("mkdir", path="/Clients/empty")
    found.edit("create", path="/Clients/a b/n%1?x", language="PYTHON", content=SOURCE)
    found.edit("create", path="/Clients/a b/ü/deep", language="SQL", content="-- Databricks notebook source\n")
    return found


def test_a_folder_lists_its_direct_children(served: Served) -> None:
    rows = {o.path: (o.object_type, o.language) for o in served.workspace.list("/Clients/a b")}
    assert rows == {
        "/Clients/a b/n%1?x": (ObjectType.NOTEBOOK, Language.PYTHON),
        "/Clients/a b/ü": (ObjectType.DIRECTORY, None),
    }
    assert served.workspace.list("/Clients/empty") == []
    assert served.workspace.list("/Clients/a b/n%1?x") == []


def test_an_edit_shows_in_the_status_and_keeps_the_object_id(served: Served) -> None:
    before = served.workspace.status("/Clients/a b/n%1?x")
    served.edit("edit", path="/Clients/a b/n%1?x", content=SOURCE + "2\n")
    after = served.workspace.status("/Clients/a b/n%1?x")
    assert after.object_id == before.object_id
    assert after.modified_at > before.modified_at
    assert served.workspace.export("/Clients/a b/n%1?x", ExportFormat.SOURCE) == (SOURCE + "2\n").encode()


def test_a_folder_comes_as_a_zip(served: Served, tmp_path: Path) -> None:
    served.workspace.export_folder("/Clients/a b", tmp_path / "z")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "z").read_bytes())) as archive:
        assert {n.removeprefix("a b/") for n in archive.namelist()} == {"n%1?x.py", "ü/deep.sql"}


def test_what_is_imported_is_exported(served: Served) -> None:
    data = "// Databricks notebook source\nval x = 'ü'\r\n".encode()
    served.workspace.import_notebook("/Clients/new", data, Language.SCALA, ExportFormat.SOURCE)
    assert served.workspace.export("/Clients/new", ExportFormat.SOURCE) == data
    assert served.workspace.status("/Clients/new").language is Language.SCALA


def test_a_folder_is_made_with_those_above_it_and_a_notebook_is_removed_alone(served: Served) -> None:
    for _ in range(2):
        served.workspace.make_folder("/Clients/x/y z/%")
    served.workspace.import_notebook("/Clients/x/y z/%/n", b"#", Language.PYTHON, ExportFormat.SOURCE)
    with pytest.raises(WorkspaceError):
        served.workspace.delete_notebook("/Clients/x/y z")
    served.workspace.delete_notebook("/Clients/x/y z/%/n")
    assert served.workspace.list("/Clients/x/y z/%") == []
    with pytest.raises(NotFound):
        served.workspace.delete_notebook("/Clients/x/y z/%/n")


def test_jupyter_that_is_imported_is_exported_as_jupyter_again(served: Served) -> None:
    data = served.workspace.export("/Clients/a b/n%1?x", ExportFormat.JUPYTER)
    served.workspace.import_notebook("/Clients/copy", data, Language.PYTHON, ExportFormat.JUPYTER)
    assert served.workspace.export("/Clients/copy", ExportFormat.JUPYTER) == data
    assert served.workspace.status("/Clients/copy").language is Language.PYTHON


def test_too_large_for_source_comes_as_jupyter(served: Served, tmp_path: Path) -> None:
    served.edit("create", path="/Clients/big", language="PYTHON", content="#" * 10_485_761)
    with pytest.raises(TooLarge):
        served.workspace.export("/Clients/big", ExportFormat.SOURCE)
    with pytest.raises(TooLarge):
        served.workspace.export_folder("/Clients", tmp_path / "z")
    assert served.workspace.export("/Clients/big", ExportFormat.JUPYTER).startswith(b"{")


def test_what_is_not_there_or_denied_is_named(served: Served) -> None:
    for call in (served.workspace.list, served.workspace.status):
        with pytest.raises(NotFound, match="/Clients/nobody"):
            call("/Clients/nobody")
    with pytest.raises(NotFound):
        served.workspace.export("/Clients/nobody", ExportFormat.SOURCE)
    with pytest.raises(WorkspaceError):
        served.workspace.import_notebook("/Clients/no/parent", b"#", Language.PYTHON, ExportFormat.SOURCE)
    served.deny("/Clients/a b")
    with pytest.raises(PermissionDenied, match="CAN READ"):
        served.workspace.list("/Clients/a b")
