"""The services that show how the backup stands."""

from __future__ import annotations

from shared.services.credentials.watch import CredentialWatch
from shared.services.recovery.history import HistoryService
from shared.services.recovery.restores import RestoreService
from shared.services.reporting.capacity import CapacityService
from shared.services.reporting.dashboard import DashboardService
from shared.services.state.status import StatusService
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def capacity_service(a: Adapters, s: Stores, history: HistoryService) -> CapacityService:
    return CapacityService(
        meter=a.meter, tables=a.tables, blobs=a.blobs, manifests=s.manifests, history=history, clock=a.clock
    )


def dashboard_service(
    a: Adapters, s: Stores, restores: RestoreService, capacity: CapacityService, watch: CredentialWatch
) -> DashboardService:
    return DashboardService(
        status=StatusService(s.runs, s.batches, a.clock),
        runs=s.runs,
        maintenance=s.maintenance,
        restores=restores,
        capacity=capacity,
        credentials=watch.for_dashboard,
        clock=a.clock,
    )
