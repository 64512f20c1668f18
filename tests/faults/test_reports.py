"""The report of each day of a living workspace equals what differs between its mornings."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from azure.core.exceptions import HttpResponseError, ServiceResponseTimeoutError

from local.faults.port_faults import Declared, Fault, FaultTap
from local.memory.world import Notebooks, World
from shared.domain.change_report import Selection
from shared.domain.line_counts import code_lines
from shared.domain.notebooks import ExportFormat
from shared.services.reporting.report_views import report_json
from tests.faults.living import fill, live, person_pushes
from tests.remotes import GitRemote

DAYS = 6
MOST_LISTED = 10_000


@pytest.fixture(params=["memory", "git"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    remote = GitRemote(tmp_path / "remote.git") if request.param == "git" else None
    return World(tmp_path / "scratch", seed=9, remote=remote)


def _lines(notebooks: Notebooks) -> int:
    return sum(len(code_lines(data, ExportFormat.SOURCE)) for data in notebooks.values())


def _report(world: World) -> dict:
    reports = world.app.reports
    return report_json(reports.changes(reports.period(None, None), Selection(), MOST_LISTED))


def test_each_day_is_told_as_it_was(world: World) -> None:
    fill(world)
    before: Notebooks = {}
    links = set()
    for _ in range(DAYS):
        began = world.clock.now()
        person_pushes(world, world.draw)
        assert world.back_up()["status"] == "succeeded"
        after = world.notebooks()
        report = _report(world)
        _check(report, before, after)
        links |= _check_links(world, report)
        world.clock.sleep(86_400 - (world.clock.now() - began).total_seconds())
        live(world, 20)
        before = after
    assert len(links) > DAYS


def _check(report: dict, before: Notebooks, after: Notebooks) -> None:
    # Two notebooks of one name, or one that changed its language, are told of by one path.
    old, new = ({path for path, _ in notebooks} for notebooks in (before, after))
    told = {kind: {c["path"] for c in report["changes"] if c["kind"] == kind} for kind in report["totals"]["kinds"]}
    came = told.get("created", set()) | told.get("renamed", set())
    went = told.get("deleted", set()) | {c["other_path"] for c in report["changes"] if c["kind"] == "renamed"}
    assert new - old <= came
    assert old - new <= went
    edited = {
        path for path, language in after if before.get((path, language), after[path, language]) != after[path, language]
    }
    assert edited <= {c["path"] for c in report["changes"]}
    assert report["totals"]["without_lines"] == 0
    assert report["totals"]["added"] - report["totals"]["removed"] == _lines(after) - _lines(before)


def _check_links(world: World, report: dict) -> set[str]:
    """Links name files that the branch holds; returns them."""
    files = world.remote.contents()
    living = [c for c in report["changes"] if c["kind"] in ("created", "changed", "renamed", "conflict")]
    linked = {unquote(c["difference_link"].partition("?path=/")[2]) for c in living}
    assert linked <= files.keys()
    assert len(linked) == len(living)
    return linked


def test_a_history_that_was_read_from_git_alone_links_to_the_same_differences(world: World) -> None:
    fill(world)
    links = []
    for _ in range(3):
        world.back_up()
        links.append(_links(_report(world)))
        world.clock.sleep(86_400)
        live(world, 15)
    for name in [n for n in world.blobs.stored if n.startswith("history")]:
        world.blobs.delete(name)
    for file in world.scratch.glob("history.sqlite*"):
        file.unlink()
    world.process()
    assert _links(_report(world)) == links[-1]
    assert len(links[-1]) > 5


def _links(report: dict) -> dict[str, str]:
    """The links of what stands, by its path: what moved with its bytes may be told as gone and come, from Git alone."""
    living = ("created", "changed", "renamed", "conflict")
    return {c["path"]: c["difference_link"] for c in report["changes"] if c["kind"] in living}


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.TIMEOUT])
def test_a_report_over_failing_storage_is_refused_and_the_next_is_whole(tmp_path: Path, fault: Fault) -> None:
    world = World(tmp_path, seed=3)
    fill(world)
    world.back_up()
    whole = _report(world)
    for file in tmp_path.glob("history.sqlite*"):
        file.unlink()
    tap = FaultTap(Declared("blobs", "get", fault))
    world.process(tap)
    with pytest.raises(HttpResponseError if fault is Fault.ERROR_BEFORE else ServiceResponseTimeoutError):
        _report(world)
    assert tap.fired == 1
    world.clock.sleep(1)
    assert _report(world) == whole


def test_contents_that_the_remote_refuses_leave_the_report_standing_without_lines(tmp_path: Path) -> None:
    world = World(tmp_path, seed=3)
    fill(world)
    world.back_up()
    tap = FaultTap(Declared("reader", "blobs", Fault.ERROR_BEFORE, times=10_000))
    world.process(tap)
    report = _report(world)
    assert tap.fired > 1
    assert report["totals"]["changes"] == len(world.notebooks())
    assert report["without_lines"] == {"limit": 0, "unreadable": len(world.notebooks())}
    world.process()
    assert _report(world)["totals"]["without_lines"] == 0
