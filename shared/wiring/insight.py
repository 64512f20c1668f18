"""The services that show how the backup stands."""

from __future__ import annotations

from collections.abc import Sequence

from shared.services.capacity import CapacityService
from shared.services.dashboard import Credential, DashboardService
from shared.services.history import HistoryService
from shared.services.restores import RestoreService
from shared.services.status import StatusService
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def capacity_service(a: Adapters, s: Stores, history: HistoryService) -> CapacityService:
    return CapacityService(
        meter=a.meter, tables=a.tables, blobs=a.blobs, manifests=s.manifests, history=history, clock=a.clock
    )


def dashboard_service(
    settings: Settings, a: Adapters, s: Stores, restores: RestoreService, capacity: CapacityService
) -> DashboardService:
    return DashboardService(
        status=StatusService(s.runs, s.batches, a.clock),
        runs=s.runs,
        maintenance=s.maintenance,
        restores=restores,
        capacity=capacity,
        credentials=lambda: credentials(settings),
        clock=a.clock,
    )


def credentials(settings: Settings) -> Sequence[Credential]:
    """What opens workspace and repository; when a configured token expires, its issuer alone knows."""
    systems = (("Workspace", settings.databricks_token), ("Repository", settings.git_token))
    return [Credential(f"{name} {'token' if token else 'identity'}", token is None) for name, token in systems]
