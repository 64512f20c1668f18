"""Each alert fires for what it is meant for, and for nothing else, on what the app itself measures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.faults.taps import Call, QuietTap
from local.memory.telemetry import MemoryTelemetry
from local.memory.world import World
from shared.domain.metrics import METRICS
from shared.domain.restore_request import RestoreBody
from shared.errors import WorkspaceUnavailable
from shared.services.state.maintenance import Kind
from tests.faults.living import fill
from tests.infra.app_functions import triggers
from tests.infra.bicep import INFRA, deploy
from tests.infra.documents import table
from tests.infra.queries import COLUMNS, BlobCall, Sample, Span, duration, firing, rules

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {name: metric.attributes for name, metric in METRICS.items()}
RULES = rules()
EXPECTED = {
    "run-failed",
    "run-partial",
    "no-success",
    "poison-messages",
    "deletions-held",
    "verification-failed",
    "restore-failed",
    "slow-answers",
    "credential-expiry",
    "repository-size",
    "package-changed",
}
NOT_AWAITED = {"get_audit_verify", "get_doctor"}
"""They prove the whole trail, or ask every outside system."""


class _Failing(QuietTap):
    """Fails every call that begins so, as a workspace that is away does."""

    def __init__(self, begin: str) -> None:
        self._begin = begin

    def before(self, call: Call) -> None:
        if str(call).startswith(self._begin):
            raise WorkspaceUnavailable(path="/Clients", error_code="UNAVAILABLE", detail="HTTP 503")


class Measured(MemoryTelemetry):
    """Telemetry that knows when each value came."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[Sample] = []
        self.world: World | None = None

    def _take(self, kind: Any, name: str, value: float, attributes: dict[str, str]) -> None:
        super()._take(kind, name, value, attributes)
        assert self.world
        self.samples.append(Sample(self.world.clock.now(), name, float(value), attributes))


@pytest.fixture
def measured() -> Measured:
    return Measured()


@pytest.fixture
def world(tmp_path: Path, measured: Measured) -> Iterator[World]:
    made = World(tmp_path, telemetry=measured)
    measured.world = made
    made.workspace.behaviour.zip_style = "never"
    fill(made, 12)
    made.back_up()
    made.look_around()
    yield made


def _fired(world: World, measured: Measured) -> dict[str, list[str]]:
    """What fires now, on what was measured, by rule; the time of the last value still counts."""
    now = world.clock.now() + timedelta(seconds=1)
    found = {name: firing(rule, measured.samples, now) for name, rule in RULES.items()}
    return {name: fired for name, fired in found.items() if fired}


def _pass(world: World, measured: Measured) -> None:
    """An hour without anything: what fired before is over."""
    measured.samples.clear()
    world.clock.sleep(3_600)


def test_a_day_on_which_all_is_well_is_silent(world: World, measured: Measured) -> None:
    path = sorted(world.notebooks())[0][0]
    world.model.apply("edit", "ada", path=path, content="# new\n")
    world.back_up()
    world.maintain(Kind.VERIFY)
    _restore(world, path)
    world.app.telling.gauges.repository_size(5 * 2**30)
    world.look_around()
    assert {s.name for s in measured.samples} >= {"backup.restores", "backup.verifications", "backup.queue.depth"}
    assert _fired(world, measured) == {}


def test_a_run_that_fails(world: World, measured: Measured) -> None:
    _pass(world, measured)
    world.process(_Failing("workspace.list"))
    assert world.back_up()["status"] == "failed"
    world.look_around()
    assert _fired(world, measured).keys() - {"poison-messages"} == {"run-failed"}


def test_a_run_that_names_failures(world: World, measured: Measured) -> None:
    path = sorted(world.notebooks())[0][0]
    world.model.apply("edit", "ada", path=path, content="# new\n")
    world.workspace.behaviour.denied = [path]
    assert world.back_up()["status"] == "partial"
    assert _fired(world, measured) == {"run-partial": [""]}


def test_deletions_that_are_held(world: World, measured: Measured) -> None:
    for gone, _ in sorted(world.notebooks())[1:]:
        world.model.apply("delete", "ada", path=gone)
    assert world.back_up()["counts"]["held"]
    assert _fired(world, measured) == {"run-partial": [""], "deletions-held": [""]}


def test_a_verification_that_finds_something(world: World, measured: Measured) -> None:
    world.blobs.stored.pop(next(name for name in world.blobs.stored if name.startswith("manifests/")))
    assert world.maintain(Kind.VERIFY)["status"] == "failed"
    assert _fired(world, measured) == {"verification-failed": [""]}


