"""Everything twice, late, and at once; and people who move the branch meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.faults.taps import Call, QuietTap
from local.memory.world import ROOT, World, file_of, succeeded
from shared.errors import BackupError
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.runs import PLAN_QUEUE
from tests.faults.living import check_equal, fill, live
from tests.remotes import GitRemote

COMMITTERS = 8
MOST_ATTEMPTS = 200


@pytest.fixture(params=["memory", "git"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    remote = GitRemote(tmp_path / "remote.git") if request.param == "git" else None
    world = World(tmp_path / "scratch", seed=4, remote=remote)
    fill(world, 30)
    return world


class _At(QuietTap):
    """A tap that does something once, at the first call that begins so."""

    def __init__(self, when: str, begin: str, act: Callable[[], Any]) -> None:
        self._when, self._begin, self._act = when, begin, act
        self.done = False

    def meet(self, when: str, call: Call) -> None:
        if not self.done and when == self._when and str(call).startswith(self._begin):
            self.done = True
            self._act()


def _planned(world: World) -> str:
    """A run whose batches are planned and exported, so that only the committing is left."""
    run_id = world.start()
    assert run_id is not None
    _drain(
        world, PLAN_QUEUE, lambda: [world.queues.send(EXPORT_QUEUE, t) for t in world.app.plan.plan(run_id).messages]
    )
    while world.queues.stored.get(EXPORT_QUEUE):
        world._deliver()
    return run_id


def _drain(world: World, queue: str, act: Callable[[], Any]) -> None:
    message = world.queues.receive(queue, 600)
    assert message is not None
    act()
    world.queues.delete(queue, message)


def _commits(world: World, run_id: str) -> int:
    return sum(f"Backup-Run: {run_id}" in text for text in world.remote.messages().values())


def _authors(world: World) -> int:
    """Who made what the branch holds: each has one commit where there was one run."""
    history = world.app.history
    found = history.below(ROOT, history.moment("latest").sequence)
    return len({f.version.author for f in found})


@pytest.mark.parametrize("copies", [2, 5])
def test_messages_come_again_and_in_any_order(world: World, copies: int) -> None:
    send = world.queues.send

    def again(queue: str, text: str, *, delay_seconds: int = 0) -> None:
        for copy in range(copies):
            send(queue, text, delay_seconds=delay_seconds + 40 * copy)

    world.queues.send = again  # type: ignore[method-assign]
    for _ in range(3):
        assert succeeded(world.back_up())
        assert world.backed_up() == world.notebooks()
        live(world, 10)
    world.back_up()
    check_equal(world)
    assert world.remote.unchanged() == []


def test_two_planners_agree_on_one_plan(world: World) -> None:
    run_id = world.start()
    assert run_id is not None
    message = world.queues.receive(PLAN_QUEUE, 600)
    assert message is not None
    apps, together = [world.process(), world.process()], threading.Barrier(2)

    def plan(app: Any) -> tuple[str, ...]:
        together.wait()
        messages: tuple[str, ...] = app.plan.plan(run_id).messages
        return messages

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(plan, apps)
    assert first == second
    assert len(first) >= 1
    world.queues.delete(PLAN_QUEUE, message)
    for text in (*first, *second):
        world.queues.send(EXPORT_QUEUE, text)
    world.committing = True
    world.settle()
    assert succeeded(world.app.status.run(run_id))
    check_equal(world)


def test_a_planner_that_wakes_up_late_changes_nothing(world: World) -> None:
    """It listed before the notebook was deleted; the run that it plans for is long past."""
    late = _At("before", "blobs.create(plans/", lambda: None)

    def overtake() -> None:
        world.process()
        assert run_id is not None
        for text in world.app.plan.plan(run_id).messages:
            world.queues.send(EXPORT_QUEUE, text)
        world.committing = True
        while not world.tables_say_idle():
            world._step()

    run_id = world.start()
    late._act = overtake
    app = world.process(late)
    messages = app.plan.plan(str(run_id)).messages
    assert late.done
    assert messages == ()
    live(world, 5)
    assert succeeded(world.back_up())
    check_equal(world)


def test_two_runs_cannot_start_at_once(world: World) -> None:
    apps, together = [world.process() for _ in range(COMMITTERS)], threading.Barrier(COMMITTERS)

    def start(app: Any) -> str | None:
        together.wait()
        try:
            return str(app.runs.start("http"))
        except BackupError:
            return None

    with ThreadPoolExecutor(COMMITTERS) as pool:
        started = [run for run in pool.map(start, apps) if run]
    assert len(started) == 1
    world.settle()
    check_equal(world)


def test_eight_committers_make_the_commits_of_one(world: World) -> None:
    run_id = _planned(world)
    apps, together = [world.process() for _ in range(COMMITTERS)], threading.Barrier(COMMITTERS)
    seen: list[str] = []

    def drive(app: Any) -> None:
        together.wait()
        for _ in range(MOST_ATTEMPTS):
            try:
                if app.drive.drive().done:
                    return
            except BackupError as error:
                seen.append(error.code)

    with ThreadPoolExecutor(COMMITTERS) as pool:
        list(pool.map(drive, apps))
    assert seen, "they never met"
    assert succeeded(world.app.status.run(run_id))
    check_equal(world)
    assert world.remote.unchanged() == []
    assert _commits(world, run_id) == _authors(world) > 1


@pytest.mark.parametrize(
    ("when", "where"),
    [
        ("before", "repository.fetch"),
        ("before", "repository.build_commit"),
        ("before", "repository.push"),
        ("after", "repository.push"),
        ("before", "blobs.put(manifests/"),
        ("after", "blobs.put(manifests/"),
        ("before", "tables.upsert_many(batches"),
        ("after", "tables.upsert_many(batches"),
    ],
)
def test_a_holder_that_wakes_up_late_does_no_harm(world: World, when: str, where: str) -> None:
    """It stalls there, its lease runs out, another committer does all the work, and then it goes on."""
    world.back_up()
    live(world, 15)
    run_id = _planned(world)
    asleep = world.process(tap := _At(when, where, lambda: None))

    def others_work() -> None:
        world.clock.sleep(60)
        world.process()
        world.committing = True
        while not world.tables_say_idle():
            world._step()

    tap._act = others_work
    try:
        asleep.drive.drive()
    except BackupError as error:
        assert error.retriable
    assert tap.done
    world.process()
    world.settle()
    assert succeeded(world.app.status.run(run_id))
    check_equal(world)
    assert world.remote.unchanged() == []
    assert _commits(world, run_id) == _authors(world) > 1


def test_a_run_that_is_just_giving_the_lease_back_keeps_no_other_from_starting(world: World) -> None:
    ended, other = str(world.back_up()["run_id"]), world.app
    world.tables.upsert("checkpoints", "lease", "run", {"run_id": ended})
    tap = _At("before", "tables.replace(checkpoints, lease, run", lambda: other.runs.release(ended))
    started = world.process(tap).runs.start("timer")
    assert tap.done
    assert world.app.runs.active() == started


def test_a_lease_that_the_next_run_has_taken_is_not_given_back(world: World) -> None:
    ended, other = str(world.back_up()["run_id"]), world.app
    world.tables.upsert("checkpoints", "lease", "run", {"run_id": ended})
    started: list[str] = []
    tap = _At("before", "tables.replace(checkpoints, lease, run", lambda: started.append(other.runs.start("timer")))
    world.process(tap).runs.release(ended)
    assert tap.done
    assert [world.app.runs.active()] == started


def _first_file(world: World) -> str:
    return min(f for f in world.remote.contents() if f.startswith("etl/"))


PEOPLE: dict[str, tuple[Callable[[World], Any], str | None]] = {
    "the same file": (lambda w: w.remote.person_commits({_first_file(w): b"theirs"}), "conflict_overruled"),
    "a file of their own": (lambda w: w.remote.person_commits({"docs/README.md": b"theirs"}), None),
    "a deletion": (lambda w: w.remote.person_commits({_first_file(w): None}), None),
    "a revert of the backup": (lambda w: w.remote.person_commits(dict.fromkeys(w.remote.contents(), None)), None),
    "a file where a folder is needed": (
        lambda w: w.remote.person_commits({"etl/daily": None, "etl": None}) and w.remote.person_commits({"etl": b"x"}),
        None,
    ),
    "a folder where a file is needed": (
        lambda w: w.remote.person_commits({_first_file(w): None, f"{_first_file(w)}/x.md": b"x"}),
        None,
    ),
    "a forced push to an older commit": (lambda w: w.remote.move(list(w.remote.messages())[-1]), "history_rewritten"),
    "a deleted branch": (lambda w: w.remote.move(None), "branch_revived"),
    "an emptied repository": (lambda w: w.remote.empty(), "history_lost"),
    "a replaced repository": (
        lambda w: (w.remote.empty(), w.remote.person_commits({"README.md": b"new"})),
        "history_rewritten",
    ),
}


@pytest.mark.parametrize("what", PEOPLE)
@pytest.mark.parametrize("moment", ["between runs", "while a commit is built", "before the push"])
def test_what_people_do_to_the_branch_is_settled_and_told(world: World, what: str, moment: str) -> None:
    act, notice = PEOPLE[what]
    world.back_up()
    live(world, 6)
    world.model.apply("create", "ada", path="/Clients/etl/one more", content="# more\n")
    world.back_up()
    theirs = {f: d for f, d in world.remote.contents().items() if f.startswith("docs/")}
    told: set[str] = set()
    if moment == "between runs":
        act(world)
    else:
        world.model.apply("create", "ada", path="/Clients/etl/at last", content="# last\n")
        where = "repository.build_commit" if moment == "while a commit is built" else "repository.push"
        world.process(tap := _At("before", where, lambda: act(world)))
        told |= {n["code"] for n in world.back_up()["notices"]}
        assert tap.done
        world.process()
    run = world.back_up()
    told |= {n["code"] for n in run["notices"]}
    run = world.back_up() if run["failures"] else run
    assert succeeded(run)
    check_equal(world)
    kept = world.remote.contents()
    assert theirs.items() <= kept.items()
    if "where a" in what:
        assert b"x" in kept.values()
    if what == "a file of their own":
        assert kept["docs/README.md"] == b"theirs"
    if notice and not (moment != "between runs" and notice == "conflict_overruled"):
        assert notice in told
    assert succeeded(again := world.back_up())
    assert (again["planned"], again["commit"]) == (0, None)


def test_a_persons_commit_stays_in_history(world: World) -> None:
    world.back_up()
    path, language = min(world.notebooks())
    theirs = world.remote.person_commits({file_of(path, language): b"theirs"})
    run = world.back_up()
    assert [n["code"] for n in run["notices"]] == ["conflict_overruled"]
    assert theirs in world.remote.messages()
    check_equal(world)
