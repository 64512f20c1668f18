"""Worlds with folders to make Git folders of, and operations carried out as the host does."""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import AzureError

from local.faults.crash_points import Crash
from local.faults.taps import Call, QuietTap
from local.memory.world import World
from local.workspace.content import first_line
from shared.errors import BackupError
from shared.services.git_folders.operations import OperationKind, Request

CLIENTS = ("acme", "bolt", "cato")
LANGUAGES = ("PYTHON", "SQL", "SCALA", "R")
MOST_STEPS = 400


def text(language: str, body: str) -> str:
    """A notebook's source."""
    return f"{first_line(language)}\n{body}\n"


def write(world: World, path: str, body: str, language: str = "PYTHON") -> None:
    """A person writes a notebook; its folder is made."""
    world.clock.sleep(1)
    op = "edit" if world.model.find(path) else "create"
    world.model.apply("mkdir", "ada", path=path.rpartition("/")[0])
    world.model.apply(op, "ada", path=path, language=language, content=text(language, body))


def clients(world: World, names: tuple[str, ...] = CLIENTS) -> None:
    """A few clients, each with three folders, one of them empty, and permissions of their own."""
    for client in names:
        for number in range(8):
            folder = ("", "/etl", "/etl/daily")[number % 3]
            write(world, f"/Clients/{client}{folder}/job_{number}", f"# {number}", LANGUAGES[number % 4])
        world.model.apply("mkdir", "ada", path=f"/Clients/{client}/empty")
        grants = [["group_name", client, "CAN_EDIT"], ["user_name", "ada@example.com", "CAN_MANAGE"]]
        world.model.apply("grant", "ada", path=f"/Clients/{client}", grants=grants)


def small_limits(world: World, notebooks: int = 10) -> None:
    """Have the workspace refuse, and the app plan for, small Git folders; the default branch is a small one."""
    world.endpoints.limits["notebooks"] = notebooks
    world.settings["git_folder_notebooks"] = notebooks
    world.process()
    operate(world, OperationKind.PLAN)
    remote: Any = world.remote
    remote.default_branch = "folders/%home"


def operate(world: World, kind: OperationKind, *folders: str, accept_losses: bool = False) -> dict[str, Any]:
    """An operation from its request to its end; all folders where none is named."""
    request = Request(kind, folders, not folders and kind is not OperationKind.PLAN, accept_losses, "ada", "10.0.0.1")
    return finish(world, str(world.app.git_folders.start(request)["id"]))


def finish(world: World, identity: str) -> dict[str, Any]:
    """Step after step, each in a new process where the one before died; a backup that is asked for is made."""
    for _ in range(MOST_STEPS):
        try:
            if world.app.git_folders.step(identity):
                return world.app.git_folders.get(identity)
            world.settle()
        except Crash:
            world.restart()
            world.clock.sleep(60)
        except AzureError:
            world.clock.sleep(60)
        except BackupError as error:
            assert error.retriable, error
            world.clock.sleep(60)
    raise AssertionError(f"the operation {identity} does not end")


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    """What became of each folder."""
    return {row["path"]: row["outcome"] for row in found["outcomes"]}


def state(world: World) -> dict[str, Any]:
    """What users see: every object with its kind and content, and the permissions of each notebook."""
    found: dict[str, Any] = {}
    waiting = [world.model.get("/Clients")]
    while waiting:
        node = waiting.pop()
        for child in (node.children or {}).values():
            kind = "DIRECTORY" if child.kind == "REPO" else child.kind
            content = child.source() if child.kind == "NOTEBOOK" else child.content
            found[child.path] = (kind, child.language, content, grants(world, child.path))
            waiting.append(child)
    return found


def grants(world: World, path: str) -> set[tuple[str, str, str]]:
    """What an object allows by itself and by what is above it, the backup's own right left out."""
    node, found = world.model.get(path), set()
    while node is not None:
        found |= {(kind, name, level) for (kind, name), level in node.grants.items() if not name.startswith("backup@")}
        node = node.parent  # type: ignore[assignment]
    return found


class Editor(QuietTap):
    """A person who does something before, or after, a call."""

    def __init__(self, when: str, call: str, act: Any) -> None:
        self._when, self._call, self._act, self.acted = when, call, act, False

    def meet(self, when: str, call: Call) -> None:
        if not self.acted and when == self._when and str(call).startswith(self._call):
            self.acted = True
            self._act()
