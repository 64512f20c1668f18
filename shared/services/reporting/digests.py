"""Digests: the change reports that people subscribed to, as mails."""

from __future__ import annotations

from shared.clock import Clock
from shared.domain.digests import Digests, Schedule, Subscription
from shared.protocols import DigestMail, Outbox
from shared.services.reporting.report_html import many, report_html, report_text, title
from shared.services.reporting.reports import ReportService

MOST_LISTED = 40
"""So that a mail stays below the 102 kB from which on Gmail cuts it."""


class DigestService:
    """Makes the mails of the subscriptions; a digest's period ends at `hour` in UTC."""

    def __init__(self, reports: ReportService, digests: Digests, clock: Clock, hour: int) -> None:
        self._reports, self._digests, self._clock, self._hour = reports, digests, clock, hour

    def due(self) -> list[DigestMail]:
        """The mails of the last day and week that are over; none for a period without changes.

        The same again until the next period is over: their keys say which were sent. Raises what
        `ReportService.changes` raises.
        """
        mails = (self._mail(subscription) for subscription in self._digests.subscriptions)
        return [mail for mail in mails if mail]

    def send(self, outbox: Outbox) -> int:
        """Make and hand over the mails that are due, and say how many; those that were handed over are not made."""
        sent = 0
        for subscription in self._digests.subscriptions:
            key = subscription.key(subscription.period(self._clock.now(), self._hour))
            mail = None if outbox.took(key) else self._mail(subscription)
            if mail is not None:
                outbox.send(mail)
                sent += 1
        return sent

    def _mail(self, subscription: Subscription) -> DigestMail | None:
        period = subscription.period(self._clock.now(), self._hour)
        found = self._reports.changes(period, subscription.selection, MOST_LISTED)
        total = found.report.total
        if not total.changes:
            return None
        often = "Daily" if subscription.schedule is Schedule.DAILY else "Weekly"
        return DigestMail(
            to=subscription.to,
            subject=f"{often} digest: {many(total.changes, 'change')}. {title(found.report)}",
            html=report_html(found),
            text=report_text(found),
            key=subscription.key(period),
        )
