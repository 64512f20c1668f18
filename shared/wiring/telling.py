"""The services that measure and tell: mail, what follows an ending, and what stands between runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.capacity import Level
from shared.protocols import MailTemplates
from shared.services.backup.endings import EndingService
from shared.services.recovery.tags import TagService
from shared.services.reporting.gauges import GaugeService, Targets
from shared.services.reporting.mail import MailOptions, MailService
from shared.services.reporting.outbox import MAIL_QUEUE, Outbox
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.maintenance import MAINTENANCE_QUEUE
from shared.services.state.runs import PLAN_QUEUE
from shared.services.state.status import Json, StatusService
from shared.settings import Settings
from shared.wiring.deferred import deferred
from shared.wiring.outside import Adapters
from shared.wiring.stores import Stores

WORK_QUEUES = (PLAN_QUEUE, EXPORT_QUEUE, MAINTENANCE_QUEUE, MAIL_QUEUE)
_log = logging.getLogger("backup.telling")
QUEUES = (*WORK_QUEUES, *(f"{name}-poison" for name in WORK_QUEUES))


@dataclass(frozen=True, slots=True)
class Telling:
    """The services of one process that measure and tell."""

    mail: MailService
    endings: EndingService
    gauges: GaugeService

    def look_around(self) -> None:
        """Catch up, go on with mails, set the gauges, keep the heartbeat. Raises nothing: the next look comes soon."""
        for step in (self.endings.sweep, self.mail.repair, self.gauges.look):
            try:
                step()
            except Exception:  # noqa: BLE001 - one that fails keeps none of the others from its work
                _log.exception("a look around failed in part", extra={"action": "look_around"})

    def size_measured(self, overview: Json) -> None:
        """Set the gauge; tell once a month where the repository's level needs somebody."""
        size, level = int(overview["measured"]["bytes"]), str(overview["level"])
        self.gauges.repository_size(size)
        if level in (Level.WARNING, Level.CRITICAL):
            known = [overview[name]["days_until_advised"] for name in ("growth", "assumed")]
            days = next((d for d in known if d is not None), None)
            self.mail.size_warning(level, size, int(overview["advised_bytes"]), days)


def _mail_templates() -> MailTemplates:
    from shared.adapters.mail_templates import JinjaMailTemplates

    return JinjaMailTemplates()


def telling(settings: Settings, a: Adapters, s: Stores, status: StatusService, tags: TagService) -> Telling:
    mail = MailService(
        mailer=a.mailer,
        templates=deferred(_mail_templates),
        outbox=Outbox(a.tables, a.queue, a.clock),
        blobs=a.blobs,
        status=status,
        maintenance=s.maintenance,
        clock=a.clock,
        telemetry=a.telemetry,
        options=MailOptions(
            recipients=settings.mail_to,
            link=settings.dashboard_url,
            place=settings.backup_root,
            heartbeat=timedelta(hours=settings.heartbeat_hours),
        ),
    )
    endings = EndingService(
        runs=s.runs,
        batches=s.batches,
        maintenance=s.maintenance,
        mail=mail,
        clock=a.clock,
        telemetry=a.telemetry,
        tags=tags,
    )
    gauges = GaugeService(
        runs=s.runs,
        restores=s.restores,
        queue=a.queue,
        queues=QUEUES,
        tables=a.tables,
        mail=mail,
        clock=a.clock,
        telemetry=a.telemetry,
        targets=Targets(settings.backup_target, settings.restore_target),
    )
    return Telling(mail, endings, gauges)
