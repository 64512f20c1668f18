"""The change log in memory: the simulated workspace's audit table, asked without HTTP."""

from __future__ import annotations

from collections.abc import Iterator

from local.memory.workspace import PRINCIPAL
from local.workspace.api import AUDIT_COLUMNS, WorkspaceApi
from local.workspace.behaviour import Behaviour
from local.workspace.model import WorkspaceModel
from shared.adapters.change_log import change_event
from shared.domain.attribution import ChangeEvent


class MemoryChangeLog:
    """See `shared.protocols.ChangeLog`. `behaviour` says which rows come late."""

    def __init__(self, model: WorkspaceModel, behaviour: Behaviour) -> None:
        self._api = WorkspaceApi(model, behaviour, PRINCIPAL)

    def ours(self) -> list[str]:
        """See `ChangeLog.ours`."""
        return [str(self._api.me({})["userName"])]

    def events(self, from_ms: int, to_ms: int) -> Iterator[ChangeEvent]:
        """See `ChangeLog.events`."""
        given = [{"name": "from", "value": str(from_ms)}, {"name": "to", "value": str(to_ms)}]
        answer = self._api.statements({"statement": "system.access.audit", "parameters": given})
        chunk: int | None = 0
        while chunk is not None:
            part = self._api.chunk(answer["statement_id"], chunk)
            yield from (change_event(dict(zip(AUDIT_COLUMNS, row, strict=True))) for row in part["data_array"])
            chunk = part.get("next_chunk_index")
