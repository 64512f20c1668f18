"""Answers without end, answers that drip, and pauses of days: a call ends, with an error that says why."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import urllib3

from local.memory.clock import ManualClock
from shared.adapters.bounded_answer import MOST_ERROR_BYTES, AnswerTooSlow, bounded_body
from shared.adapters.devops_pull_requests import DevOpsPullRequests
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.token_calls import TokenCalls
from shared.adapters.workspace import LONGEST_PAUSE_SECONDS, MOST_EXPORT_BYTES, DatabricksWorkspace
from shared.domain.notebooks import ExportFormat
from shared.errors import IssuerUnavailable, RepositoryError, TooLarge, WorkspaceError

MEGABYTE = 2**20
ON_THE_WAY_BYTES = 16 * MEGABYTE
"""What the two ends of a connection hold, with much to spare."""
ENDLESS_BYTES = 256 * MEGABYTE
"""Where the server gives up, so that a client that reads on ends, too."""


@dataclass
class Endless:
    """A server on a socket: answers begin with `head`, and go on until nobody reads them."""

    url: str
    head: bytes = b"HTTP/1.1 200 OK\r\n\r\n"
    sent: list[int] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)
    """Whole answers that are given first, one a connection."""
    ended: threading.Event = field(default_factory=threading.Event)

    def bytes_sent(self) -> int:
        """What was sent, once nobody reads on."""
        assert self.ended.wait(60)
        return sum(self.sent)


@pytest.fixture
def endless() -> Iterator[Endless]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = Endless(f"http://127.0.0.1:{listener.getsockname()[1]}")
    thread = threading.Thread(target=_serve, args=(listener, server))
    thread.start()
    yield server
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def _serve(listener: socket.socket, server: Endless) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(2**16)
            if server.given:
                connection.sendall(server.given.pop(0))
            else:
                _send(connection, server)


def _send(connection: socket.socket, server: Endless) -> None:
    sent, part = 0, bytes(2**16)
    try:
        connection.sendall(server.head)
        while sent < ENDLESS_BYTES:
            connection.sendall(part)
            sent += len(part)
    except OSError:
        pass
    server.sent.append(sent)
    server.ended.set()


class _Clock(ManualClock):
    """Remembers the pauses that are of a call, not of the limiter."""

    pauses: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.pauses = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        super().sleep(seconds)


def _workspace(server: Endless) -> tuple[DatabricksWorkspace, _Clock]:
    clock = _Clock()
    return DatabricksWorkspace(server.url, lambda: "token", AdaptiveLimiter(clock), clock), clock


def test_an_export_without_end_is_too_large_and_not_asked_for_again(endless: Endless) -> None:
    workspace, _ = _workspace(endless)
    with pytest.raises(TooLarge, match="more than"):
        workspace.export("/Clients/a", ExportFormat.SOURCE)
    assert endless.bytes_sent() < MOST_EXPORT_BYTES[ExportFormat.SOURCE] + ON_THE_WAY_BYTES
    assert len(endless.sent) == 1


def test_a_folders_zip_without_end_leaves_nothing(endless: Endless, tmp_path: Path) -> None:
    workspace, _ = _workspace(endless)
    with pytest.raises(TooLarge):
        workspace.export_folder("/Clients/a", tmp_path / "z")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", [lambda w: w.list("/Clients"), lambda w: w.api("GET", "repos")])
def test_a_listing_without_end_is_an_error_and_no_folder(
    endless: Endless, call: Callable[[DatabricksWorkspace], object]
) -> None:
    workspace, _ = _workspace(endless)
    with pytest.raises(WorkspaceError, match="ANSWER_TOO_LARGE"):
        call(workspace)
    assert endless.bytes_sent() < ENDLESS_BYTES


def test_an_error_without_end_is_cut_and_still_told(endless: Endless) -> None:
    endless.head = b'HTTP/1.1 403 Forbidden\r\n\r\n{"error_code": "PERMISSION_DENIED", "message": "'
    workspace, _ = _workspace(endless)
    with pytest.raises(WorkspaceError, match="HTTP 403"):
        workspace.status("/Clients/a")
    assert endless.bytes_sent() < MOST_ERROR_BYTES + ON_THE_WAY_BYTES


def test_an_answer_that_drips_is_given_up(endless: Endless) -> None:
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("GET", endless.url, preload_content=False)
        steps = itertools.count(0, 100)
        with pytest.raises(AnswerTooSlow):
            bounded_body(answer, ENDLESS_BYTES * 2, lambda: float(next(steps)))


def test_an_issuers_answer_without_end_is_an_error(endless: Endless) -> None:
    with pytest.raises(IssuerUnavailable, match="AnswerTooLarge"):
        TokenCalls("a token", urllib3.Retry(0)).call("list its tokens", "GET", endless.url, "Bearer x")
    assert endless.bytes_sent() < 2 * ON_THE_WAY_BYTES


def test_an_answer_of_azure_devops_without_end_is_an_error(endless: Endless) -> None:
    with pytest.raises(RepositoryError, match="AnswerTooLarge"):
        DevOpsPullRequests(endless.url, endless.url, lambda: "Basic eDp4").get(1)
    assert endless.bytes_sent() < 2 * ON_THE_WAY_BYTES


@pytest.mark.parametrize("asked", [b"864000", b"9" * 400, b"-5", b"soon", b"\xb2", b"1.5", b""])
def test_no_pause_is_longer_than_it_may_be_whatever_is_asked_for(endless: Endless, asked: bytes) -> None:
    refusal = b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: %s\r\n\r\n" % asked
    body = b'{"path": "/Clients/a", "object_type": "NOTEBOOK"}'
    endless.given = [
        refusal,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
    ]
    workspace, clock = _workspace(endless)
    assert workspace.status("/Clients/a").path == "/Clients/a"
    assert clock.pauses
    assert all(0 <= pause <= LONGEST_PAUSE_SECONDS for pause in clock.pauses)
