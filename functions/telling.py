"""Telling people: the queue of mails, and a timer that catches up, looks at what stands, and keeps the heartbeat."""

from __future__ import annotations

import logging

import azure.functions as func

from shared.domain.messages import MalformedMessage, read_message
from shared.services.reporting.outbox import MAIL_QUEUE
from shared.wiring import services

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]
_log = logging.getLogger("backup.mail")


@blueprint.queue_trigger("message", MAIL_QUEUE, connection="AzureWebJobsStorage")
def send_mail(message: func.QueueMessage) -> None:
    """Send the mail of one event, at most once."""
    with services().telemetry.span("send_mail"):
        services().telling.mail.send(*read_message(message.get_body(), "mail"))


@blueprint.queue_trigger("message", f"{MAIL_QUEUE}-poison", connection="AzureWebJobsStorage")
def mail_poison(message: func.QueueMessage) -> None:
    """Give up a mail that failed at every delivery."""
    try:
        (key,) = read_message(message.get_body(), "mail")
    except MalformedMessage as error:
        _log.error("a message was dropped: %s", error, extra={"action": "message.drop"})
        return
    services().telling.mail.give_up(key)


@blueprint.timer_trigger("timer", schedule="15 */5 * * * *")
def look_around(timer: func.TimerRequest) -> None:
    """Tell of what ended untold, go on with mails, set the gauges, and keep the heartbeat."""
    with services().telemetry.span("look_around"):
        services().telling.look_around()


@blueprint.timer_trigger("timer", schedule="0 5 * * * *")
def send_digests(timer: func.TimerRequest) -> None:
    """Make the digests that are due and were not made yet."""
    with services().telemetry.span("send_digests"):
        outbox = services().telling.mail.digests
        if outbox is not None:
            services().digests.send(outbox)
