"""What cannot be exported is named, the rest goes on, and just that is taken again."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.faults.taps import Call, QuietTap
from local.memory.world import ROOT, World, succeeded
from shared.errors import RepositoryError, WorkspaceUnavailable
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.runs import PLAN_QUEUE, UnknownRun
from tests.faults.living import check_equal, fill, live


class _Failing(QuietTap):
    """Fails every call that begins so."""

    def __init__(self, begin: str, error: Exception) -> None:
        self._begin, self._error = begin, error
        self.calls: list[str] = []

    def before(self, call: Call) -> None:
        self.calls.append(str(call))
        if str(call).startswith(self._begin):
            raise self._error


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    fill(world)
    return world


UNAVAILABLE = WorkspaceUnavailable(path="/Clients", error_code="UNAVAILABLE", detail="HTTP 503")


def test_a_batch_that_fails_at_every_delivery_is_named_and_taken_again_alone(world: World) -> None:
    world.back_up()
    live(world, 3)
    for n in range(3):
        world.model.apply("create", "ada", path=f"{ROOT}/etl/late {n}", content="# late\n")
    before = world.backed_up()
    world.process(_Failing("workspace.export", UNAVAILABLE))
    run = world.back_up()
    changed = {path for path, _ in world.notebooks().items() ^ before.items() for path in [path[0]]}
    assert run["status"] == "partial"
    assert {f["code"] for f in run["failures"]} == {"batch_poisoned"}
    assert {f["path"] for f in run["failures"]} == changed & {p for p, _ in world.notebooks()}
    assert not world.queues.stored[f"{EXPORT_QUEUE}-poison"]
    world.model.apply("edit", "ada", path=f"{ROOT}/Reports/job 2", content="# not asked for\n")
    world.process(tap := _Failing("nothing", UNAVAILABLE))
    again = world.back_up(retry_of=run["run_id"])
    assert (succeeded(again), again["retry_of"]) == (True, run["run_id"])
    assert again["planned"] == len(run["failures"])
    assert "job 2" not in " ".join(c for c in tap.calls if c.startswith("workspace.export("))
    assert succeeded(world.back_up())
    check_equal(world)


def test_a_retry_of_a_folder_takes_what_is_below_and_leaves_the_rest(world: World) -> None:
    world.back_up()
    world.workspace.behaviour.denied.append(f"{ROOT}/etl")
    live(world, 10)
    run = world.back_up()
    assert [f["path"] for f in run["failures"]] == [f"{ROOT}/etl"]
    world.workspace.behaviour.denied.clear()
    world.model.apply("create", "ada", path=f"{ROOT}/Reports/not asked for", content="# new\n")
    again = world.back_up(retry_of=run["run_id"])
    assert succeeded(again)
    below = {k: v for k, v in world.notebooks().items() if k[0].startswith(f"{ROOT}/etl/")}
    assert {k: v for k, v in world.backed_up().items() if k[0].startswith(f"{ROOT}/etl/")} == below
    assert not any("not asked for" in path for path, _ in world.backed_up())
    world.back_up()
    check_equal(world)


def test_a_retry_of_a_run_that_nobody_knows_is_refused(world: World) -> None:
    with pytest.raises(UnknownRun, match="20200101"):
        world.app.runs.start("http", retry_of="20200101T000000Z-0000")
    assert world.tables_say_idle()


def test_planning_that_fails_at_every_delivery_ends_the_run_and_the_next_one_begins(world: World) -> None:
    world.process(_Failing("workspace.list", UNAVAILABLE))
    run = world.back_up()
    assert (run["status"], run["error"]) == ("failed", "planning failed at every delivery")
    world.process()
    assert succeeded(world.back_up())
    check_equal(world)


def test_commits_that_fail_for_hours_end_the_run_and_the_next_one_begins(world: World) -> None:
    denied = RepositoryError(action="push", detail="HTTP 401")
    world.process(_Failing("repository.push", denied))
    run = world.back_up()
    assert run["status"] == "failed"
    assert "HTTP 401" in run["error"]
    assert 6 * 3600 <= run["seconds"] < 8 * 3600
    world.process()
    assert succeeded(world.back_up())
    check_equal(world)


def test_one_notebook_that_cannot_be_had_fails_alone(world: World) -> None:
    world.workspace.behaviour.zip_style = "never"
    path = f"{ROOT}/etl/job 0"
    world.process(_Failing(f"workspace.export({path}", UNAVAILABLE))
    run = world.back_up()
    assert [(f["path"], f["code"]) for f in run["failures"]] == [(path, "workspace_unavailable")]
    assert run["status"] == "partial"
    assert len(world.backed_up()) == len(world.notebooks()) - 1
    world.process()
    assert succeeded(world.back_up(retry_of=run["run_id"]))
    check_equal(world)


@pytest.mark.parametrize("queue", [PLAN_QUEUE, EXPORT_QUEUE])
@pytest.mark.parametrize("text", ["", "{}", "no json", '{"run_id": "../../x", "batch_id": "b"}', "[" * 5_000])
def test_a_message_that_names_nothing_is_dropped_and_stops_nobody(world: World, queue: str, text: str) -> None:
    world.queues.send(queue, text)
    assert succeeded(world.back_up())
    assert (world.seen["dropped"], world.seen["MalformedMessage"]) == (1, 5)
    check_equal(world)


@pytest.mark.parametrize("queue", [PLAN_QUEUE, EXPORT_QUEUE])
def test_a_message_that_is_lost_is_sent_again(world: World, queue: str) -> None:
    send = world.queues.send
    lost: list[str] = []

    def lossy(name: str, text: str, *, delay_seconds: int = 0) -> None:
        if name == queue and not lost:
            lost.append(text)
            return
        send(name, text, delay_seconds=delay_seconds)

    world.queues.send = lossy  # type: ignore[method-assign]
    assert succeeded(world.back_up())
    assert len(lost) == 1
    check_equal(world)


def test_a_batch_whose_messages_are_always_lost_is_given_up(world: World) -> None:
    send = world.queues.send
    world.queues.send = lambda name, text, **k: None if name == EXPORT_QUEUE else send(name, text, **k)  # type: ignore[method-assign]
    run = world.back_up()
    assert run["status"] == "partial"
    assert {f["path"] for f in run["failures"]} == {path for path, _ in world.notebooks()}
    world.queues.send = send  # type: ignore[method-assign]
    assert succeeded(world.back_up())
    check_equal(world)


def test_deletions_of_more_than_the_guards_share_are_held(world: World) -> None:
    fill(world, 0)
    for n in range(40):
        world.model.apply("create", "ada", path=f"{ROOT}/etl/many {n}", content="# m\n")
    world.back_up()
    before = world.backed_up()
    for n in range(30):
        world.model.apply("delete", "ada", path=f"{ROOT}/etl/many {n}")
    world.model.apply("edit", "ada", path=f"{ROOT}/etl/many 35", content="# edited\n")
    run = world.back_up()
    assert (run["status"], run["counts"]["held"], run["counts"]["deleted"]) == ("partial", 30, 0)
    assert world.backed_up().keys() == before.keys()
    assert world.backed_up()[(f"{ROOT}/etl/many 35", "PYTHON")] == b"# edited\n"


def test_a_notebook_with_a_token_is_held_back_until_it_is_gone(tmp_path: Path) -> None:
    world = World(tmp_path, found_tokens="hold")
    fill(world)
    world.back_up()
    path, token = f"{ROOT}/etl/job 0", "dapi" + "0123456789abcdef" * 2
    world.model.apply("edit", "ada", path=path, content=f"# {token}\n")
    run = world.back_up()
    assert (run["status"], [(f["path"], f["code"]) for f in run["failures"]]) == ("partial", [(path, "secret_held")])
    assert token.encode() not in b"".join(world.remote.contents().values())
    assert not any(token.encode() in data for data, _ in world.blobs.stored.values())
    assert token not in str(world.tables.stored)
    world.model.apply("edit", "ada", path=path, content="# dbutils.secrets.get('scope', 'key')\n")
    assert succeeded(world.back_up())
    check_equal(world)
