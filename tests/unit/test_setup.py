"""The set-up against stand-ins for the Azure tools, which hold each command to the real syntax."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.cli.setup import Asked, Walk
from shared.cli.setup_engine import SetupStopped
from shared.cli.setup_steps import ROLES, role_id, steps
from tests.azure_tools import Refused, Tools

ROOT = Path(__file__).resolve().parent.parent.parent
ANSWERS = {
    "subscription": "1b2c3d4e-0000-4000-8000-000000000001",
    "databricks_host": "https://adb-1.2.azuredatabricks.net",
    "organisation": "contoso",
    "project": "data",
    "alert_emails": "ops@example.com",
    "warehouse": "abc123",
}
IDS = [step.id for step in steps({"warehouse": "abc123"})]


@dataclass
class Machine:
    """A checkout on a machine where the tools are stand-ins."""

    folder: Path
    fault: str = ""
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def run(self, *again: str, dry_run: bool = False, agrees: bool = True, **given: str) -> str:
        """The set-up with these answers; what it told, with the error where it stopped."""
        self.told.clear()
        walk = Walk(self.folder / "state", ROOT, self.told.append, lambda _: agrees, self._execute)
        try:
            walk.go(Asked("backup", given, again=frozenset(again), dry_run=dry_run))
        except SetupStopped as error:
            self.told.append(f"stopped: {error}")
        return "\n".join(self.told)

    def _execute(self, argv: list[str], folder: Path, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        if argv[0] == "func":
            self.asked.append(f"in {folder.relative_to(ROOT)}")
        if argv[0].startswith("./"):
            self.asked.append(" ".join([*more.values(), *argv]))
            return subprocess.CompletedProcess(argv, 0, "[]", "")
        try:
            found = Tools(self.folder, self.fault).call(argv[0], argv[1:])
        except Refused as error:
            return subprocess.CompletedProcess(argv, 1, "", str(error))
        return subprocess.CompletedProcess(argv, 0, json.dumps(found) if found is not None else "", "")

    @property
    def commands(self) -> list[list[str]]:
        """Every command line that a stand-in got."""
        log = self.folder / "commands.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def cloud(self) -> dict[str, Any]:
        """What the stand-ins have made."""
        found: dict[str, Any] = json.loads((self.folder / "cloud.json").read_text())
        return found

    @property
    def done(self) -> list[str]:
        """The steps that are remembered as done."""
        return list(json.loads((self.folder / "state" / "backup.json").read_text())["done"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_set_up_is_walked_to_its_end_and_a_second_one_changes_nothing(machine: Machine) -> None:
    told = machine.run(**ANSWERS)
    assert machine.done == IDS, told
    cloud = machine.cloud
    assert {r["value"]: r["id"] for r in cloud["apps"][0]["appRoles"]} == {name: role_id(name) for name in ROLES}
    assert cloud["apps"][0]["--web-redirect-uris"] == "https://func-backup-x.azurewebsites.net/.auth/login/aad/callback"
    assert cloud["federated"][0]["subject"] == "principal-sign-in"
    assert cloud["operators"][0]["appRoleId"] == role_id("Backup.Operator")
    assert cloud["deployed"]["gitRemoteUrl"] == "https://dev.azure.com/contoso/data/_git/notebooks"
    assert cloud["scim"].keys() == {"client-backup", "client-restore"}
    rights = next(body for _, path, body in cloud["rest"] if "permissions/directories/77" in path)
    assert [(r["service_principal_name"], r["permission_level"]) for r in rights["access_control_list"]] == [
        ("client-backup", "CAN_READ"),
        ("client-restore", "CAN_MANAGE"),
    ]
    assert cloud["published"] == ["func-backup-x"]
    count = len(machine.commands)
    assert machine.run().count("done before") == len(IDS) - 4
    again = {re.split(" -", " ".join(c[1:]))[0] for c in machine.commands[count:]}
    assert again == {
        *("version", "account set", "account show", "ad signed-in-user show", "role assignment list"),
        "account get-access-token",
    }
    assert machine.cloud["rest"] == cloud["rest"]


@pytest.mark.parametrize("fault", ["ad sp create", "deployment sub", "permissions/directories", "entitlements", "zip"])
def test_a_set_up_that_stops_says_why_and_goes_on_from_there(machine: Machine, fault: str) -> None:
    machine.fault = fault
    told = machine.run(**ANSWERS)
    assert ("(Forbidden)" in told, "What to do:" in told) == (True, True)
    done = machine.done
    assert done == IDS[: len(done)]
    assert len(done) < len(IDS)
    machine.fault = ""
    machine.run()
    assert machine.done == IDS
    assert [c[1:4] for c in machine.commands].count(["ad", "app", "create"]) == 1


def test_what_is_there_already_is_found_and_not_made_again(machine: Machine) -> None:
    machine.run(**ANSWERS)
    (machine.folder / "state" / "backup.json").unlink()
    told = machine.run(**ANSWERS)
    assert machine.done == IDS, told
    assert told.count("is there already") == 7
    assert len(machine.cloud["apps"]) == 1


def test_another_answer_makes_just_the_steps_due_that_it_touches(machine: Machine) -> None:
    machine.run(**ANSWERS)
    count = len(machine.commands)
    told = machine.run(repository="other")
    assert machine.cloud["deployed"]["gitRemoteUrl"].endswith("/_git/other")
    assert machine.cloud["repository"]["name"] == "other"
    assert told.count("done before") == len(IDS) - 6
    assert ["ad", "app", "create"] not in [c[1:4] for c in machine.commands[count:]]


def test_a_step_is_done_again_by_name(machine: Machine) -> None:
    machine.run(**ANSWERS)
    count = len(machine.commands)
    machine.run("publish")
    assert [c[1:3] for c in machine.commands[count:]].count(["functionapp", "deployment"]) == 1


def test_a_dry_run_shows_every_command_and_does_nothing(machine: Machine) -> None:
    told = machine.run(dry_run=True, **ANSWERS)
    assert (machine.commands, machine.asked, (machine.folder / "state").exists()) == ([], [], False)
    made = steps({"warehouse": "abc123"})
    assert [step.title for step in made if step.title not in told] == []
    assert len(re.findall(r"^ +\$ ", told, re.MULTILINE)) == sum(len(s.acts) + bool(s.look) for s in made)
    assert "$ BACKUP_TOKEN=... ./backup --url <app-url> sync --json" in told
    assert re.findall(r"\$\w+", told) == ["$filter"]


def test_what_each_step_came_to_can_be_read_by_a_program(machine: Machine) -> None:
    command = [sys.executable, "-m", "shared.cli", "setup", "backup", "--yes", "--dry-run", "--json"]
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in ANSWERS.items()]
    done = subprocess.run(
        [*command, *flags, f"--state={machine.folder}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    assert (done.returncode, found["error"], found["dry_run"]) == (0, None, True)
    assert [(row["step"], row["outcome"]) for row in found["steps"]] == [(step, "shown") for step in IDS]
    assert all(row["commands"] for row in found["steps"])


def test_core_tools_publish_where_they_are_asked_to(machine: Machine) -> None:
    machine.run(publish_with="func", **ANSWERS)
    assert ["func", "azure", "functionapp", "publish", "func-backup-x", "--python", "--no-build"] in machine.commands
    assert "in build/package" in machine.asked


def test_elastic_premium_runs_from_a_blob_that_whoever_sets_up_may_write(machine: Machine) -> None:
    machine.run(plan="elasticPremium", **ANSWERS)
    cloud = machine.cloud
    assert (cloud["deployed"]["operatorPrincipalId"], cloud["deployed"]["operatorPrincipalType"]) == ("me-1", "User")
    address = "https://st.blob.core.windows.net/app-package/notebook-backup.zip"
    assert cloud["uploaded"] == {address: str(ROOT / "build" / "package.zip")}
    assert (cloud["restarted"], "published" in cloud) == ("func-backup-x", False)


def test_the_token_reaches_the_commands_and_no_file(machine: Machine) -> None:
    machine.run(**ANSWERS)
    url = "./backup --url https://func-backup-x.azurewebsites.net"
    assert machine.asked[1:] == [f"eyJ0.token {url} doctor --json", f"eyJ0.token {url} sync --json"]
    kept = [f for f in (machine.folder / "state").rglob("*") if f.is_file() and "eyJ0" in f.read_text()]
    assert kept == []


def test_somebody_without_the_right_to_assign_roles_is_told_before_anything_is_made(machine: Machine) -> None:
    (machine.folder / "cloud.json").write_text(json.dumps({"roles": ["Contributor"]}))
    assert "you hold Contributor on the subscription" in machine.run(**ANSWERS)
    assert "apps" not in machine.cloud


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"databricks_host": "adb-1.2.azuredatabricks.net/?o=1"}, "--databricks-host must be https://"),
        ({"subscription": "mine"}, "--subscription is no id"),
        ({"project": "two words"}, "--project must have no blanks"),
    ],
)
def test_an_answer_that_is_wrong_is_named_before_anything_runs(
    machine: Machine, changed: dict[str, str], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        machine.run(**{**ANSWERS, **changed})
    assert machine.commands == []


def test_whoever_says_no_stops_before_the_first_step_that_acts(machine: Machine) -> None:
    assert "stopped before: The tools are here" in machine.run(agrees=False, **ANSWERS)
    assert machine.commands == []


def test_the_command_runs_the_tools_that_are_first_on_the_path(tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    tools = ROOT / "tests" / "azure_tools.py"
    (bin_folder / "az").write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {tools} az "$@"\n')
    (bin_folder / "az").chmod(0o755)
    (tmp_path / "cloud.json").write_text(json.dumps({"roles": ["Reader"]}))
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "STAND_IN_STATE": str(tmp_path)}
    command = [sys.executable, "-m", "shared.cli", "setup", "--yes", "--state", str(tmp_path / "state")]
    flags = [part for name, value in ANSWERS.items() for part in (f"--{name.replace('_', '-')}", value)]
    result = subprocess.run([*command, *flags], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, "you hold Reader on the subscription" in result.stderr) == (1, True)
    assert Machine(tmp_path).done == ["tools", "subscription"]
    missing = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    (tmp_path / "state" / "backup.json").unlink()
    missing = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (missing.returncode, "give --subscription" in missing.stderr) == (2, True)
