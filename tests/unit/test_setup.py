"""The set-up against stand-ins for the Azure tools, which hold each command to the real syntax."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from shared.cli.setup.sign_in import ROLES, role_id
from shared.cli.setup.steps import PROVIDERS, steps
from tests.setup_machine import ANSWERS, IDS, MADE_FIRST, Machine, write_package

ROOT = Path(__file__).resolve().parent.parent.parent


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
    made = cloud["rest"]
    told = machine.run()
    remembered = [s for s in steps({"warehouse": "x", "plan": "flexConsumption"}) if not s.every_time]
    assert told.count("done before") == len(remembered)
    assert machine.cloud["rest"] == made
    assert "Done: https://func-backup-x.azurewebsites.net/api/dashboard" in told
    assert told.splitlines()[-2:] == [
        "export BACKUP_URL=https://func-backup-x.azurewebsites.net",
        "export BACKUP_TOKEN=$(az account get-access-token --resource api://00000000-0000-0000-0000-000000000001 "
        "--query accessToken --output tsv)",
    ]


def test_nothing_is_made_before_everything_was_looked_up(machine: Machine) -> None:
    machine.fault = "provider register"
    machine.run(**ANSWERS)
    assert machine.done == IDS[:MADE_FIRST]
    making = re.compile(r"create|update|register|post|patch|config-zip|add|upload")
    first = next(n for n, c in enumerate(machine.commands) if making.search(" ".join(c[1:5])))
    assert machine.commands[first][1:3] == ["provider", "register"]
    assert machine.asked == ["./package"]
    looked_up = [" ".join(c) for c in machine.commands[:first]]
    for needed in ("scim/v2/Me", "get-status", "sql/warehouses", "_apis/projects", "_apis/permissions", "group list"):
        assert [c for c in looked_up if needed in c], needed


def test_providers_that_are_registered_are_left_alone(machine: Machine) -> None:
    machine.change_cloud(providers=[*PROVIDERS, "Microsoft.Other"])
    machine.run(**ANSWERS)
    assert (machine.done, machine.count("provider", "register")) == (IDS, 0)


@pytest.mark.parametrize(
    "fault", ["ad sp create", "deployment sub", "permissions/directories", "entitlements", "config-zip"]
)
def test_a_set_up_that_stops_says_why_and_goes_on_from_there(machine: Machine, fault: str) -> None:
    machine.fault = fault
    told = machine.run(**ANSWERS)
    assert ("(Forbidden)" in told, "What to do:" in told) == (True, True)
    done = machine.done
    assert done == IDS[: len(done)]
    assert len(done) < len(IDS)
    assert f"Stopped at: {IDS[len(done)]}" in re.sub(r"at: .* \((.*)\)", r"at: \1", told)
    machine.fault = ""
    assert "Done: " in machine.run()
    assert (machine.done, machine.count("ad", "app", "create")) == (IDS, 1)


def test_what_is_there_already_is_found_and_not_made_again(machine: Machine) -> None:
    machine.run(**ANSWERS)
    (machine.folder / "state" / "backup.json").unlink()
    told = machine.run(**ANSWERS)
    assert machine.done == IDS, told
    # Providers, registration, service principal, operator, federation, two identities, the repository.
    assert told.count("is there already") == 8
    assert len(machine.cloud["apps"]) == 1


def test_another_answer_makes_just_the_steps_due_that_it_touches(machine: Machine) -> None:
    machine.run(**ANSWERS)
    count = len(machine.commands)
    told = machine.run(repository="other")
    assert machine.cloud["deployed"]["gitRemoteUrl"].endswith("/_git/other")
    assert machine.cloud["repository"]["name"] == "other"
    always = [s for s in steps({"warehouse": "x", "plan": "flexConsumption"}) if s.every_time]
    assert told.count("done before") == len(IDS) - len(always) - 3  # whether it can be deployed, deployment, repository
    assert ["ad", "app", "create"] not in [c[1:4] for c in machine.commands[count:]]


def test_a_step_is_done_again_by_name(machine: Machine) -> None:
    machine.run(**ANSWERS)
    machine.run("publish")
    assert machine.count("functionapp", "deployment") == 2


def test_parameters_of_the_template_are_remembered_and_changed_one_by_one(machine: Machine) -> None:
    machine.run(parameters=("storageSkuName=Standard_LRS", "logRetentionDays=30"), **ANSWERS)
    machine.run(parameters=('extraAppSettings={"A": "b=c"}', "logRetentionDays=60"))
    deployed = machine.cloud["deployed"]
    assert (deployed["storageSkuName"], deployed["logRetentionDays"]) == ("Standard_LRS", "60")
    assert deployed["extraAppSettings"] == '{"A": "b=c"}'


@pytest.mark.parametrize("answers", [None, []], ids=["nobody-asked", "asked"])
def test_a_parameter_that_is_wrong_is_named_and_not_remembered(machine: Machine, answers: list[str] | None) -> None:
    with pytest.raises(ValueError, match="--parameter location must be NAME=VALUE"):
        machine.run(parameters=("location",), answers=answers, **ANSWERS)
    assert "Done: " in machine.run(**ANSWERS)


def test_a_step_that_there_is_not_is_named_with_those_that_there_are(machine: Machine) -> None:
    with pytest.raises(ValueError, match="no step publication; the steps are tools, package, "):
        machine.run("publication", **ANSWERS)


def test_changed_code_is_packaged_and_published_again_and_unchanged_code_is_not(machine: Machine) -> None:
    machine.run(**ANSWERS)
    machine.run()
    assert (machine.asked.count("./package"), machine.count("functionapp", "deployment")) == (1, 1)
    (machine.checkout / "function_app.py").write_text("second")
    machine.run()
    assert (machine.asked.count("./package"), machine.count("functionapp", "deployment")) == (2, 2)


def test_a_package_that_is_gone_is_made_again_and_not_published_where_it_is_the_same(machine: Machine) -> None:
    machine.run(**ANSWERS)
    (machine.checkout / "build" / "package.zip").unlink()
    machine.run()
    assert (machine.asked.count("./package"), machine.count("functionapp", "deployment")) == (2, 1)


def test_a_package_that_was_made_already_is_published(machine: Machine) -> None:
    folder = machine.folder / "made elsewhere"
    write_package(folder, "theirs")
    machine.run(package=str(folder), **ANSWERS)
    assert ("./package" in machine.asked, machine.done) == (False, IDS)
    published = next(c for c in machine.commands if "config-zip" in c)
    assert published[published.index("--src") + 1] == str(folder / "package.zip")
    write_package(folder, "theirs, newer")
    machine.run()
    assert ("./package" in machine.asked, machine.count("functionapp", "deployment")) == (False, 2)
    machine.run(package="-")
    assert "./package" in machine.asked


def test_a_folder_without_a_package_and_a_zip_that_is_none_are_named(machine: Machine) -> None:
    with pytest.raises(ValueError, match=r"--package .* must be a folder with package.zip in it"):
        machine.run(package=str(machine.folder), **ANSWERS)
    (machine.folder / "package.zip").write_bytes(b"PK, as it were")
    told = machine.run(package=str(machine.folder), **ANSWERS)
    assert ("is no whole zip file" in told, machine.done) == (True, ["tools"])


def test_a_dry_run_shows_every_command_and_does_nothing(machine: Machine) -> None:
    told = machine.run(dry_run=True, **ANSWERS)
    assert (machine.commands, machine.asked, (machine.folder / "state").exists()) == ([], [], False)
    made = steps({"warehouse": "0123456789abcdef", "plan": "flexConsumption"})
    assert [step.title for step in made if step.title not in told] == []
    assert len(re.findall(r"^ +\$ ", told, re.MULTILINE)) == sum(len(s.acts) + len(s.look) for s in made)
    assert "$ BACKUP_TOKEN=... ./backup --url <app-url> sync --no-wait --json" in told
    assert set(re.findall(r"\$\w+", told)) == {"$filter", "$select"}


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
    assert cloud["uploaded"] == {address: str(machine.checkout / "build" / "package.zip")}
    assert (cloud["restarted"], "published" in cloud) == ("func-backup-x", False)


def test_the_token_reaches_the_commands_and_no_file(machine: Machine) -> None:
    machine.run(**ANSWERS)
    url = "./backup --url https://func-backup-x.azurewebsites.net"
    asked = ("doctor --json", "status --json", "sync --no-wait --json")
    assert machine.asked[1:] == [f"eyJ0.token {url} {words}" for words in asked]
    kept = [f for f in (machine.folder / "state").rglob("*") if f.is_file() and "eyJ0" in f.read_text()]
    assert kept == []


def test_somebody_without_the_right_to_assign_roles_is_told_before_anything_is_made(machine: Machine) -> None:
    machine.change_cloud(roles=["Contributor"])
    assert "you hold Contributor on the subscription" in machine.run(**ANSWERS)
    assert "apps" not in machine.cloud


def test_whoever_says_no_stops_before_the_first_step_that_makes_something(machine: Machine) -> None:
    told = machine.run(agrees=False, **ANSWERS)
    assert "Stopped at: Resource providers are registered (providers)\nFailed: you said no" in told
    assert ("apps" in machine.cloud, machine.count("provider", "register")) == (False, 0)


def test_what_is_forgotten_is_kept_aside_and_found_again_in_azure(machine: Machine) -> None:
    machine.run(**ANSWERS)
    told = machine.run(anew=True, **ANSWERS)
    assert (machine.done, "nothing was deleted in Azure" in told) == (IDS, True)
    assert (machine.folder / "state" / "backup.before.json").exists()
    assert machine.count("deployment", "sub") == 4  # asked and made, twice


def test_steps_are_left_to_somebody_else_who_goes_on_from_the_same_file(machine: Machine) -> None:
    theirs = [name for name in IDS if name.startswith("databricks")]
    machine.change_cloud(look_ups={"/scim/v2/Me": {"groups": []}})
    told = machine.run(leave=frozenset(theirs), **ANSWERS)
    assert (machine.done, "Left to somebody else: You are an admin" in told) == (
        [name for name in IDS if name not in theirs],
        True,
    )
    machine.change_cloud(look_ups={})
    told = machine.run(leave=frozenset(["rights"]))
    assert "Left to somebody else: You may make resources and assign roles. " in told
    assert set(machine.done) == set(IDS)


def test_several_people_come_to_the_end_by_what_the_guide_has_each_leave(machine: Machine) -> None:
    guide = (ROOT / "docs" / "azure-setup.md").read_text().partition("### Several people")[2].partition("## 4.")[0]
    left = [frozenset(re.findall(r"--leave ([a-z-]+)", line)) for line in guide.splitlines() if "| `--leave" in line]
    owner, workspace, last = left[0], left[1], left[-1]
    devops = frozenset([*("subscription", "rights", "region", "resource-group", "registering", "doctor", "first-run")])
    nobody = {"/scim/v2/Me": {"groups": []}, "bfa7/2": {"value": [False]}}
    machine.change_cloud(look_ups=nobody)
    assert "Stopped" not in machine.run(leave=owner, **ANSWERS)
    machine.change_cloud(look_ups={"bfa7/2": nobody["bfa7/2"]}, roles=[])
    assert "Stopped" not in machine.run(leave=workspace)
    machine.change_cloud(look_ups={"/scim/v2/Me": nobody["/scim/v2/Me"]})
    machine.run(leave=devops | {"databricks-admin", "databricks-root", "databricks-warehouse"})
    machine.change_cloud(look_ups=nobody, roles=["Owner"])
    assert "Done: " in machine.run(leave=last)
    assert set(machine.done) == set(IDS)


def test_a_first_backup_that_is_under_way_is_not_begun_again(machine: Machine) -> None:
    machine.prints["status"] = (0, '{"active": {"run_id": "20261130T0230"}, "last": null}')
    machine.run(**ANSWERS)
    assert [line for line in machine.asked if "sync" in line] == []


def test_what_the_doctor_finds_is_told_in_lines(machine: Machine) -> None:
    rows = [
        {"name": "workspace", "level": "failed", "detail": "403", "remedy": "grant CAN READ"},
        {"name": "mail", "level": "warning", "detail": "none", "remedy": None},
    ]
    machine.prints["doctor"] = (1, json.dumps(rows))
    told = machine.run(**ANSWERS)
    assert "Failed: workspace: 403 (do: grant CAN READ)\nWhat to do: " in told
    assert ("mail" in told.partition("Failed:")[2], machine.done[-1]) == (False, "publish")


def test_a_file_of_what_is_done_that_is_damaged_is_named(machine: Machine) -> None:
    (machine.folder / "state").mkdir()
    (machine.folder / "state" / "backup.json").write_text('{"done": [')
    with pytest.raises(ValueError, match=r"backup\.json is damaged.*--anew"):
        machine.run(**ANSWERS)


def test_answers_of_somebody_who_went_away_are_offered_again(machine: Machine) -> None:
    with pytest.raises(typer.Abort):
        machine.run(answers=[ANSWERS["subscription"], "North Europe"])
    machine.asked.clear()
    with pytest.raises(typer.Abort):
        machine.run(answers=[])
    assert machine.asked == [f"Subscription id [{ANSWERS['subscription']}]"]
    assert machine.state["answers"]["location"] == "northeurope"


def test_the_command_runs_the_tools_that_are_first_on_the_path(tmp_path: Path) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    tools = ROOT / "tests" / "azure_tools.py"
    (bin_folder / "az").write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {tools} az "$@"\n')
    (bin_folder / "az").chmod(0o755)
    (tmp_path / "cloud.json").write_text(json.dumps({"roles": ["Reader"]}))
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "STAND_IN_STATE": str(tmp_path)}
    write_package(tmp_path / "made", "ours")
    options = ["--yes", "--package", str(tmp_path / "made"), "--state", str(tmp_path / "state")]
    command = [sys.executable, "-m", "shared.cli", "setup", *options]
    flags = [part for name, value in ANSWERS.items() for part in (f"--{name.replace('_', '-')}", value)]
    result = subprocess.run([*command, *flags], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, "you hold Reader on the subscription" in result.stderr) == (1, True)
    assert list(json.loads((tmp_path / "state" / "backup.json").read_text())["done"]) == [
        "tools",
        "package",
        "subscription",
    ]
    missing = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert missing.returncode == 1
    (tmp_path / "state" / "backup.json").unlink()
    missing = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (missing.returncode, "give --subscription" in missing.stderr) == (2, True)
