"""One suite for every vault: the vendor's client against a Key Vault over HTTPS, and the one in memory."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from local.memory.vault import MemoryVault
from shared.domain.credentials import PREVIOUS_TAG, PROVING, STATE_TAG
from shared.errors import SecretMissing
from shared.protocols import Vault
from tests.azure import Azure, azure

__all__ = ["azure"]
SOON = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
pytestmark = pytest.mark.xdist_group("azure")


@pytest.fixture(params=["memory", "key vault"])
def vault(request: pytest.FixtureRequest, azure: Azure) -> Vault:
    return MemoryVault() if request.param == "memory" else azure.vault()


@pytest.fixture
def name() -> str:
    return f"secret-{uuid.uuid4().hex}"


def test_the_newest_version_is_read_and_each_by_its_name(vault: Vault, name: str) -> None:
    first = vault.write(name, "one", None, {})
    second = vault.write(name, "two", SOON, {"a": "b"})
    assert first != second
    newest = vault.read(name)
    assert (newest.name, newest.version, newest.value) == (name, second, "two")
    assert (newest.expires_at, dict(newest.tags)) == (SOON, {"a": "b"})
    before = vault.read(name, first)
    assert (before.version, before.value, before.expires_at, dict(before.tags)) == (first, "one", None, {})


def test_what_is_not_there_is_missing(vault: Vault, name: str) -> None:
    with pytest.raises(SecretMissing, match=name):
        vault.read(name)
    vault.write(name, "one", None, {})
    with pytest.raises(SecretMissing):
        vault.read(name, "0" * 32)


def test_tags_are_replaced_and_nothing_else(vault: Vault, name: str) -> None:
    version = vault.write(name, "one", SOON, {"a": "b", "c": "d"})
    vault.tag(name, version, {"a": "e"})
    found = vault.read(name)
    assert (dict(found.tags), found.value, found.expires_at, found.version) == ({"a": "e"}, "one", SOON, version)


def test_a_disabled_version_is_missing_and_others_are_not(vault: Vault, name: str) -> None:
    first = vault.write(name, "one", None, {})
    vault.write(name, "two", None, {})
    vault.disable(name, first)
    vault.disable(name, first)
    with pytest.raises(SecretMissing):
        vault.read(name, first)
    assert vault.read(name).value == "two"


def test_a_version_that_is_not_proved_stands_aside(vault: Vault, name: str) -> None:
    first = vault.write(name, "one", None, {})
    second = vault.write(name, "two", None, {STATE_TAG: PROVING, PREVIOUS_TAG: first})
    assert (vault.read(name).version, vault.current(name).version) == (second, first)
    vault.tag(name, second, {STATE_TAG: "current", PREVIOUS_TAG: first})
    assert vault.current(name).value == "two"


def test_a_version_that_came_late_does_not_bring_back_what_was_before(vault: Vault, name: str) -> None:
    first = vault.write(name, "one", None, {})
    vault.write(name, "two", None, {STATE_TAG: "current", PREVIOUS_TAG: first})
    vault.disable(name, first)
    vault.write(name, "late", None, {STATE_TAG: PROVING, PREVIOUS_TAG: first})
    assert vault.current(name).value == "two"


def test_dates_are_those_of_the_newest_versions_alone(vault: Vault, name: str) -> None:
    vault.write(name, "one", SOON, {})
    others = [f"{name}-{n}" for n in range(30)]
    for other in others:
        vault.write(other, "x", SOON, {})
    vault.disable(others[0], vault.read(others[0]).version)
    vault.write(others[1], "y", None, {})
    found = {n: at for n, at in vault.dates().items() if n.startswith(name)}
    assert found == dict.fromkeys([name, *others[2:]], SOON)
