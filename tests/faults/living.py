"""A workspace that people work in: what they do, drawn at random, and what must hold after a backup."""

from __future__ import annotations

import random
from typing import Any

from local.memory.world import ROOT, World
from local.workspace.model import ApiError
from shared.services.state.maintenance import Kind

PEOPLE = ("ada", "grace", "linus")
LANGUAGES = ("PYTHON", "SQL", "SCALA", "R")
NAMES = ("load", "Load", "x", "x.py", ".git", "con", "a:b", "é", "é", "dot.", "100%", "🚀", "n" * 240)
FOLDERS = ("", "/etl", "/etl/daily", "/Reports", "/x.py", "/reports")


def fill(world: World, count: int = 12) -> None:
    """A few folders with notebooks in every language."""
    for folder in FOLDERS[1:]:
        world.model.apply("mkdir", "ada", path=ROOT + folder)
    for n in range(count):
        folder = FOLDERS[1 + n % (len(FOLDERS) - 1)]
        act(world, "create", path=f"{ROOT}{folder}/job {n}", language=LANGUAGES[n % 4], content=f"# {n}\n")


def act(world: World, op: str, **fields: Any) -> bool:
    """One operation by somebody; whether the workspace took it."""
    try:
        world.model.apply(op, world.draw.choice(PEOPLE), **fields)
    except ApiError:
        return False
    return True


def live(world: World, count: int) -> None:
    """`count` operations, drawn from the world's own randomness."""
    draw = world.draw
    for n in range(count):
        paths = sorted(path for path, _ in world.notebooks())
        path = draw.choice(paths) if paths else f"{ROOT}/none"
        world.clock.sleep(draw.random() * 30)
        new = f"{ROOT}{draw.choice(FOLDERS)}/{draw.choice(NAMES)}"
        text = f"# {n} {draw.random()}\n"
        op = draw.choice(("edit", "edit", "edit", "create", "create", "move", "delete", "again", "set_language"))
        if op == "again":
            act(world, "delete", path=path)
            act(world, "create", path=path, language=draw.choice(LANGUAGES), content=text)
        elif op == "move":
            act(world, op, path=path, to=new)
        elif op == "create":
            act(world, op, path=new, language=draw.choice(LANGUAGES), content=text)
        else:
            act(world, op, path=path, language=draw.choice(LANGUAGES), content=text)


def person_pushes(world: World, draw: random.Random) -> None:
    """A commit by a person: an edit or deletion of a notebook's file, or a file of their own."""
    files = sorted(world.remote.contents())
    chosen: dict[str, bytes | None] = {f"docs/{draw.randrange(3)}.md": b"theirs"}
    if files and draw.random() < 0.7:
        chosen[draw.choice(files)] = draw.choice([None, b"edited on the branch"])
    world.remote.person_commits({f: d for f, d in chosen.items() if f != ".gitattributes"})


def check_equal(world: World) -> None:
    """The branch holds exactly the workspace, the record says so, and a verification agrees."""
    assert world.backed_up() == world.notebooks()
    row = world.tables.get("checkpoints", "backup", "current")
    if row is None:
        assert not world.notebooks()
        return
    assert row.row["commit"] in world.remote.messages()
    proof = world.maintain(Kind.VERIFY)
    assert (proof["status"], proof["failures"]) == ("passed", [])
    assert proof["files"] == len(world.notebooks())
