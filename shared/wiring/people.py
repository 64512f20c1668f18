"""The services that tell people what changed."""

from __future__ import annotations

from shared.domain.repository_links import RepositoryLinks
from shared.services.backup.attribution import AttributionService
from shared.services.backup.restored import RestoredNotebooks
from shared.services.git_folders.brought import BroughtStore
from shared.services.recovery.content import ContentService
from shared.services.recovery.history import HistoryService
from shared.services.reporting.digests import DigestService
from shared.services.reporting.line_counter import LineCounter, LineLimits
from shared.services.reporting.reports import ReportService
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def attribution_service(settings: Settings, a: Adapters, s: Stores, history: HistoryService) -> AttributionService:
    return AttributionService(
        log=a.changes,
        restores=RestoredNotebooks(s.restores),
        brought=BroughtStore(a.blobs, a.clock),
        history=history,
        blobs=a.blobs,
        tables=a.tables,
        clock=a.clock,
        days=settings.attribution_days,
    )


def report_service(settings: Settings, a: Adapters, history: HistoryService, content: ContentService) -> ReportService:
    return ReportService(
        history=history,
        lines=LineCounter(content, a.clock, LineLimits()),
        people=settings.people,
        links=RepositoryLinks.of(settings.git_remote_url),
        clock=a.clock,
    )


def digest_service(settings: Settings, a: Adapters, reports: ReportService) -> DigestService:
    return DigestService(reports, settings.digests, a.clock, settings.digest_hour)
