"""An app registration is taken over only where nobody else can have prepared it: a name and notes are anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.setup_machine import ANSWERS, IDS, Machine

ID = "00000000-0000-0000-0000-00000000000a"
MARK = f"notebook-backup backup {ANSWERS['subscription']}"
THEIRS: dict[str, Any] = {
    "appId": ID,
    "id": "object-a",
    "displayName": "Notebook backup (backup)",
    "notes": MARK,
    "owners": ["me-1"],
    "passwords": 0,
}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("changed", "federated", "said"),
    [
        ({"notes": None}, [], "that this set-up did not make"),
        ({"notes": "notebook-backup backup 1b2c3d4e-0000-4000-8000-000000000002"}, [], "that this set-up did not make"),
        ({"owners": ["somebody-else"]}, [], "does not belong to you alone"),
        ({"owners": ["me-1", "somebody-else"]}, [], "does not belong to you alone"),
        ({"owners": []}, [], "does not belong to you alone"),
        ({"passwords": 1}, [], "has secrets or certificates"),
        ({}, [{"name": "app-service-sign-in", "subject": "principal-of-somebody"}], "opens to an identity"),
    ],
    ids=["no-mark", "other-subscription", "other-owner", "shared", "nobody's", "secret", "federated"],
)
def test_a_registration_that_somebody_else_may_have_prepared_is_not_taken_over(
    machine: Machine, changed: dict[str, Any], federated: list[Any], said: str
) -> None:
    machine.change_cloud(apps=[{**THEIRS, **changed}], federated=federated)
    told = machine.run(**ANSWERS)
    assert (said in told, "--app-id ID" in told, "./backup setup OTHER" in told) == (True, True, True)
    assert machine.cloud["apps"] == [{**THEIRS, **changed}]
    assert machine.done[-1] == IDS[IDS.index("app-registration") - 1]


def test_two_registrations_of_the_name_are_both_named(machine: Machine) -> None:
    machine.change_cloud(apps=[THEIRS, {**THEIRS, "appId": "other"}])
    assert f"2 registrations are called Notebook backup (backup): {ID}, other" in machine.run(**ANSWERS)


def test_the_own_registration_is_found_again_where_nothing_is_remembered(machine: Machine) -> None:
    machine.run(**ANSWERS)
    assert machine.cloud["apps"][0]["notes"] == MARK
    (machine.folder / "state" / "backup.json").unlink()
    assert "Done: " in machine.run(**ANSWERS)
    assert len(machine.cloud["apps"]) == 1


def test_the_remembered_registration_is_kept_beside_another_of_its_name(machine: Machine) -> None:
    machine.run(**ANSWERS)
    own = machine.cloud["apps"][0]
    machine.change_cloud(apps=[THEIRS, own])
    assert "Done: " in machine.run("app-registration")
    assert machine.state["done"]["app-registration"]["kept"]["app_id"] == own["appId"]


def test_whoever_names_a_registration_vouches_for_it(machine: Machine) -> None:
    machine.change_cloud(apps=[{**THEIRS, "notes": None, "owners": ["somebody-else"]}])
    assert "Done: " in machine.run(app_id=ID, **ANSWERS)
    assert machine.state["done"]["app-registration"]["kept"]["app_id"] == ID
    assert "Done: " in machine.run()
    assert len(machine.cloud["apps"]) == 1


def test_a_registration_that_is_named_and_not_there_is_a_mistake(machine: Machine) -> None:
    told = machine.run(app_id=ID, **ANSWERS)
    assert f"Resource '{ID}' does not exist" in told
    assert "apps" not in machine.cloud or machine.cloud["apps"] == []


def test_a_registration_that_was_deleted_is_made_again(machine: Machine) -> None:
    machine.run(**ANSWERS)
    machine.change_cloud(apps=[], sps=[])
    assert "Done: " in machine.run("app-registration", "service-principal", "operator")
    assert len(machine.cloud["apps"]) == 1
