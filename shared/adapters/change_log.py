"""The audit table `system.access.audit`, read through the SQL statements API.

https://docs.databricks.com/api/azure/workspace/statementexecution: results come as JSON arrays in chunks of at most
25 MiB; a statement that is not ready within `wait_timeout` is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import Clock
from shared.domain.attribution import ACTIONS, ChangeEvent
from shared.errors import WorkspaceError, WorkspaceUnavailable

WAIT_SECONDS = 30
MOST_WAIT_SECONDS = 240.0
POLL_SECONDS = 2.0
_RUNNING = ("PENDING", "RUNNING")
_TABLE = "system.access.audit"
_NAMES = ", ".join(f"'{action}'" for action in sorted(ACTIONS))
_STATEMENT = f"""
SELECT CAST(unix_millis(event_time) AS STRING) AS event_time, user_identity.email AS user_email, service_name,
       action_name, to_json(request_params) AS request_params, event_id
FROM {_TABLE}
WHERE event_date >= date(timestamp_millis(:from)) AND event_date <= date(timestamp_millis(:to))
  AND event_time >= timestamp_millis(:from) AND event_time < timestamp_millis(:to)
  AND service_name IN ('notebook', 'workspace') AND action_name IN ({_NAMES})
  AND (response.status_code IS NULL OR response.status_code < 400)
ORDER BY event_time
"""  # noqa: S608 - its parts are constants


class AuditTable:
    """See `shared.protocols.ChangeLog`. `warehouse` is the id of a SQL warehouse that may read the table.

    `restoring` is the workspace as restores write to it, where they have an identity of their own.
    """

    def __init__(
        self, workspace: DatabricksWorkspace, warehouse: str, clock: Clock, restoring: DatabricksWorkspace | None = None
    ) -> None:
        self._workspace, self._warehouse, self._clock = workspace, warehouse, clock
        self._own = (workspace, restoring) if restoring else (workspace,)

    def ours(self) -> list[str]:
        """See `ChangeLog.ours`."""
        return [name for workspace in self._own for name in _names(workspace.api("GET", "preview/scim/v2/Me"))]

    def events(self, from_ms: int, to_ms: int) -> Iterator[ChangeEvent]:
        """See `ChangeLog.events`."""
        body = {
            "warehouse_id": self._warehouse,
            "statement": _STATEMENT,
            "wait_timeout": f"{WAIT_SECONDS}s",
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
            "parameters": [_parameter("from", from_ms), _parameter("to", to_ms)],
        }
        answer = self._finished(self._workspace.api("POST", "sql/statements", body))
        columns = _columns(answer)
        chunk = answer.get("result") or {}
        while True:
            for row in chunk.get("data_array") or ():
                yield change_event(dict(zip(columns, row, strict=False)))
            following = chunk.get("next_chunk_index")
            if following is None:
                return
            chunk = self._workspace.api(
                "GET", f"sql/statements/{answer['statement_id']}/result/chunks/{int(following)}"
            )

    def _finished(self, answer: dict[str, Any]) -> dict[str, Any]:
        deadline = self._clock.monotonic() + MOST_WAIT_SECONDS
        while (state := str((answer.get("status") or {}).get("state"))) in _RUNNING:
            if self._clock.monotonic() > deadline:
                raise WorkspaceUnavailable(path=_TABLE, error_code=state, detail="the warehouse did not answer in time")
            self._clock.sleep(POLL_SECONDS)
            answer = self._workspace.api("GET", f"sql/statements/{answer['statement_id']}")
        if state != "SUCCEEDED":
            error = (answer.get("status") or {}).get("error") or {}
            detail = str(error.get("message") or "the statement failed")[:300]
            raise WorkspaceError(path=_TABLE, error_code=str(error.get("error_code") or state), detail=detail)
        return answer


def _names(me: dict[str, Any]) -> list[str]:
    mails = [str(m.get("value", "")) for m in me.get("emails") or [] if isinstance(m, dict)]
    return [name for name in (str(me.get("userName") or ""), *mails) if name]


def change_event(row: Mapping[str, Any]) -> ChangeEvent:
    """A row of the table, by column. Raises `WorkspaceUnavailable` where it is none."""
    try:
        given = row["request_params"]
        params = json.loads(given) if isinstance(given, str) else dict(given or {})
        old, new = params.get("oldPath"), params.get("newPath")
        return ChangeEvent(
            event_id=str(row["event_id"]),
            at_ms=int(row["event_time"]),
            actor=str(row["user_email"] or ""),
            action=str(row["action_name"]),
            notebook=str(params.get("notebookId") or ""),
            path=str(old or params.get("path") or ""),
            new_path=str(new or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WorkspaceUnavailable(path=_TABLE, error_code="BAD_BODY", detail="one of its rows is no row") from None


def _columns(answer: dict[str, Any]) -> list[str]:
    columns = ((answer.get("manifest") or {}).get("schema") or {}).get("columns") or []
    return [str(c.get("name")) for c in columns]


def _parameter(name: str, value: int) -> dict[str, str]:
    return {"name": name, "value": str(value), "type": "BIGINT"}
