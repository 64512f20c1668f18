"""The doctor: each check with its system well, missing and failing, and what the command line finds by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from local.memory.workspace import MemoryWorkspace
from local.memory.world import World
from shared.errors import RepositoryError
from shared.protocols import Machine
from shared.services.operations.doctor import Check, DoctorService, Finding, Level, worst
from shared.services.operations.doctor_state import SettingFacts, host_finding, settings_finding
from shared.services.operations.doctor_systems import Systems, system_checks
from shared.services.state.state_version import KEY, STATE_VERSION
from shared.wiring.probes import HOST_JSON
from tests.faults.living import fill
from tests.unit.fake_app import FakeApp, fake_app

MB = 2**20


@dataclass
class PlayedProbes:
    """See `shared.protocols.Probes`: each answer is set."""

    free: int = 2_000 * MB
    memory: int = 2_048 * MB
    version: tuple[int, ...] = (2, 47, 1)
    ahead: float = 0.4
    export: bool | None = True
    refused: Exception | None = None

    def machine(self) -> Machine:
        return Machine(self.free, self.memory)

    def git_version(self) -> tuple[int, ...]:
        return self.version

    def try_push(self) -> None:
        if self.refused:
            raise self.refused

    def identity(self) -> str:
        return "the-backup"

    def export_is_on(self) -> bool | None:
        return self.export

    def seconds_ahead(self) -> float:
        return self.ahead

    def greet_mail_server(self) -> str:
        return "mail.example.com:587 answers"

    def vault(self) -> str:
        raise PermissionError("the names of secrets are not for logs: hunter2")

    def host_settings(self) -> dict[str, object]:
        return {}


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    fill(found)
    return found


def _systems(world: World, probes: PlayedProbes, **more: Any) -> Systems:
    repository = world.remote.mirror(world.scratch)
    w = world
    found = Systems(w.workspace, repository, w.blobs, w.queues, w.queues, w.tables, w.clock, "/Clients", probes=probes)
    return replace(found, **more)


def _check(systems: Systems) -> dict[str, dict[str, Any]]:
    return {str(row["name"]): row for row in DoctorService(lambda: system_checks(systems)).check()}


def test_all_is_well(world: World) -> None:
    found = _check(_systems(world, PlayedProbes(), has_mail=True))
    assert {row["level"] for row in found.values()} == {"ok"}
    assert len(found) >= 13
    assert all(row["remedy"] is None for row in found.values())


@pytest.mark.parametrize(
    ("probes", "name", "level", "words"),
    [
        (PlayedProbes(free=300 * MB), "disk", "warning", "300 MB"),
        (PlayedProbes(free=50 * MB), "disk", "failed", "50 MB"),
        (PlayedProbes(memory=512 * MB), "memory", "warning", "512 MB"),
        (PlayedProbes(version=(2, 25, 1)), "git", "failed", "git 2.25.1"),
        (PlayedProbes(ahead=-90), "clock", "warning", "90 s behind"),
        (PlayedProbes(ahead=400), "clock", "failed", "400 s ahead"),
        (PlayedProbes(export=False), "workspace settings", "warning", "switched off"),
        (PlayedProbes(refused=RepositoryError(action="push", detail="403")), "repository push", "failed", "403"),
    ],
)
def test_each_finding_says_what_to_do(world: World, probes: PlayedProbes, name: str, level: str, words: str) -> None:
    found = _check(_systems(world, probes))
    assert (found[name]["level"], words in found[name]["detail"]) == (level, True)
    assert found[name]["remedy"]
    assert [n for n, row in found.items() if row["level"] != "ok"] == [name]


def test_settings_that_only_admins_may_read_are_no_fault(world: World) -> None:
    row = _check(_systems(world, PlayedProbes(export=None)))["workspace settings"]
    assert (row["level"], "needs to be none" in row["detail"]) == ("ok", True)


def test_the_identity_of_restores_is_checked_by_itself(world: World) -> None:
    other = MemoryWorkspace(world.model)
    other.behaviour.denied = ["/Clients"]
    found = _check(_systems(world, PlayedProbes(), restoring=other))
    assert [name for name, row in found.items() if not row["ok"]] == ["workspace for restores"]
    assert "CAN MANAGE" in found["workspace for restores"]["remedy"]


def test_an_unexpected_error_shows_its_type_alone(world: World) -> None:
    row = _check(_systems(world, PlayedProbes(), has_vault=True))["vault"]
    assert (row["level"], row["detail"]) == ("failed", "PermissionError")
    assert "Key Vault Secrets User" in row["remedy"]


def test_a_folder_that_may_not_be_listed_is_passed_by_for_a_notebook(world: World) -> None:
    world.workspace.behaviour.denied = ["/Clients/etl"]
    assert "one notebook was exported" in _check(_systems(world, PlayedProbes()))["workspace export"]["detail"]


def test_the_probe_leaves_nothing_behind(world: World) -> None:
    _check(_systems(world, PlayedProbes()))
    assert [n for n in world.blobs.stored if "doctor" in n] == []
    assert [k for k in world.tables.stored if k[1] == "doctor"] == []
    assert not any(world.queues.stored.get("backup-doctor", ()))


def test_a_check_that_does_not_end_is_a_failure_and_keeps_nobody_waiting() -> None:
    release = threading.Event()

    def hangs() -> Finding:
        release.wait(30)
        return Finding("late")

    quick = Check("quick", lambda: Finding("done"), "")
    try:
        rows = DoctorService(lambda: [Check("slow", hangs, "look"), quick], most_seconds=0.05).check()
    finally:
        release.set()
    assert [(r["name"], r["level"]) for r in rows] == [("slow", "failed"), ("quick", "ok")]
    assert worst(rows) is Level.FAILED


def _state(world: World) -> dict[str, dict[str, Any]]:
    rows = world.app.doctor.check()
    return {str(row["name"]): row for row in rows}


def _break_version(world: World) -> None:
    world.tables.upsert(*KEY, {"version": STATE_VERSION + 1})


def _break_lease(world: World) -> None:
    world.start()
    world.clock.sleep(3_600)


def _break_committer(world: World) -> None:
    assert world.blobs.acquire_lease("leases/commit", 60)


def _break_poison(world: World) -> None:
    world.queues.send("backup-plan-poison", "{}")


def _break_last_run(world: World) -> None:
    world.clock.sleep(30 * 3_600)


def _break_verification(world: World) -> None:
    world.tables.upsert("maintenance", "verify", "20990101T000000Z-0000", {"status": "stopped"})


@pytest.mark.parametrize(
    ("break_it", "name", "level"),
    [
        (_break_version, "state version", "failed"),
        (_break_lease, "lease", "failed"),
        (_break_committer, "committer", "warning"),
        (_break_poison, "poison queues", "failed"),
        (_break_last_run, "last run", "warning"),
        (_break_verification, "verification", "failed"),
    ],
)
def test_what_is_stored_is_looked_at(world: World, break_it: Callable[[World], None], name: str, level: str) -> None:
    world.back_up()
    assert _state(world)[name]["level"] == "ok"
    break_it(world)
    row = _state(world)[name]
    assert (row["level"], bool(row["remedy"])) == (level, True)


GOOD = SettingFacts(
    {"GIT_REMOTE_URL": "https://dev.azure.com/o/p/_git/r"}, 0.2, {"BACKUP_SCHEDULE": "0 30 2 * * *"}, True, True
)


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (GOOD, Level.OK, "fit"),
        (replace(GOOD, addresses={"DATABRICKS_HOST": "http://adb.example.com"}), Level.FAILED, "DATABRICKS_HOST"),
        (replace(GOOD, addresses={"DATABRICKS_HOST": "http://127.0.0.1:9"}), Level.OK, "fit"),
        (replace(GOOD, schedules={"BACKUP_SCHEDULE": "30 2 * * *"}), Level.FAILED, "BACKUP_SCHEDULE"),
        (replace(GOOD, guard_share=1.0), Level.WARNING, "BACKUP_DELETION_GUARD_SHARE"),
        (replace(GOOD, sends_mail=False), Level.WARNING, "no mail"),
        (replace(GOOD, mails_reach_somebody=False), Level.WARNING, "BACKUP_MAIL_TO"),
    ],
)
def test_settings_that_do_not_fit_are_named(facts: SettingFacts, level: Level, words: str) -> None:
    found = settings_finding(facts)
    assert (found.level, words in found.detail) == (level, True)


def test_the_deployed_host_json_is_as_the_app_needs_it() -> None:
    host = json.loads(HOST_JSON.read_text())
    assert host_finding(host).level is Level.OK
    host["extensions"]["queues"]["messageEncoding"] = "none"
    assert host_finding(host).level is Level.FAILED
    assert "messageEncoding" in host_finding({}).detail


def test_every_check_has_a_name_of_its_own_and_a_remedy(world: World) -> None:
    names = [str(row["name"]) for row in world.app.doctor.check()]
    assert len(names) == len(set(names)) >= 13
    assert all(row["remedy"] for row in world.app.doctor.check() if row["level"] != "ok")


@pytest.fixture
def app() -> Iterator[FakeApp]:
    with fake_app() as found:
        yield found


def _give(app: FakeApp, **statuses: int) -> None:
    app.give("GET", "health", {"status": "ok"}, status=statuses.get("health", 200))
    for route in ("status", "audit", "poison"):
        app.give("GET", route, {}, status=statuses.get(route, 200))
    checks = [{"name": "blobs", "level": "ok", "ok": True, "detail": "fine", "remedy": None}]
    app.give("GET", "doctor", {"checks": checks}, status=statuses.get("doctor", 200))


@pytest.mark.parametrize(
    ("statuses", "code", "last", "words"),
    [
        ({}, 0, "blobs", "fine"),
        ({"health": 503}, 1, "address", "answers 503"),
        ({"status": 401, "audit": 401, "poison": 401}, 1, "sign-in", "does not take the key"),
        ({"status": 403, "audit": 403, "poison": 403}, 1, "role", "without any right"),
        ({"audit": 403, "poison": 403, "doctor": 403}, 0, "app", "for operators"),
        ({"doctor": 500}, 1, "app", "answer 500"),
    ],
)
def test_the_command_finds_how_far_the_way_is_open(
    app: FakeApp, statuses: dict[str, int], code: int, last: str, words: str
) -> None:
    _give(app, **statuses)
    result = app.run("doctor", "--json")
    rows = json.loads(result.stdout)
    assert (result.exit_code, rows[-1]["name"], words in rows[-1]["detail"]) == (code, last, True)
    assert bool(rows[-1]["remedy"]) == (rows[-1]["level"] != "ok")


def test_a_role_is_told_by_what_it_may_do(app: FakeApp) -> None:
    _give(app, audit=403, poison=403, doctor=403)
    rows = {r["name"]: r["detail"] for r in json.loads(app.run("doctor", "--json").stdout)}
    assert rows["role"] == "may read; may not read the audit trail, operate"


def test_what_can_be_checked_from_here_asks_the_app_for_nothing_more(app: FakeApp) -> None:
    _give(app)
    assert app.run("doctor", "--here").exit_code == 0
    assert "doctor" not in [asked.path for asked in app.asked]


def test_an_app_that_is_away_and_a_key_over_plain_http(app: FakeApp) -> None:
    app.url = "http://127.0.0.1:9"
    away = json.loads(app.run("doctor", "--json").stdout)
    assert [(r["level"], "./start" in r["remedy"]) for r in away] == [("failed", True)]
    app.url = "http://backup.example.com"
    plain = app.run("doctor", "--json")
    assert (plain.exit_code != 0, "https" in plain.output) == (True, True)
    assert app.asked == []


def test_every_check_is_in_the_administrators_guide(world: World, app: FakeApp) -> None:
    guide = (HOST_JSON.parent / "docs" / "administrator.md").read_text()
    _give(app, status=401)
    more = {"anchors": world.anchors, "restoring": world.workspace}
    systems = _systems(world, PlayedProbes(), has_mail=True, has_vault=True, **more)
    names = {str(row["name"]) for row in world.app.doctor.check()} | _check(systems).keys()
    names |= {row["name"] for row in json.loads(app.run("doctor", "--json").stdout)} | {"role", "host"}
    assert len(names) >= 25
    assert sorted(name for name in names if f"`{name}`" not in guide) == []
