"""Every stored kind, damaged in every way: a verification finds and names it, and what can be rebuilt is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.memory.world import World, succeeded
from shared.domain.seal import seal
from shared.services.state.maintenance import Kind
from tests.faults.living import check_equal, fill, live
from tests.remotes import GitRemote

BLOBS = ("batches/", "plans/", "staging/", "manifests/", "failures/", "notices/")
DAMAGES = ("flipped", "cut", "emptied", "deleted", "swapped")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two runs, one of them partial, so that every kind of blob is there."""
    world = World(tmp_path)
    fill(world, 30)
    world.back_up()
    live(world, 10)
    world.model.apply("mkdir", "ada", path="/Clients/closed")
    world.model.apply("edit", "ada", path="/Clients/etl/job 0", content="# newer\n")
    world.workspace.behaviour.denied.append("/Clients/closed")
    world.remote.person_commits({"etl/job 0.py": b"theirs"})
    world.back_up()
    world.workspace.behaviour.denied.clear()
    return world


def _damage(world: World, name: str, damage: str) -> None:
    data, sealed = world.blobs.stored[name]
    if damage == "deleted":
        del world.blobs.stored[name]
    elif damage == "swapped":
        # With its seal, as a copy of another blob over this one would be.
        world.blobs.stored[name] = (b"{}", seal("another name", [b"{}"]))
    else:
        changed = {"flipped": bytes([data[0] ^ 1]) + data[1:], "cut": data[:-1], "emptied": b""}[damage]
        world.blobs.stored[name] = (changed, sealed)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("prefix", BLOBS)
def test_a_damaged_blob_is_found_and_named(world: World, prefix: str, damage: str) -> None:
    assert world.maintain(Kind.VERIFY)["failures"] == []
    name = list(world.blobs.names(prefix))[-1]
    _damage(world, name, damage)
    proof = world.maintain(Kind.VERIFY)
    assert proof["status"] == "failed"
    assert [f for f in proof["failures"] if name.startswith(f["path"])], proof["failures"]
    assert succeeded(world.back_up())
    assert world.backed_up() == world.notebooks()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_lost_manifest_is_rebuilt_by_itself(world: World, damage: str) -> None:
    _damage(world, str(world.tables.stored[("checkpoints", "backup", "current")][0]["manifest"]), damage)
    proof = world.maintain(Kind.VERIFY)
    assert "rebuild_started" in {n["code"] for n in proof["notices"]}
    assert succeeded(world.back_up())
    check_equal(world)


@pytest.mark.parametrize("field", ["commit", "manifest", "sequence", "notebooks", "deleted"])
def test_a_damaged_checkpoint_is_found_and_rebuilt(world: World, field: str) -> None:
    key = ("checkpoints", "backup", "current")
    row, etag = world.tables.stored[key]
    if field == "deleted":
        del world.tables.stored[key]
    else:
        world.tables.stored[key] = ({**row, field: "0" * 40 if isinstance(row[field], str) else 7}, etag)
    proof = world.maintain(Kind.VERIFY)
    assert {f["code"] for f in proof["failures"]} == {
        "checkpoint_missing" if field == "deleted" else "damaged_checkpoint"
    }
    assert succeeded(world.back_up())
    check_equal(world)


ROWS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any] | None], str]] = {
    "a run's row is gone": ("runs", lambda row: None, "run_missing"),
    "a run's status is nonsense": ("runs", lambda row: {**row, "status": "fine"}, "row_damaged"),
    "a run's count is changed": ("runs", lambda row: {**row, "listed": 1}, "row_damaged"),
    "a batch's row is gone": ("batches", lambda row: None, "row_missing"),
    "a batch's status is nonsense": ("batches", lambda row: {**row, "status": "x"}, "row_damaged"),
    "a batch's count is changed": ("batches", lambda row: {**row, "planned": 1}, "row_damaged"),
}


