"""Tags over months: made after the first full backup and once a month, whatever fails or dies around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.faults.taps import Call, QuietTap
from local.memory.world import World
from shared.domain.audit import AuditAction
from shared.domain.tags import FIRST
from shared.errors import RepositoryError
from shared.services.audit.trail import AuditTrail
from shared.services.recovery.history import UnknownMoment
from shared.services.recovery.tags import TagTaken
from tests.faults.living import fill

DAY_SECONDS = 86_400


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    fill(made)
    return made


def _day(world: World, number: int = 0) -> str:
    """A month later, something is edited and backed up; returns the commit."""
    world.clock.sleep(31 * DAY_SECONDS)
    (path, _), *_ = sorted(world.notebooks())
    world.model.apply("edit", "ada", path=path, language="PYTHON", content=f"# month {number}")
    return str(world.back_up()["commit"])


def _tags(world: World) -> dict[str, str]:
    return {tag["name"]: tag["commit"] for tag in world.app.tags.overview()["tags"]}


def _acts(world: World, action: AuditAction) -> list[str]:
    trail = AuditTrail(world.tables, world.clock)
    return [r.object for r in trail.records() if r.action == action]


def test_the_first_full_backup_and_each_month_have_a_tag(world: World) -> None:
    first = str(world.back_up()["commit"])
    month = f"backup/{world.clock.now():%Y-%m}"
    assert _tags(world) == {FIRST: first, month: first}
    world.back_up()
    assert len(_tags(world)) == 2
    later = _day(world)
    assert _tags(world) == {FIRST: first, month: first, f"backup/{world.clock.now():%Y-%m}": later}
    assert _acts(world, AuditAction.TAG_CREATED) == list(dict.fromkeys([FIRST, *sorted(_tags(world))[:-1]]))


def test_a_run_that_left_something_out_has_none(world: World) -> None:
    world.workspace.behaviour.denied = ["/Clients/etl"]
    assert world.back_up()["status"] == "partial"
    assert _tags(world) == {}
    world.workspace.behaviour.denied = []
    commit = str(world.back_up()["commit"])
    assert _tags(world)[FIRST] == commit


def test_a_backup_that_is_older_than_its_tags_has_the_first_where_it_was(world: World) -> None:
    first = str(world.back_up()["commit"])
    _day(world)
    world.remote.tags.clear()  # type: ignore[attr-defined]
    world.tables.delete("checkpoints", "tags", "made")
    _day(world, 2)
    assert _tags(world)[FIRST] == first


def test_lost_storage_makes_no_second_one(world: World) -> None:
    world.back_up()
    before = dict(world.remote.tags)  # type: ignore[attr-defined]
    world.tables.delete("checkpoints", "tags", "made")
    world.back_up()
    assert world.remote.tags == before  # type: ignore[attr-defined]


@pytest.mark.parametrize("call", ["tags.commits", "tags.create"])
def test_what_cannot_be_made_is_said_and_made_after_the_next_run(world: World, call: str) -> None:
    class Refusing(QuietTap):
        def before(self, made: Call) -> None:
            if str(made).startswith(call):
                raise RepositoryError(action="push a tag", detail="403: CreateTag is denied")

    world.process(Refusing())
    assert world.back_up()["status"] == "succeeded"
    world.process()
    assert "CreateTag" in world.app.tags.overview()["error"]
    assert _tags(world) == {}
    world.back_up()
    assert (len(_tags(world)), world.app.tags.overview()["error"]) == (2, None)


@pytest.mark.parametrize(
    "point",
    [
        CrashPoint("before", r"tags\.commits"),
        CrashPoint("before", r"tags\.create\(backup/first-sync"),
        CrashPoint("after", r"tags\.create\(backup/first-sync"),
        CrashPoint("after", r"tags\.create\(backup/2"),
        CrashPoint("before", r"tables\.upsert\(checkpoints, tags"),
        CrashPoint("after", r"tables\.upsert\(checkpoints, tags"),
    ],
    ids=str,
)
def test_a_process_that_dies_leaves_each_tag_once_and_recorded(world: World, point: CrashPoint) -> None:
    tap = CrashTap(point, play_dead)
    world.process(tap)
    commit = str(world.back_up()["commit"])
    assert tap.dead
    world.clock.sleep(600)
    world.look_around()
    assert set(_tags(world).values()) == {commit}
    assert len(_tags(world)) == 2
    assert sorted(_acts(world, AuditAction.TAG_CREATED)) == sorted(_tags(world))


def test_monthly_ones_go_after_their_time_and_others_stay(tmp_path: Path) -> None:
    world = World(tmp_path, tag_retention_months=2)
    fill(world)
    first = str(world.back_up()["commit"])
    world.app.tags.create("backup-of-ours", first, "kept", "ada", "")
    months = [f"backup/{world.clock.now():%Y-%m}"]
    for number in range(4):
        _day(world, number)
        months.append(f"backup/{world.clock.now():%Y-%m}")
    assert sorted(_tags(world)) == sorted([FIRST, "backup-of-ours", *months[-3:]])
    assert _acts(world, AuditAction.TAG_DELETED) == months[:2]


def test_a_tag_that_is_asked_for_marks_the_moment_and_restores_it(world: World) -> None:
    first = str(world.back_up()["commit"])
    second = _day(world)
    made = world.app.tags.create("before/migration", first, "Before it", "ada@example.com", "10.0.0.1")
    assert (made["commit"], made["kind"], made["message"]) == (first, "requested", "Before it")
    assert world.app.history.moment("tag:before/migration").commit == first
    assert world.app.history.moment("latest").commit == second
    again = world.app.tags.create("before/migration", first, "Before it", "ada@example.com", "10.0.0.1")
    assert again == made
    assert _acts(world, AuditAction.TAG_CREATED).count("before/migration") == 1


def test_a_name_that_is_taken_is_refused_and_stays(world: World) -> None:
    first = str(world.back_up()["commit"])
    second = _day(world)
    world.app.tags.create("v1", first, "", "ada", "")
    for name in ("v1", "V1"):
        with pytest.raises(TagTaken, match=first[:12]):
            world.app.tags.create(name, second, "", "ada", "")
    assert _tags(world)["v1"] == first


def test_a_tag_that_nobody_made_is_no_moment(world: World) -> None:
    world.back_up()
    with pytest.raises(UnknownMoment, match="tag:none"):
        world.app.history.moment("tag:none")
