"""Tables of an audit trail, in memory and on Azurite."""

from __future__ import annotations

import uuid

import pytest

from local.memory.storage import MemoryTables
from shared.adapters.storage import StorageClients
from shared.services.audit.rows import AUDIT
from tests.faults.audit_trails import Tapped


@pytest.fixture(params=["memory", "azurite"])
def tables(request: pytest.FixtureRequest) -> Tapped:
    if request.param == "memory":
        return Tapped(MemoryTables(), AUDIT)
    clients = StorageClients.from_connection_string(request.getfixturevalue("azurite"))
    return Tapped(clients.tables(), f"audit{uuid.uuid4().hex}")


@pytest.fixture
def memory() -> Tapped:
    return Tapped(MemoryTables(), AUDIT)
