"""A world's past, day by day, and restores in it as the host carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError

from local.faults.crash_points import Crash
from local.memory.world import Notebooks, World
from shared.domain.restore_request import RestoreBody
from shared.errors import BackupError
from tests.faults.living import fill, live

MOST_STEPS = 60


@dataclass(frozen=True)
class Day:
    """What the workspace held when a backup was made, and the commit that the backup left."""

    commit: str
    notebooks: Notebooks


def lived(world: World, days: int, count: int = 10) -> list[Day]:
    """Some days of a living workspace, each backed up."""
    fill(world)
    found = []
    for _ in range(days):
        world.back_up()
        found.append(Day(world.app.history.moment("latest").commit, world.notebooks()))
        world.clock.sleep(86_400)
        live(world, count)
    return found


def restore(world: World, **body: Any) -> dict[str, Any]:
    """A restore from its request to its end, by as many processes as it takes."""
    started = world.app.restores.start(RestoreBody.model_validate(body), "ada", "10.0.0.1")
    return finish(world, str(started["id"]))


def undo(world: World, restore_id: str, *, force: bool = False) -> dict[str, Any]:
    """The undoing of a restore, to its end."""
    started = world.app.restores.undo(restore_id, dry_run=False, force=force, who="ada", origin="")
    return finish(world, str(started["id"]))


def finish(world: World, restore_id: str) -> dict[str, Any]:
    """Step after step, each in a new process where the one before died."""
    for _ in range(MOST_STEPS):
        try:
            if world.app.restores.step(restore_id):
                return world.app.restores.get(restore_id, limit=1_000)
        except Crash:
            world.restart()
            world.clock.sleep(60)
        except AzureError:
            # The orchestration retries whatever an activity raises.
            world.clock.sleep(60)
        except BackupError as error:
            assert error.retriable, error
            world.clock.sleep(60)
    raise AssertionError(f"the restore {restore_id} does not end")


def at_once(world: World, **body: Any) -> dict[str, Any]:
    """What the caller is answered, finished or not."""
    answer: dict[str, Any] = world.app.restores.start(RestoreBody.model_validate(body), "ada", "")
    return answer


def outcome_of(found: dict[str, Any]) -> tuple[str, str | None]:
    """What came of the only notebook of a restore, and why."""
    (item,) = found["items"]
    return item["outcome"], item["reason"]
