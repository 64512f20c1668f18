"""A process that dies at any named point: the next one finishes the work, nothing lost, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.faults.crash_points import CRASH_POINTS, CrashTap, play_dead
from local.memory.world import World, succeeded
from tests.faults.living import check_equal, fill, live


@pytest.mark.parametrize("first", [True, False], ids=["first run", "daily run"])
@pytest.mark.parametrize("name", CRASH_POINTS)
def test_a_played_process_dies_and_the_next_one_finishes(tmp_path: Path, name: str, first: bool) -> None:
    world = World(tmp_path, seed=len(name))
    fill(world)
    if first:
        world.workspace.behaviour.zip_style = "never"
    else:
        world.back_up()
        live(world, 12)
    tap = CrashTap(CRASH_POINTS[name], play_dead)
    world.process(tap)
    world.back_up()
    assert tap.dead, "the point was never reached"
    assert world.seen["restart"] >= 1
    assert world.early_checkpoints == [], "a checkpoint named what the remote did not hold"
    check_equal(world)
    assert world.remote.unchanged() == []
    again = world.back_up()
    assert (succeeded(again), again["planned"], again["commit"]) == (True, 0, None)
