"""A whole world measured: every metric that the guide names comes, with figures that are those of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.memory.mailer import MemoryMailer
from local.memory.telemetry import MemoryTelemetry
from local.memory.world import World
from shared.domain.mail import Recipients
from shared.domain.metrics import METRICS
from shared.domain.restore_request import RestoreBody
from shared.services.state.maintenance import Kind
from tests.faults.living import fill

ELSEWHERE = {
    "backup.workspace.calls": "counted by the real workspace's limiter: test_telemetry.py, test_telling.py",
    "backup.credential.days_left": "set by a timer of its own: test_credential_watch.py",
}


@pytest.fixture
def telemetry() -> MemoryTelemetry:
    return MemoryTelemetry()


@pytest.fixture
def world(tmp_path: Path, telemetry: MemoryTelemetry) -> World:
    made = World(
        tmp_path,
        telemetry=telemetry,
        mailer=MemoryMailer(),
        mail_from="backup@example.com",
        mail_to=Recipients(("ops@example.com",)),  # type: ignore[arg-type]
    )
    made.workspace.behaviour.zip_style = "never"
    fill(made, 12)
    return made


def _restore(world: World, path: str) -> None:
    body = RestoreBody.model_validate({"at": "latest", "paths": [path], "suffix": " (restored)"})
    assert world.app.restores.start(body, "ada", "here")["status"] == "succeeded"


def test_every_metric_comes_and_no_other(world: World, telemetry: MemoryTelemetry) -> None:
    path = sorted(world.notebooks())[0][0]
    world.workspace.behaviour.denied = [path]
    world.back_up()
    world.workspace.behaviour.denied = []
    world.back_up()
    world.maintain(Kind.VERIFY)
    _restore(world, path)
    world.look_around()
    world.app.telling.gauges.repository_size(5_000)
    assert {name for name, _, _ in telemetry.figures} == METRICS.keys() - ELSEWHERE.keys()


def test_a_runs_figures_are_its_own(world: World, telemetry: MemoryTelemetry) -> None:
    path = sorted(world.notebooks())[0][0]
    world.workspace.behaviour.denied = [path]
    run = world.back_up()
    outcomes = {a["outcome"]: value for value, a in telemetry.of("backup.run.notebooks")}
    assert (outcomes["created"], outcomes["failed"], outcomes["unchanged"]) == (12, 1, 0)
    assert telemetry.of("backup.runs") == [(1, {"status": "partial"})]
    assert telemetry.of("backup.run.failures") == [(1, {"code": "permission_denied"})]
    assert telemetry.of("backup.run.seconds") == [(run["seconds"], {"status": "partial"})]
    phases = {a["phase"]: value for value, a in telemetry.of("backup.run.phase.seconds")}
    assert phases.keys() == {"planning", "exporting", "committing", "finishing"}
    whole = phases["planning"] + phases["exporting"] + phases["finishing"]
    assert whole == pytest.approx(run["seconds"], abs=0.01)


def test_a_run_is_measured_once(world: World, telemetry: MemoryTelemetry) -> None:
    run = world.back_up()
    world.app.telling.endings.run_ended(run["run_id"])
    world.look_around()
    assert telemetry.of("backup.runs") == [(1, {"status": "succeeded"})]


def test_success_is_measured_over_30_days_beside_its_target(world: World, telemetry: MemoryTelemetry) -> None:
    world.back_up()
    world.clock.sleep(31 * 86_400)
    path = sorted(world.notebooks())[0][0]
    for denied in ([], [path], [], []):
        world.workspace.behaviour.denied = denied
        world.model.apply("edit", "ada", path=path, content=f"# {world.clock.monotonic()}\n")
        world.back_up()
        world.clock.sleep(3_600)
    telemetry.figures.clear()
    world.look_around()
    assert telemetry.of("backup.success.rate") == [(0.75, {"of": "backup"})]
    targets = {a["of"]: value for value, a in telemetry.of("backup.success.target")}
    assert targets == {"backup": 0.999, "restore": 0.99}
    ((age, _),) = telemetry.of("backup.success.age")
    assert 3_600 <= age < 7_200


def test_queues_are_counted_with_their_poison(world: World, telemetry: MemoryTelemetry) -> None:
    world.queues.send("backup-export", "{}")
    world.queues.send("backup-export-poison", "{}")
    world.app.telling.gauges.look()
    depths = {a["queue"]: value for value, a in telemetry.of("backup.queue.depth")}
    assert (depths["backup-export"], depths["backup-export-poison"], depths["backup-plan"]) == (1, 1, 0)
    assert len(depths) == 8


def test_a_telemetry_that_breaks_fails_no_backup(tmp_path: Path) -> None:
    class Broken(MemoryTelemetry):
        def count(self, name: str, amount: int = 1, **attributes: str) -> None:
            raise RuntimeError("no room")

    world = World(tmp_path, telemetry=Broken())
    fill(world, 3)
    assert world.back_up()["status"] == "succeeded"
    assert world.seen["RuntimeError"] == 0, "the committer was told of it"
    world.app.telling.endings.run_ended("nobody")
    world.app.telling.endings.verification_ended("nobody")