def test_a_restore_that_is_not_whole(world: World, measured: Measured) -> None:
    path = sorted(world.notebooks())[0][0]
    world.model.apply("delete", "ada", path=path)
    world.process(_Failing("workspace.import_notebook"))
    body = RestoreBody.model_validate({"at": "latest", "paths": [path]})
    assert world.app.restores.start(body, "ada", "here")["status"] in ("failed", "partial")
    assert _fired(world, measured) == {"restore-failed": [""]}


def test_a_message_that_nothing_could_do(world: World, measured: Measured) -> None:
    world.clock.sleep(300)
    world.queues.send("backup-export-poison", "{}")
    world.app.telling.gauges.look()
    assert _fired(world, measured) == {"poison-messages": ["backup-export-poison"]}


@pytest.mark.parametrize(("hours", "fires"), [(25.0, False), (27.0, True)])
def test_a_day_without_success(world: World, measured: Measured, hours: float, fires: bool) -> None:
    world.clock.sleep(hours * 3_600)
    world.look_around()
    assert _fired(world, measured).get("no-success", []) == ([""] if fires else [])


def test_a_success_of_today_counts_however_long_the_app_has_been_there(world: World, measured: Measured) -> None:
    world.clock.sleep(30 * 3_600)
    world.back_up()
    world.look_around()
    assert _fired(world, measured) == {}


def test_an_app_that_says_nothing_more(world: World, measured: Measured) -> None:
    world.clock.sleep(27 * 3_600)
    assert _fired(world, measured) == {"no-success": [""]}
    world.clock.sleep(100 * 3_600)
    assert _fired(world, measured) == {"no-success": [""]}


def test_a_new_app_has_a_day_for_its_first_run(tmp_path: Path, measured: Measured) -> None:
    world = World(tmp_path, telemetry=measured)
    measured.world = world
    world.look_around()
    world.clock.sleep(20 * 3_600)
    world.look_around()
    assert _fired(world, measured) == {}
    world.clock.sleep(7 * 3_600)
    world.look_around()
    assert _fired(world, measured) == {"no-success": [""]}


@pytest.mark.parametrize(("gigabytes", "fires"), [(7.9, False), (8.0, True), (11.0, True)])
def test_a_repository_that_grows(world: World, measured: Measured, gigabytes: float, fires: bool) -> None:
    world.app.telling.gauges.repository_size(int(gigabytes * 2**30))
    assert _fired(world, measured) == ({"repository-size": [""]} if fires else {})


def test_a_credential_near_its_end(world: World, measured: Measured) -> None:
    now = world.clock.now()
    for credential, days in (("databricks", 14.0), ("git", 15.0)):
        measured.samples.append(Sample(now, "backup.credential.days_left", days, {"credential": credential}))
    assert _fired(world, measured) == {"credential-expiry": ["databricks"]}
    # One that was renewed is measured again, and counts as it is now.
    measured.samples.append(
        Sample(now + timedelta(seconds=1), "backup.credential.days_left", 90.0, {"credential": "databricks"})
    )
    world.clock.sleep(1)
    assert _fired(world, measured) == {}


def _answers(now: datetime, name: str, *milliseconds: float) -> list[Span]:
    return [Span(now, name, value) for value in milliseconds]


def test_answers_that_people_wait_for(world: World) -> None:
    now = world.clock.now()
    quick, slow = [100.0] * 19, [100.0] * 15 + [9_000.0] * 5
    spans = [
        *_answers(now, "get_versions", *slow),
        *_answers(now, "page_history", *quick, 9_000.0),
        *_answers(now, "get_content", *[9_000.0] * 19),
        *_answers(now, "get_doctor", *[9_000.0] * 40),
        *_answers(now, "export_batch", *[90_000.0] * 40),
    ]
    assert firing(RULES["slow-answers"], spans, now) == ["get_versions"]


def test_a_package_that_somebody_changed(world: World) -> None:
    now = world.clock.now()
    accounts = {a.symbol: a.given for a in deploy().of("avm/res/storage/storage-account")}
    name = accounts["packageAccount"]["name"]
    (container,) = accounts["packageAccount"]["blobServices"]["containers"]
    package, state = f'"/{name}/{container["name"]}/package.zip"', '"/st/backup/manifests/1"'
    calls = [
        BlobCall(now, "StorageWrite", 201, package, "pipeline"),
        BlobCall(now, "StorageDelete", 202, f'"/{name}/{container["name"]}"', "somebody"),
        BlobCall(now, "StorageWrite", 403, package, "refused"),
        BlobCall(now, "StorageRead", 200, package, "reader"),
        BlobCall(now, "StorageDelete", 202, state, "the app"),
    ]
    assert firing(RULES["package-changed"], calls, now) == ["pipeline", "somebody"]
    assert firing(RULES["package-changed"], calls[2:], now) == []


