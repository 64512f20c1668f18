"""What an operator does by hand: deletions that are confirmed, messages that are put back or dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.memory.world import World
from shared.domain.audit import AuditAction
from shared.services.audit.rows import Where
from shared.services.operations.poison import UnknownMessage
from shared.services.reporting.audit_access import Reader
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.runs import NothingHeld
from tests.faults.living import check_equal, fill

POISON = f"{EXPORT_QUEUE}-poison"


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    fill(found, 40)
    found.back_up()
    return found


def _delete(world: World, count: int) -> list[str]:
    gone = [path for path, _ in sorted(world.notebooks())[:count]]
    for path in gone:
        world.model.apply("delete", "ada", path=path)
    return gone


def _recorded(world: World, action: AuditAction) -> list[str]:
    found = world.app.audit.page(Where(action=action), 100, Reader("test", "here"), {}).records
    return [f"{record.actor} {record.object}" for record in found]


def test_confirmed_deletions_are_removed_and_no_others(world: World) -> None:
    _delete(world, 15)
    held = world.back_up()
    assert (held["status"], held["counts"]["held"], held["counts"]["deleted"]) == ("partial", 15, 0)
    _delete(world, 12)
    run = world.back_up(confirms=held["run_id"])
    assert (run["status"], run["counts"]["held"], run["counts"]["deleted"]) == ("partial", 12, 15)
    assert len(world.backed_up()) == 25
    last = world.back_up(confirms=run["run_id"])
    assert (last["status"], last["counts"]["deleted"]) == ("succeeded", 12)
    check_equal(world)


def test_what_came_back_is_not_removed_by_a_confirmation(world: World) -> None:
    gone = _delete(world, 15)
    held = world.back_up()
    world.model.apply("create", "ada", path=gone[3], language="SQL", content="-- back\n")
    run = world.back_up(confirms=held["run_id"])
    assert (run["status"], run["counts"]["deleted"]) == ("succeeded", 14)
    check_equal(world)


def test_a_confirmation_names_a_run_that_held_something(world: World) -> None:
    run_id = world.app.status.recent(1)[0]["run_id"]
    with pytest.raises(NothingHeld, match=run_id):
        world.app.runs.start("http", confirms=run_id)
    assert world.app.runs.active() is None


def test_a_list_of_held_deletions_that_retention_removed_confirms_nothing(world: World) -> None:
    _delete(world, 15)
    held = world.back_up()
    world.blobs.delete(f"plans/{held['run_id']}/plan.json")
    run = world.back_up(confirms=held["run_id"])
    assert (run["status"], run["counts"]["held"], run["counts"]["deleted"]) == ("partial", 15, 0)


def _stuck(world: World) -> str:
    """A batch's message in the poison queue, as it is while that queue's function fails or is off."""
    world.model.apply("create", "ada", path="/Clients/new", content="# new\n")
    run_id = world.start()
    assert run_id is not None
    step = world.app.plan.plan(run_id)
    world.committing = step.done
    world.queues.stored.clear()
    world.queues.send(POISON, step.messages[0])
    return run_id


def test_a_message_that_is_put_back_is_worked_on_and_the_run_succeeds(world: World) -> None:
    run_id = _stuck(world)
    (message,) = world.app.poison.overview()["messages"]
    assert (message["queue"], message["about"].split(",")[0]) == (EXPORT_QUEUE, f"run_id {run_id}")
    assert world.app.poison.requeue([message["id"]], "ada", "10.0.0.1") == {"done": [message["id"]]}
    assert world.app.poison.overview() == {"messages": [], "hidden": 0}
    world.settle()
    assert world.app.status.run(run_id)["status"] == "succeeded"
    (record,) = _recorded(world, AuditAction.MESSAGE_REQUEUED)
    assert "ada" in record
    check_equal(world)


def test_a_message_that_is_dropped_is_sent_again_by_the_watchdog(world: World) -> None:
    run_id = _stuck(world)
    (identity,) = world.app.poison.drop([], "ada", "10.0.0.1")["done"]
    world.settle()
    assert world.app.status.run(run_id)["status"] == "succeeded"
    (record,) = _recorded(world, AuditAction.MESSAGE_DROPPED)
    assert identity in record
    check_equal(world)


def test_a_message_that_nobody_sees_is_refused_and_the_others_stay(world: World) -> None:
    _stuck(world)
    (message,) = world.app.poison.overview()["messages"]
    with pytest.raises(UnknownMessage, match="none-such"):
        world.app.poison.drop(["none-such"], "ada", "")
    world.queues.receive(POISON, 600)
    assert world.app.poison.overview() == {"messages": [], "hidden": 1}
    with pytest.raises(UnknownMessage):
        world.app.poison.requeue([message["id"]], "ada", "")


def test_what_a_message_holds_is_shown_without_secrets_and_cut(world: World) -> None:
    world.queues.send(POISON, "no json " + "x" * 5_000)
    (message,) = world.app.poison.overview()["messages"]
    assert (message["about"], len(message["text"])) == ("", 500)
