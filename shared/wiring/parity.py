"""Where the function app keeps what old copies were compared with."""

from __future__ import annotations

from shared.services.recovery.history import HistoryService
from shared.services.reporting.capacity import CapacityService
from shared.services.volume.parity import ParityService
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def parity_service(a: Adapters, s: Stores, history: HistoryService, capacity: CapacityService) -> ParityService:
    """What keeps the comparisons and tells since when both agree."""
    return ParityService(a.tables, a.blobs, s.recorder, history, capacity)
