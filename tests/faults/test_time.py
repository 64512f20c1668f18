"""Fourteen days of a living workspace with faults: equal each day, state within its bounds, cost flat."""

from __future__ import annotations

from pathlib import Path

from local.memory.world import World
from tests.faults.calendar import days
from tests.faults.living import check_equal, fill

DAYS = 14
KEPT_DAYS = 9
MOST_RUNS_A_DAY = 4


def test_fourteen_days_with_faults(tmp_path: Path) -> None:
    world = World(tmp_path, seed=14)
    fill(world, 30)
    lived = list(days(world, DAYS))
    assert [d.number for d in lived if not d.equal] == []
    assert [d.proof["failures"] for d in lived if d.proof["failures"]] == []
    assert sum(d.disturbed for d in lived) >= DAYS // 4
    assert world.seen["restart"] >= 1
    for day in lived:
        assert day.kept["messages"] == 0
        for kind in ("staging", "plans"):
            assert day.kept[kind] <= KEPT_DAYS * MOST_RUNS_A_DAY
    calm = [d.calls for d in lived if not d.disturbed and d.number]
    assert max(calm) <= 2 * min(calm), "a daily run grew dearer"
    check_equal(world)
