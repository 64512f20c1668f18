"""A protected branch gets what the backup holds by pull requests, whatever becomes of each of them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.faults.taps import Call, QuietTap
from local.memory.commits import MemoryCommit
from local.memory.pull_requests import MemoryPullRequests
from local.memory.world import World, succeeded
from shared.errors import PullRequestRefused
from shared.protocols.pull_requests import RequestStatus
from tests.faults.living import fill, live
from tests.git_folders import write
from tests.together import codes, commit, history, notebook

TARGET = "main"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return protected(tmp_path)


def protected(tmp_path: Path, seed: int = 0) -> World:
    """A workspace, and a protected branch in which people keep a README."""
    world = World(tmp_path, seed=seed, commit_mode="pull_request")
    remote: Any = world.remote
    tree = {"README.md": remote.add(b"read me")}
    remote.branches[TARGET] = remote.enter(MemoryCommit(None, tree, "first", "grace <grace@x> 2026-01-01"))
    fill(world)
    return world


def requests_of(world: World) -> MemoryPullRequests:
    found: Any = world.pull_requests
    return found


def _published(world: World) -> dict[str, bytes]:
    remote: Any = world.remote
    tree = remote.commits[remote.branches[TARGET]].tree
    return {file: remote.blobs[blob] for file, blob in tree.items()}


def _check_published(world: World) -> None:
    """The protected branch holds the workspace, and what people keep there."""
    files = _published(world)
    assert files.pop("README.md") == b"read me"
    assert files == {f: d for f, d in world.remote.contents().items() if f != "README.md"}
    assert world.backed_up(files) == world.notebooks()


def _topics(world: World) -> list[str]:
    remote: Any = world.remote
    return sorted(b for b in remote.branches if b.startswith("backup/runs/"))


@pytest.mark.parametrize("squash", [False, True], ids=["merge commit", "squash"])
def test_each_run_with_changes_reaches_the_protected_branch(world: World, squash: bool) -> None:
    requests_of(world).squash = squash
    for _ in range(5):
        run = world.back_up()
        assert (succeeded(run), run["notices"]) == (True, [])
        _check_published(world)
        assert _topics(world) == []
        live(world, 8)
    known = requests_of(world).known
    assert {r.status for r in known.values()} == {RequestStatus.COMPLETED}
    assert len(known) == 5
    before = len(known)
    world.back_up()
    world.back_up()
    assert len(requests_of(world).known) == before + 1, "a run without changes opens none"


def test_authors_and_audit_trail_come_with_a_merge_commit(world: World) -> None:
    world.back_up()
    write(world, "/Clients/etl/by_ada", "# ada")
    world.back_up()
    remote: Any = world.remote
    there = history(world, remote.branches[TARGET])
    own = [name for name, _ in remote.history(remote.head)]
    assert set(own) <= there
    assert any("Backup-Audit: " in remote.commits[name].message for name in there)
    assert world.app.publication.state()["status"] == "completed"


def test_a_pull_request_waits_for_its_reviewers_and_the_backup_goes_on(world: World) -> None:
    requests = requests_of(world)
    requests.approves = False
    world.back_up()
    (first,) = requests.active(TARGET)
    assert world.backed_up() == world.notebooks(), "restores have it all the same"
    assert world.back_up()["notices"] == []
    assert [r.id for r in requests.active(TARGET)] == [first.id], "it stays as it is while nothing changes"
    write(world, "/Clients/etl/more", "# more")
    world.back_up()
    (second,) = requests.active(TARGET)
    assert (first.id, second.id) == (1, 2)
    assert requests.known[1].status is RequestStatus.ABANDONED
    assert requests.comments[1][-1] == "Replaced by pull request 2."
    assert _topics(world) == [second.source]
    assert requests.approve(2)
    assert succeeded(world.back_up())
    _check_published(world)
    assert world.app.publication.state()["published"] == world.remote.head


def test_one_that_somebody_closes_is_told_of_and_opened_anew(world: World) -> None:
    requests = requests_of(world)
    requests.approves = False
    world.back_up()
    requests.reject(1)
    run = world.back_up()
    assert codes(run) == {"pull_request_closed": 1}
    assert [r.id for r in requests.active(TARGET)] == [2]
    requests.approve(2)
    _check_published(world)


def test_people_keep_their_files_and_the_workspace_overrules_their_edits(world: World) -> None:
    world.back_up()
    file = next(f for f in world.remote.contents() if f.endswith(".py"))
    commit(world, TARGET, {file: "edited there", "pipeline.yml": "theirs"})
    write(world, "/Clients/etl/more", "# more")
    run = world.back_up()
    assert codes(run) == {"conflict_overruled": 1}
    files = _published(world)
    assert files.pop("pipeline.yml") == b"theirs"
    assert files[file] == world.remote.contents()[file]
    assert succeeded(run)
    assert world.back_up()["notices"] == []


def test_a_protected_branch_that_moved_on_gets_a_new_pull_request_where_it_must(world: World) -> None:
    world.back_up()
    requests = requests_of(world)
    requests.approves = False
    file = next(f for f in world.remote.contents() if f.endswith(".py"))
    path = next(p for p, language in world.notebooks() if language == "PYTHON" and world.model.get(p))
    world.model.apply("edit", "ada", path=path, content=notebook("# live"))
    world.back_up()
    (first,) = requests.active(TARGET)
    changed = next(f for f in world.remote.contents() if world.remote.contents()[f] == notebook("# live").encode())
    commit(world, TARGET, {changed: "edited there as well"})
    assert requests.active(TARGET)[0].conflicts
    run = world.back_up()
    (second,) = requests.active(TARGET)
    assert second.id != first.id
    assert not second.conflicts
    assert codes(run) == {"conflict_overruled": 1}
    assert requests.approve(second.id)
    _check_published(world)
    assert file


def test_a_change_of_mode_goes_on_where_it_was(tmp_path: Path) -> None:
    world = World(tmp_path)
    fill(world)
    world.back_up()
    remote: Any = world.remote
    remote.branches[TARGET], remote.head = remote.head, None
    world.settings["commit_mode"] = "pull_request"
    world.process()
    write(world, "/Clients/etl/more", "# more")
    run = world.back_up()
    assert (succeeded(run), run["notices"], run["counts"]["created"]) == (True, [], 1)
    assert world.backed_up(_published(world)) == world.notebooks()
    assert len(requests_of(world).known) == 1


def test_a_protected_branch_that_is_not_there_begins_with_the_backup(tmp_path: Path) -> None:
    world = World(tmp_path, commit_mode="pull_request")
    fill(world)
    run = world.back_up()
    assert (succeeded(run), run["notices"]) == (True, [])
    assert world.backed_up(_published(world)) == world.notebooks()
    assert requests_of(world).known == {}


class _Refused(QuietTap):
    def meet(self, when: str, call: Call) -> None:
        if when == "before" and str(call).startswith("pull_requests."):
            raise PullRequestRefused(action="open a pull request", detail="HTTP 403")


def test_a_server_that_refuses_keeps_no_backup_from_succeeding(world: World) -> None:
    world.process(_Refused())
    run = world.back_up()
    assert (succeeded(run), codes(run)) == (True, {"publication_waits": 1})
    assert world.backed_up() == world.notebooks()
    world.process()
    assert world.back_up()["notices"] == []
    _check_published(world)


POINTS = {
    "topic not pushed": CrashPoint("before", r"branches\.push\("),
    "topic pushed": CrashPoint("after", r"branches\.push\("),
    "not opened": CrashPoint("before", r"pull_requests\.create\("),
    "opened, row missing": CrashPoint("after", r"pull_requests\.create\("),
    "row written": CrashPoint("after", r"tables\.upsert\(checkpoints, publication"),
    "to be completed": CrashPoint("before", r"pull_requests\.complete_by_itself\("),
    "completed": CrashPoint("after", r"pull_requests\.complete_by_itself\("),
    "about to tidy": CrashPoint("before", r"pull_requests\.abandon\("),
    "closed, its branch there": CrashPoint("after", r"pull_requests\.abandon\("),
    "about to be removed": CrashPoint("before", r"branches\.remove\("),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_while_it_publishes_is_caught_up_with(world: World, point: str) -> None:
    requests = requests_of(world)
    requests.approves = False
    world.back_up()
    write(world, "/Clients/etl/more", "# more")
    tap = CrashTap(POINTS[point], play_dead)
    world.process(tap)
    world.back_up()
    assert tap.dead
    world.process()
    world.back_up()
    (one,) = requests.active(TARGET)
    assert _topics(world) == [one.source]
    assert requests.approve(one.id), "it is to be completed by itself"
    world.back_up()
    _check_published(world)
    assert requests.active(TARGET) == []
    assert _topics(world) == []


@pytest.mark.parametrize("seed", range(4))
def test_thirty_days_of_reviewers_who_come_and_go(tmp_path: Path, seed: int) -> None:
    world = protected(tmp_path, seed)
    requests, draw = requests_of(world), random.Random(seed)
    for day in range(30):
        requests.approves, requests.squash = draw.random() < 0.5, draw.random() < 0.3
        live(world, draw.randrange(4))
        if draw.random() < 0.3:
            files = sorted(f for f in _published(world) if f.endswith((".py", ".sql")))
            change: dict[str, str | None] = {f"docs/{day}.md": "theirs"}
            if files and draw.random() < 0.5:
                change[draw.choice(files)] = "edited there"
            commit(world, TARGET, change)
        run = world.back_up()
        assert succeeded(run), run
        assert world.backed_up() == world.notebooks()
        assert len(requests.active(TARGET)) <= 1
        assert len(_topics(world)) == len(requests.active(TARGET))
        for request in requests.active(TARGET):
            assert not request.conflicts
            if draw.random() < 0.5:
                draw.choice((requests.approve, requests.reject))(request.id)
    requests.approves = True
    write(world, "/Clients/etl/last", "# last")
    world.back_up()
    files = {f: d for f, d in _published(world).items() if not f.startswith("docs/")}
    assert files.pop("README.md") == b"read me"
    assert world.backed_up(files) == world.notebooks()
