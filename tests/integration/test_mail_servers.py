"""Mail servers as they are: each answer tells whether a mail was taken, and none is handed over twice."""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.processes import free_port
from shared import redaction
from shared.adapters.azure_mail import AzureMailer
from shared.adapters.smtp_mail import SmtpAddress, SmtpMailer
from shared.domain.mail import Mail
from shared.protocols import Delivered, Delivery

WHEN = datetime(2026, 11, 24, tzinfo=UTC)
MAIL = Mail("failed-x", ("a@example.com", "b@example.com"), "subject", "text é", "<p>html é</p>", WHEN)
PASSWORD = "password/of tests"


@dataclass
class Server:
    """What the server answers, by recipient and to the data, and what it took."""

    recipients: dict[str, str] = field(default_factory=dict)
    data: str = "250 taken"
    drop: bool = False
    taken: list[tuple[list[str], bytes]] = field(default_factory=list)
    data_commands: int = 0
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        answer = self.recipients.get(address, "250 ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.data_commands += 1
        self.tls.append(session.ssl is not None)
        if self.drop:
            server.transport.abort()
            return "250 never heard"
        if self.data.startswith("250"):
            self.taken.append((envelope.rcpt_tos, envelope.content))
        return self.data

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


type Serve = Callable[..., int]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def serving(server: Server) -> Iterator[Serve]:
    """Start the server with options of its own; its port."""
    running: list[Controller] = []

    def start(**options: Any) -> int:
        port = free_port()
        running.append(Controller(server, hostname="127.0.0.1", port=port, **options))
        running[-1].start()
        return port

    yield start
    for controller in running:
        controller.stop()


def _mailer(port: int, **address: Any) -> SmtpMailer:
    settings = {"tls": False, "starttls": False, **address}
    trusting = settings.pop("trusting", ssl.create_default_context)
    return SmtpMailer(
        SmtpAddress("127.0.0.1", port, **settings), "backup@example.com", context=trusting, timeout_seconds=5
    )


def test_a_mail_is_taken_once_for_all_recipients(server: Server, serving: Serve) -> None:
    assert _mailer(serving()).send(MAIL) == Delivered(Delivery.SENT)
    ((recipients, content),) = server.taken
    assert recipients == ["a@example.com", "b@example.com"]
    assert b"Subject: subject\r\n" in content


@pytest.mark.parametrize(
    ("answers", "outcome", "taken"),
    [
        ({"a@example.com": "550 nobody"}, Delivery.SENT, ["b@example.com"]),
        ({"a@example.com": "550 nobody", "b@example.com": "550 nobody"}, Delivery.REFUSED, None),
        ({"a@example.com": "450 busy", "b@example.com": "550 nobody"}, Delivery.LATER, None),
    ],
)
def test_recipients_that_are_refused_are_named(
    server: Server, serving: Serve, answers: dict[str, str], outcome: Delivery, taken: list[str] | None
) -> None:
    server.recipients = answers
    delivered = _mailer(serving()).send(MAIL)
    assert delivered.outcome is outcome
    assert all(address in delivered.reason for address in answers)
    assert [recipients for recipients, _ in server.taken] == ([taken] if taken else [])


@pytest.mark.parametrize(("answer", "outcome"), [("451 later", Delivery.LATER), ("554 spam", Delivery.REFUSED)])
def test_an_answer_to_the_data_says_whether_it_was_taken(
    server: Server, serving: Serve, answer: str, outcome: Delivery
) -> None:
    server.data = answer
    assert _mailer(serving()).send(MAIL).outcome is outcome
    assert server.data_commands == 1


def test_a_connection_that_ends_while_the_data_is_taken_leaves_it_open(server: Server, serving: Serve) -> None:
    server.drop = True
    delivered = _mailer(serving()).send(MAIL)
    assert delivered.outcome is Delivery.UNSURE
    assert server.data_commands == 1


def test_a_server_that_is_not_there_is_asked_again() -> None:
    assert _mailer(free_port()).send(MAIL).outcome is Delivery.LATER


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Callable[[], ssl.SSLContext]]:
    """The server's TLS, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = made.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    folder: Path = tmp_path_factory.mktemp("tls")
    pem, private = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(pem, private)
    return served, lambda: ssl.create_default_context(cafile=str(pem))


def test_starttls_comes_before_the_password_and_the_mail(
    server: Server, serving: Serve, contexts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "_memory", redaction.Memory())
    served, trusting = contexts
    port = serving(tls_context=served, require_starttls=True, authenticator=server.authenticate)
    mailer = _mailer(port, starttls=True, trusting=trusting, user="u", password=PASSWORD)
    assert mailer.send(MAIL) == Delivered(Delivery.SENT)
    assert (server.tls, server.logins) == ([True], [(b"u", PASSWORD.encode())])


def test_tls_from_the_start(server: Server, serving: Serve, contexts: Any) -> None:
    served, trusting = contexts
    port = free_port()
    # The controller's own probe of a TLS port speaks plain: it is started by hand.
    running = Controller(server, hostname="127.0.0.1", port=port, ssl_context=served)
    running.start()
    try:
        assert _mailer(port, tls=True, trusting=trusting).send(MAIL) == Delivered(Delivery.SENT)
    finally:
        running.stop()
    assert len(server.taken) == 1


def test_a_server_without_starttls_gets_neither_password_nor_mail(server: Server, serving: Serve) -> None:
    port = serving(authenticator=server.authenticate, auth_require_tls=False)
    delivered = _mailer(port, starttls=True, user="u", password=PASSWORD).send(MAIL)
    assert delivered.outcome is Delivery.LATER
    assert (server.logins, server.taken) == ([], [])


def test_a_certificate_that_is_not_trusted_gets_nothing(server: Server, serving: Serve, contexts: Any) -> None:
    port = serving(tls_context=contexts[0], authenticator=server.authenticate)
    delivered = _mailer(port, starttls=True, user="u", password=PASSWORD).send(MAIL)
    assert (delivered.outcome, server.logins, server.taken) == (Delivery.LATER, [], [])


def test_a_wrong_password_is_told_and_may_be_mended(server: Server, serving: Serve) -> None:
    port = serving(authenticator=server.authenticate, auth_require_tls=False)
    delivered = _mailer(port, user="u", password="wrong-password-of-tests").send(MAIL)
    assert delivered.outcome is Delivery.LATER
    assert "535" in delivered.reason
    assert "wrong-password-of-tests" not in delivered.reason


class _Poller:
    def __init__(self, result: Any, done: bool = True) -> None:
        self._result, self._done = result, done

    def wait(self, seconds: float) -> None: ...

    def done(self) -> bool:
        return self._done

    def result(self) -> Any:
        return self._result


class _Client:
    """Keeps what it was asked, and answers as told."""

    def __init__(self, answer: Any) -> None:
        self._answer, self.asked = answer, []

    def begin_send(self, message: Any, *, operation_id: str) -> Any:
        self.asked.append((message, operation_id))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (_Poller({"status": "Succeeded"}), Delivery.SENT),
        (_Poller({}, done=False), Delivery.SENT),
        (_Poller({"status": "Failed", "error": {"message": "suppressed"}}), Delivery.REFUSED),
        (ServiceRequestError("no connection"), Delivery.LATER),
        (ServiceResponseError("no answer"), Delivery.UNSURE),
    ],
)
def test_communication_services_is_told_once_and_its_answer_decides(answer: Any, outcome: Delivery) -> None:
    client = _Client(answer)
    assert AzureMailer(client, "backup@example.com").send(MAIL).outcome is outcome
    ((message, operation),) = client.asked
    assert message["recipients"]["to"] == [{"address": "a@example.com"}, {"address": "b@example.com"}]
    assert message["content"] == {"subject": "subject", "plainText": "text é", "html": "<p>html é</p>"}
    again = _Client(answer)
    AzureMailer(again, "backup@example.com").send(MAIL)
    assert again.asked[0][1] == operation, "the service knows a repeated request by its id"


class Service(BaseHTTPRequestHandler):
    """Stands for Communication Services: answers with the status that the server holds, takes what it accepts."""

    def do_POST(self) -> None:
        self.server.asked.append((self.headers["Operation-Id"], self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self._answer(self.server.status, "Running")  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        self._answer(200, self.server.outcome)  # type: ignore[attr-defined]

    def _answer(self, status: int, outcome: str) -> None:
        body = json.dumps({"id": "1", "status": outcome, "error": {"code": "x", "message": "no"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Operation-Location", f"http://127.0.0.1:{self.server.server_port}/emails/operations/1")  # type: ignore[attr-defined]
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", free_port()), Service)
    server.asked, server.status, server.outcome = [], 202, "Succeeded"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _azure(service: Any) -> AzureMailer:
    return AzureMailer.connect(
        f"http://127.0.0.1:{service.server_port}", AzureKeyCredential("a2V5"), "backup@example.com"
    )


@pytest.mark.parametrize(("outcome", "expected"), [("Succeeded", Delivery.SENT), ("Failed", Delivery.REFUSED)])
def test_the_vendors_client_sends_and_learns_what_became_of_it(service: Any, outcome: str, expected: Delivery) -> None:
    service.outcome = outcome
    assert _azure(service).send(MAIL).outcome is expected
    ((operation, body),) = service.asked
    assert uuid.UUID(operation)
    assert json.loads(body)["content"]["plainText"] == "text é"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (429, Delivery.LATER),
        (503, Delivery.LATER),
        (401, Delivery.LATER),
        (400, Delivery.REFUSED),
        (500, Delivery.UNSURE),
    ],
)
def test_the_vendors_client_repeats_nothing_by_itself(service: Any, status: int, outcome: Delivery) -> None:
    service.status = status
    assert _azure(service).send(MAIL).outcome is outcome
    assert len(service.asked) == 1
