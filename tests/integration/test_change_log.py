"""The audit table through the SQL statements API of the simulated workspace, over HTTP."""

from __future__ import annotations

import pytest

from local.memory.clock import ManualClock
from shared.adapters.change_log import AuditTable, change_event
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import SystemClock
from shared.errors import PermissionDenied, WorkspaceUnavailable
from tests.servers import TOKEN, Serve, Served

EVER = 2**61
EDITS = 1_203


@pytest.fixture
def server(serve: Serve) -> Served:
    found = serve("local.workspace", "--notebooks", "20", "--root", "/Clients", "--folders", "2")
    found.control("edits", {"user": "ada@example.com", "actions": [_made()]})
    edits = [{"action": "edit", "path": "/Clients/a \ud83d b"} for _ in range(EDITS)]
    found.control("edits", {"user": "grace@example.com", "actions": edits})
    return found


def _made() -> dict[str, str]:
    return {"action": "create", "path": "/Clients/a \ud83d b", "language": "SQL"}


def _table(server: Served, token: str = TOKEN) -> AuditTable:
    clock = SystemClock()
    workspace = DatabricksWorkspace(server.url, lambda: token, AdaptiveLimiter(clock), clock)
    return AuditTable(workspace, "warehouse", ManualClock())


def test_rows_come_in_chunks_and_in_order(server: Served) -> None:
    found = [e for e in _table(server).events(0, EVER) if e.path == "/Clients/a \ud83d b"]
    assert [e.actor for e in found] == ["ada@example.com"] + ["grace@example.com"] * EDITS
    assert [e.at_ms for e in found] == sorted(e.at_ms for e in found)
    assert len({e.event_id for e in found}) == EDITS + 1
    assert {e.action for e in found} == {"createNotebook", "modifyNotebook"}


def test_only_the_time_that_is_asked_for_comes(server: Served) -> None:
    last = list(_table(server).events(0, EVER))[-1]
    assert [e.event_id for e in _table(server).events(last.at_ms, last.at_ms + 1)][-1] == last.event_id
    assert last.event_id not in {e.event_id for e in _table(server).events(0, last.at_ms)}


def test_a_warehouse_that_starts_is_waited_for_and_one_that_does_not_is_an_error(server: Served) -> None:
    server.control("behaviour", {"statement_polls": 5})
    assert len(list(_table(server).events(0, EVER))) > EDITS
    server.control("behaviour", {"statement_polls": 10_000})
    with pytest.raises(WorkspaceUnavailable, match="warehouse"):
        list(_table(server).events(0, EVER))


def test_faults_of_the_api_are_retried_or_told(server: Served) -> None:
    faults = [{"kind": kind, "times": 1} for kind in ("503", "cut_body", "429", "error_200", "close")]
    server.control("behaviour", {"faults": faults})
    assert len(list(_table(server).events(0, EVER))) > EDITS
    with pytest.raises(PermissionDenied):
        list(_table(server, "wrong").events(0, EVER))


def test_our_own_name_is_known(server: Served) -> None:
    assert _table(server).ours() != []


WHOLE = {"event_id": "1", "event_time": "5", "user_email": "a", "action_name": "b", "request_params": "{}"}


@pytest.mark.parametrize("wrong", [{"event_time": "soon"}, *({"request_params": p} for p in ("[", "[]", 7))])
def test_a_row_that_is_none_is_an_error(wrong: dict[str, object]) -> None:
    assert change_event(WHOLE).at_ms == 5
    with pytest.raises(WorkspaceUnavailable):
        change_event(WHOLE | wrong)
    with pytest.raises(WorkspaceUnavailable):
        change_event({})
