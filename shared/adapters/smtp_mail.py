"""Mail by SMTP: `smtp://` with STARTTLS, `smtps://` with TLS from the start."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from shared.domain.addresses import is_loopback
from shared.domain.mail import Mail, subject_line
from shared.protocols import Delivered, Delivery
from shared.redaction import redact, remember

TIMEOUT_SECONDS = 30.0
PORTS = {"smtp": 587, "smtps": 465}
_MOST_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class SmtpAddress:
    """Where the server is. `starttls`: whether the plain connection must become one with TLS first."""

    host: str
    port: int
    tls: bool
    starttls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> SmtpAddress:
        """Of `smtp://` or `smtps://`, `user:password@` where the server wants it. Raises `ValueError`, without the URL.

        TLS is required, but for a server on this machine: there `smtp://` stays plain.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("SMTP_URL must be smtp://host:port or smtps://host:port") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("SMTP_URL must be smtp://host:port or smtps://host:port")
        local, tls = is_loopback(parts.hostname), parts.scheme == "smtps"
        return cls(
            host=parts.hostname,
            port=port or PORTS[parts.scheme],
            tls=tls,
            starttls=not (tls or local),
            user=unquote(parts.username or ""),
            password=remember(unquote(parts.password or ""), keep=True),
        )


class SmtpMailer:
    """See `shared.protocols.Mailer`. One connection a mail: there are a few a day."""

    def __init__(
        self,
        address: SmtpAddress,
        sender: str,
        *,
        context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._address, self._sender, self._context, self._timeout = address, sender, context, timeout_seconds

    def send(self, mail: Mail) -> Delivered:
        """See `Mailer.send`."""
        message = make_message(mail, self._sender)
        try:
            server = self._connect()
        except (smtplib.SMTPException, OSError) as error:
            return _before_data(error)
        try:
            refused = self._address_mail(server, mail)
        except (smtplib.SMTPException, OSError) as error:
            server.close()
            return _before_data(error)
        if len(refused) == len(mail.to):
            self._leave(server)
            passing = any(400 <= code < 500 for code, _ in refused.values())
            return Delivered(Delivery.LATER if passing else Delivery.REFUSED, _named(refused))
        return self._hand_over(server, message, refused)

    def greet(self) -> str:
        """Connect, sign in and leave, without a mail; the server's address. Raises `SMTPException`, `OSError`."""
        self._leave(self._connect())
        return f"{self._address.host}:{self._address.port}"

    def _connect(self) -> smtplib.SMTP:
        a = self._address
        if a.tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(a.host, a.port, timeout=self._timeout, context=self._context())
        else:
            server = smtplib.SMTP(a.host, a.port, timeout=self._timeout)
        try:
            server.ehlo_or_helo_if_needed()
            if a.starttls:
                server.starttls(context=self._context())
                server.ehlo()
            if a.user:
                server.login(a.user, a.password)
        except BaseException:
            server.close()
            raise
        return server

    def _address_mail(self, server: smtplib.SMTP, mail: Mail) -> dict[str, tuple[int, bytes]]:
        """Name sender and recipients; returns those that the server refuses. Raises `SMTPException`, `OSError`."""
        code, said = server.mail(self._sender)
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, said, self._sender)
        answers = {to: server.rcpt(to) for to in mail.to}
        return {to: answer for to, answer in answers.items() if answer[0] not in (250, 251)}

    def _hand_over(self, server: smtplib.SMTP, message: bytes, refused: dict[str, tuple[int, bytes]]) -> Delivered:
        try:
            code, said = server.data(message)
        except smtplib.SMTPDataError as error:
            # The server would not begin to take it.
            self._leave(server)
            return _before_data(error)
        except (smtplib.SMTPException, OSError) as error:
            server.close()
            return Delivered(Delivery.UNSURE, _reason(f"the connection ended while the mail was taken: {error}"))
        self._leave(server)
        if code != 250:
            return _before_data(smtplib.SMTPDataError(code, said))
        return Delivered(Delivery.SENT, _named(refused))

    @staticmethod
    def _leave(server: smtplib.SMTP) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def make_message(mail: Mail, sender: str) -> bytes:
    """The mail as bytes: text and HTML beside each other. The same event has the same Message-ID."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = subject_line(mail.subject)
    message["From"] = Address("Notebook backup", addr_spec=sender)
    message["To"] = tuple(Address(addr_spec=to) for to in mail.to)
    message["Date"] = format_datetime(mail.when)
    message["Message-ID"] = f"<{mail.key}@{sender.rpartition('@')[2]}>"
    # So that nobody's out-of-office notice answers.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="base64")
    message.add_alternative(mail.html, subtype="html", cte="base64")
    return message.as_bytes()


def _before_data(error: Exception) -> Delivered:
    """Nothing was taken. A server that refuses for good (5xx) is not asked again; a wrong login may be mended."""
    code = getattr(error, "smtp_code", 0)
    for_good = isinstance(error, smtplib.SMTPResponseException) and 500 <= code < 600
    if isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPConnectError):
        for_good = False
    return Delivered(Delivery.REFUSED if for_good else Delivery.LATER, _reason(str(error) or type(error).__name__))


def _named(refused: dict[str, tuple[int, bytes]]) -> str:
    return _reason("; ".join(f"{to}: {code} {said.decode('utf-8', 'replace')}" for to, (code, said) in refused.items()))


def _reason(text: str) -> str:
    return redact(text)[:_MOST_REASON_CHARACTERS]