def test_what_azure_logs_is_asked_of_the_workspace_that_it_is_sent_to() -> None:
    asked = {name: rule["scopes"] for name, rule in RULES.items()}
    assert asked.pop("package-changed") == ["workspace.resourceId"]
    assert set(map(tuple, asked.values())) == {("component.resourceId",)}
    accounts = {a.symbol: a.given for a in deploy().of("avm/res/storage/storage-account")}
    (setting,) = accounts["packageAccount"]["blobServices"]["diagnosticSettings"]
    assert setting["workspaceResourceId"] == "workspace.resourceId"
    assert {c["category"] for c in setting["logCategoriesAndGroups"]} == {"StorageWrite", "StorageDelete"}


def test_the_answers_are_those_that_people_get() -> None:
    functions = triggers()
    read = {name for name, trigger in functions.items() if "GET" in map(str, trigger.get("methods", ()))}
    now = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    spans = [span for name in functions for span in _answers(now, name, *[9_000.0] * 20)]
    assert set(firing(RULES["slow-answers"], spans, now)) == read - NOT_AWAITED
    assert read > NOT_AWAITED


def test_there_is_a_rule_for_each_thing_that_needs_somebody() -> None:
    assert RULES.keys() == EXPECTED
    assert {p.stem for p in (INFRA / "queries").glob("*.kql")} == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rule_leads_to_its_runbook_and_to_people(name: str) -> None:
    rule = RULES[name]
    assert rule["alertDescription"].endswith(f"docs/runbooks.md#{name}")
    assert rule["actions"]["actionGroupResourceIds"] == ["actionGroup.resourceId"]
    assert rule["enabled"] is True
    row = table("docs/azure.md", "What is watched")[name]
    minutes = duration(rule["evaluationFrequency"]) // timedelta(minutes=1)
    told = f"{minutes} minutes" if minutes < 60 else f"{minutes // 60} hours"
    assert row[1:] == [str(rule["severity"]), told]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_rule_asks_in_a_rhythm_that_azure_takes_and_misses_nothing(name: str) -> None:
    rule = RULES[name]
    every, window = duration(rule["evaluationFrequency"]), duration(rule["windowSize"])
    minutes = {1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440}
    assert every // timedelta(minutes=1) in minutes
    assert window // timedelta(minutes=1) in minutes
    # What comes late is still within a later window.
    assert window >= every
    assert window - every >= timedelta(minutes=10) or rule["queryTimeRange"]
    assert duration(rule["queryTimeRange"] or "P1D") <= timedelta(days=2), "the most that Azure looks back"


def test_people_are_those_that_the_parameter_names() -> None:
    receivers = deploy(alertEmails="a@example.com,b@example.com").one("avm/res/insights/action-group")["emailReceivers"]
    assert [(r["name"], r["emailAddress"]) for r in receivers] == [("a@example.com",) * 2, ("b@example.com",) * 2]


def test_a_threshold_is_the_parameters() -> None:
    changed = rules(noSuccessHours=30, answerTargetMilliseconds=500, credentialWarningDays=7, repositorySizeGigabytes=5)
    found = {name: rule["criterias"]["allOf"][0]["threshold"] for name, rule in changed.items()}
    assert {n: found[n] for n in ("no-success", "slow-answers", "credential-expiry", "repository-size")} == {
        "no-success": 30,
        "slow-answers": 500,
        "credential-expiry": 7,
        "repository-size": 5,
    }


def _names(query: str) -> tuple[set[str], set[str], set[str]]:
    """The metrics, the attributes and the tables that a query names."""
    text = re.sub(r"//.*", "", query)
    metrics = set(re.findall(r"'(backup\.[a-z_.]+)'", text))
    attributes = set(re.findall(r"customDimensions(?:\.|\[')(\w+)", text))
    return metrics, attributes, set(re.findall(r"^(\w+)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_query_names_what_the_app_emits(name: str) -> None:
    metrics, attributes, tables = _names((INFRA / "queries" / f"{name}.kql").read_text())
    assert metrics <= ATTRIBUTES.keys()
    assert attributes <= {a for metric in metrics for a in ATTRIBUTES[metric]}
    assert len(tables) == 1
    assert tables <= COLUMNS.keys()
    assert metrics or tables <= {"dependencies", "StorageBlobLogs"}


def _restore(world: World, path: str) -> None:
    body = RestoreBody.model_validate({"at": "latest", "paths": [path], "suffix": " (restored)"})
    assert world.app.restores.start(body, "ada", "here")["status"] == "succeeded"
