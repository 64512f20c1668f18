"""A server that sends on to another host gets a credential no further."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError

from local.memory.clock import ManualClock
from shared.adapters.azure_mail import AzureMailer
from shared.adapters.git_blobs import DirectBlobs
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.repository import GitRepository
from shared.adapters.repository_size import GitSizeMeter
from shared.adapters.storage import StorageClients
from shared.adapters.telemetry import OpenTelemetry, to_otlp
from shared.adapters.workspace import DatabricksWorkspace
from shared.domain.mail import Mail
from shared.errors import RepositoryError, WorkspaceError
from shared.protocols import Delivery
from tests.listeners import Listener, redirecting

SECRET = "secret-of-tests"
COMMIT = "1" * 40


@pytest.fixture
def servers() -> Iterator[tuple[Listener, Listener]]:
    with redirecting() as (first, other):
        yield first, other


def _check(first: Listener, other: Listener) -> None:
    """The first was asked, with the credential; the other was not."""
    assert any(SECRET in "".join(sent.headers.values()) for sent in first.sent)
    assert other.sent == []


def test_the_workspaces_token(servers: tuple[Listener, Listener]) -> None:
    first, other = servers
    clock = ManualClock()
    limiter = AdaptiveLimiter(clock, max_per_second=1000, max_in_flight=4)
    workspace = DatabricksWorkspace(first.url, lambda: SECRET, limiter, clock)
    with pytest.raises(WorkspaceError):
        workspace.list("/Clients")
    with pytest.raises(WorkspaceError):
        workspace.delete_notebook("/Clients/x")
    _check(first, other)


def test_gits_authorization(servers: tuple[Listener, Listener], tmp_path: Path) -> None:
    first, other = servers
    repository = GitRepository(f"{first.url}/r.git", "main", tmp_path / "mirror", lambda: f"Bearer {SECRET}")
    with pytest.raises(RepositoryError):
        repository.fetch()
    _check(first, other)


def test_gits_authorization_for_a_few_blobs(servers: tuple[Listener, Listener]) -> None:
    first, other = servers
    assert DirectBlobs(f"{first.url}/r.git", lambda: f"Bearer {SECRET}").get([COMMIT]) is None
    _check(first, other)


@pytest.mark.parametrize("path", ["r.git", "o/p/_git/r"])
def test_gits_authorization_for_a_measurement(servers: tuple[Listener, Listener], path: str) -> None:
    first, other = servers
    with pytest.raises(RepositoryError):
        GitSizeMeter(f"{first.url}/{path}", lambda: f"Bearer {SECRET}").measure(COMMIT, None)
    _check(first, other)


def test_what_is_measured_and_logged(servers: tuple[Listener, Listener], caplog: pytest.LogCaptureFixture) -> None:
    first, other = servers
    caplog.set_level(logging.CRITICAL)
    telemetry = OpenTelemetry(to_otlp(first.url, 3600))
    telemetry.count("backup.workspace.calls", outcome=SECRET)
    with telemetry.span("x"):
        pass
    telemetry.shutdown()
    assert any(SECRET.encode() in sent.body for sent in first.sent)
    assert other.sent == []


def _storage(first: Listener) -> StorageClients:
    of = dict.fromkeys(("Blob", "Queue", "Table"), f"{first.url}/devstoreaccount1")
    endpoints = ";".join(f"{name}Endpoint={url}" for name, url in of.items())
    text = f"DefaultEndpointsProtocol=http;AccountName={SECRET};AccountKey=a2V5;{endpoints}"
    return StorageClients.from_connection_string(text)


@pytest.mark.parametrize("kind", ["blob", "queue", "table"])
def test_the_storage_accounts_signature(servers: tuple[Listener, Listener], kind: str) -> None:
    first, other = servers
    calls: dict[str, Any] = {
        "blob": lambda s: s.blobs("backup").get("x"),
        "queue": lambda s: s.queues().send("backup", "x"),
        "table": lambda s: s.tables().get("checkpoints", "x", "y"),
    }
    with contextlib.suppress(AzureError):
        calls[kind](_storage(first))
    _check(first, other)


def test_the_mail_services_signature(servers: tuple[Listener, Listener]) -> None:
    first, other = servers
    mailer = AzureMailer.connect(first.url, AzureKeyCredential("a2V5"), "backup@example.com")
    mail = Mail("failed-x", ("a@example.com",), "subject", SECRET, "<p>html</p>", datetime(2026, 1, 2, tzinfo=UTC))
    assert mailer.send(mail).outcome is not Delivery.SENT
    assert [SECRET.encode() in sent.body for sent in first.sent] == [True]
    assert other.sent == []


def test_an_address_that_runs_a_command_is_none(tmp_path: Path) -> None:
    made = tmp_path / "made"
    repository = GitRepository(f"ext::sh -c touch% {made}", "main", tmp_path / "mirror", lambda: "none")
    with pytest.raises(RepositoryError, match="not allowed"):
        repository.fetch()
    assert not made.exists()
