"""The outside systems that figures and mails go to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.adapters.log_records import bind_records, write_json
from shared.adapters.smtp_mail import SmtpAddress, SmtpMailer
from shared.adapters.telemetry import Exports, OpenTelemetry, to_azure_monitor, to_otlp
from shared.domain.mail import Mail
from shared.protocols import Delivered, Delivery, Mailer
from shared.redaction import remember
from shared.settings import Settings
from shared.wiring.deferred import deferred

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_ours = logging.getLogger("backup")
_log = logging.getLogger("backup.mail")
type Credential = Callable[[], "TokenCredential"]


class _Unusable:
    """Stands for a mail server that cannot be reached with these settings: mails wait, and backups go on."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def send(self, mail: Mail) -> Delivered:  # noqa: ARG002 - none is sent
        """See `Mailer.send`."""
        return Delivered(Delivery.LATER, self._reason)


def connect_telemetry(settings: Settings, credential: Credential) -> OpenTelemetry:
    """Telemetry as the settings say; nothing is contacted yet."""
    try:
        return OpenTelemetry(_exports(settings, credential))
    except ValueError:
        # A backup without figures is better than none.
        _log.error("APPLICATIONINSIGHTS_CONNECTION_STRING is no connection string: nothing is exported")
        return OpenTelemetry(Exports())


def _exports(settings: Settings, credential: Credential) -> Exports:
    if settings.application_insights is not None:
        connection = settings.application_insights.get_secret_value()
        remember(
            dict(part.partition("=")[::2] for part in connection.split(";")).get("InstrumentationKey", ""), keep=True
        )
        by_identity = "authorization=aad" in settings.application_insights_authentication.lower()
        return to_azure_monitor(connection, credential() if by_identity else None, settings.telemetry_seconds)
    if settings.otlp_endpoint:
        return to_otlp(settings.otlp_endpoint, settings.telemetry_seconds)
    return Exports()


def write_logs(settings: Settings, telemetry: object) -> None:
    """Structured logs: to the exporters where there are any, else as JSON on the console."""
    bind_records()
    if _ours.level == logging.NOTSET:
        _ours.setLevel(logging.INFO)
    if isinstance(telemetry, OpenTelemetry):
        telemetry.take_logs()
    if settings.application_insights is None and not settings.otlp_endpoint:
        write_json()


def connect_mailer(settings: Settings, credential: Credential) -> Mailer | None:
    """The mail server that the settings name, or None: Communication Services where their endpoint is set."""
    try:
        return _mailer(settings, credential)
    except ValueError as error:
        return _unusable(error)


def _unusable(error: ValueError) -> Mailer:
    _log.error("no mail can be sent: %s", error, extra={"action": "mail.connect"})
    return _Unusable(str(error))


def _mailer(settings: Settings, credential: Credential) -> Mailer | None:
    if not settings.mail_from:
        return None
    if settings.mail_endpoint:
        return deferred(lambda: _by_identity(settings, credential))
    if settings.smtp_url is None or not settings.smtp_url.get_secret_value():
        return None
    return SmtpMailer(SmtpAddress.parse(settings.smtp_url.get_secret_value()), settings.mail_from)


def _by_identity(settings: Settings, credential: Credential) -> Mailer:
    from shared.adapters.azure_mail import AzureMailer

    try:
        return AzureMailer.connect(settings.mail_endpoint or "", credential(), settings.mail_from)
    except ValueError as error:
        return _unusable(error)
