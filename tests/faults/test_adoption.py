"""A backup that begins on imported copies: their history is its own, and nothing is removed without proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.memory.world import ROOT, World, succeeded
from shared.domain.versions import VersionKind
from shared.services.state.maintenance import Kind
from tests.copies import importing, write_copy
from tests.faults.living import check_equal, fill

EXTENSION = {"PYTHON": "py", "SQL": "sql", "SCALA": "scala", "R": "r"}


def _copy(world: World, volume: Path, name: str) -> dict[str, str | bytes]:
    """A copy of the workspace as it is, as SOURCE."""
    files: dict[str, str | bytes] = {
        f"{path.removeprefix(f'{ROOT}/')}.{EXTENSION[language]}": data
        for (path, language), data in world.notebooks().items()
    }
    write_copy(volume, name, files)
    return files


def _import(world: World, volume: Path, tmp_path: Path) -> None:
    importing(volume, world.remote.mirror(tmp_path), world.clock, as_root=True, headerless=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "scratch", seed=8)
    fill(world)
    return world


def _live_on(world: World, volume: Path) -> None:
    _copy(world, volume, "2024-01-01")
    world.model.apply("edit", "ada", path=f"{ROOT}/etl/job 0", content="# edited\n")
    world.model.apply("delete", "ada", path=f"{ROOT}/etl/job 5")
    world.model.apply("create", "ada", path=f"{ROOT}/etl/new", language="SQL", content="# new\n")
    _copy(world, volume, "2024-02-01")
    world.model.apply("delete", "ada", path=f"{ROOT}/etl/new")
    world.model.apply("create", "ada", path=f"{ROOT}/etl/newest", content="# newest\n")


def test_the_backup_goes_on_from_the_copies_and_their_history_is_told(world: World, tmp_path: Path) -> None:
    _live_on(world, tmp_path / "volume")
    _import(world, tmp_path / "volume", tmp_path)
    imported = world.remote.head
    run = world.back_up()
    assert succeeded(run), run["failures"]
    assert [n["code"] for n in run["notices"]] == ["history_adopted"]
    assert run["counts"]["deleted"] == 1
    check_equal(world)
    assert imported in world.remote.messages()
    history = world.app.history
    assert history.moment("2024-01-15").message.startswith("Import the full copy of 2024-01-01")
    told = [(v.version.kind, v.commit.committed_at) for v in history.versions(f"{ROOT}/etl/job 0")]
    assert [kind for kind, _ in told] == [VersionKind.CHANGED, VersionKind.CREATED]
    assert told[1][1] == 1_704_067_200_000
    assert [v.version.kind for v in history.versions(f"{ROOT}/etl/new")] == [VersionKind.DELETED, VersionKind.CREATED]
    assert history.version(f"{ROOT}/etl/job 5", "2024-01-20").version.blob in world.remote.blobs  # type: ignore[attr-defined]
    again = world.back_up()
    assert (succeeded(again), again["planned"], again["commit"]) == (True, 0, None)


def test_a_folder_that_cannot_be_listed_keeps_its_imported_notebooks(world: World, tmp_path: Path) -> None:
    _copy(world, tmp_path / "volume", "2024-01-01")
    _import(world, tmp_path / "volume", tmp_path)
    before = world.backed_up()
    world.workspace.behaviour.denied = [f"{ROOT}/etl"]
    run = world.back_up()
    assert run["status"] == "partial"
    assert world.backed_up() == before


@pytest.mark.parametrize(
    "point",
    [
        CrashPoint("after", r"blobs\.put\(manifests/"),
        CrashPoint("after", r"tables\.insert\(checkpoints, backup, current"),
        CrashPoint("before", r"blobs\.create\(plans/"),
    ],
    ids=lambda p: p.call,
)
def test_a_process_that_dies_while_it_takes_over_is_followed_by_one_that_finishes(
    world: World, tmp_path: Path, point: CrashPoint
) -> None:
    _live_on(world, tmp_path / "volume")
    _import(world, tmp_path / "volume", tmp_path)
    tap = CrashTap(point, play_dead)
    world.process(tap)
    run = world.back_up()
    assert tap.dead
    assert succeeded(run)
    assert world.early_checkpoints == []
    check_equal(world)


def test_a_branch_of_people_alone_is_no_history_to_take_over(world: World) -> None:
    world.remote.person_commits({"README.md": b"theirs", "etl/job 0.py": b"theirs"})
    run = world.back_up()
    assert succeeded(run)
    assert "history_adopted" not in [n["code"] for n in run["notices"]]
    assert world.maintain(Kind.VERIFY)["status"] == "passed"
