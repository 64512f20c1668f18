"""The services that tell people what changed."""

from __future__ import annotations

from shared.domain.repository_links import RepositoryLinks
from shared.services.content import ContentService
from shared.services.digests import DigestService
from shared.services.history import HistoryService
from shared.services.line_counter import LineCounter, LineLimits
from shared.services.reports import ReportService
from shared.settings import Settings
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores


def report_service(
    settings: Settings, a: Adapters, s: Stores, history: HistoryService, content: ContentService
) -> ReportService:
    return ReportService(
        history=history,
        lines=LineCounter(content, a.clock, LineLimits()),
        log=s.versions,
        people=settings.people,
        links=RepositoryLinks.of(settings.git_remote_url),
        clock=a.clock,
    )


def digest_service(settings: Settings, a: Adapters, reports: ReportService) -> DigestService:
    return DigestService(reports, settings.digests, a.clock, settings.digest_hour)