@pytest.mark.parametrize("what", ROWS)
def test_a_damaged_row_is_found_and_named(world: World, what: str) -> None:
    table, change, code = ROWS[what]
    key = next(k for k in sorted(world.tables.stored) if k[0] == table)
    row, etag = world.tables.stored[key]
    changed = change(dict(row))
    if changed is None:
        del world.tables.stored[key]
    else:
        world.tables.stored[key] = (changed, etag)
    assert code in {f["code"] for f in world.maintain(Kind.VERIFY)["failures"]}


def _git_world(tmp_path: Path) -> tuple[World, GitRemote]:
    remote = GitRemote(tmp_path / "remote.git")
    world = World(tmp_path / "scratch", remote=remote)
    fill(world, 30)
    world.back_up()
    world.process()
    return world, remote


def _objects(folder: Path) -> list[Path]:
    return sorted(f for f in (folder / "objects").rglob("*") if f.is_file() and f.parent.name != "info")


@pytest.mark.parametrize("damage", ["flipped", "cut", "deleted"])
def test_a_damaged_repository_is_found_and_named(tmp_path: Path, damage: str) -> None:
    world, remote = _git_world(tmp_path)
    assert world.maintain(Kind.VERIFY)["failures"] == []
    packs = [f for f in _objects(remote.path) if f.suffix == ".pack"] or _objects(remote.path)
    for file in packs:
        file.chmod(0o644)
        data = file.read_bytes()
        middle = len(data) // 2
        if damage == "deleted":
            file.unlink()
        else:
            file.write_bytes(data[:middle] + (bytes([data[middle] ^ 255]) + data[middle + 1 :]) * (damage == "flipped"))
    world.process()
    proof = world.maintain(Kind.VERIFY)
    assert proof["status"] in ("failed", "stopped")
    assert proof["failures"] or proof["error"]


def test_a_damaged_mirror_is_made_anew(tmp_path: Path) -> None:
    world, _ = _git_world(tmp_path)
    world.maintain(Kind.VERIFY)
    mirror, _reader = sorted((tmp_path / "scratch").glob("mirror-*.git"))[-2:]
    pack = next(f for f in _objects(mirror) if f.suffix == ".pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:-9] + b"\0" * 9)
    proof = world.maintain(Kind.VERIFY)
    assert [n["code"] for n in proof["notices"]] == ["mirror_remade"]
    assert proof["failures"] == []
    assert succeeded(world.back_up())
    check_equal(world)
    shutil.rmtree(mirror)
    check_equal(world)


def test_bytes_that_the_workspace_changed_without_saying_so_are_found(world: World) -> None:
    world.back_up()
    for node in world.model.get("/Clients").notebooks():
        node.content = b"# changed behind the listing\n"
    proof = world.maintain(Kind.VERIFY)
    assert {f["code"] for f in proof["failures"]} == {"workspace_differs"}
    assert len(proof["failures"]) == proof["read_back"] > 0


def test_the_sample_of_as_many_days_as_are_set_covers_every_notebook(world: World) -> None:
    world.back_up()
    sampled = 0
    for _ in range(2):
        sampled += world.maintain(Kind.VERIFY)["sampled"]
        world.clock.sleep(86_400)
    assert sampled == len(world.notebooks())


def test_a_damaged_mirror_of_the_reader_is_made_anew_for_the_proof_of_the_trail(tmp_path: Path) -> None:
    world, _ = _git_world(tmp_path)
    world.maintain(Kind.VERIFY)
    _, reader = sorted((tmp_path / "scratch").glob("mirror-*.git"))[-2:]
    packs = [f for f in _objects(reader) if f.suffix == ".pack"]
    assert packs
    for pack in packs:
        pack.chmod(0o644)
        pack.write_bytes(b"\0" * 64)
    proof = world.maintain(Kind.VERIFY)
    assert (proof["status"], proof["failures"]) == ("passed", [])
