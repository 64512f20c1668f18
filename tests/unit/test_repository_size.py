"""The address of a repository in Azure DevOps' API, and what is made of its answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.adapters.repository_size import GitSizeMeter
from shared.domain.devops_addresses import repository_api
from shared.errors import RepositoryError
from shared.protocols import RepositorySize, SizeSource

API = "_apis/git/repositories"
HEAD = "a" * 40


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://dev.azure.com/org/project/_git/repo", f"https://dev.azure.com/org/project/{API}/repo"),
        (
            "https://org@dev.azure.com/org/My%20Project/_git/a%20b",
            f"https://dev.azure.com/org/My%20Project/{API}/a%20b",
        ),
        ("https://dev.azure.com/org/_git/repo", f"https://dev.azure.com/org/repo/{API}/repo"),
        ("https://org.visualstudio.com/project/_git/repo", f"https://org.visualstudio.com/project/{API}/repo"),
        ("https://org.visualstudio.com/_git/repo", f"https://org.visualstudio.com/repo/{API}/repo"),
        (
            "https://org.visualstudio.com/DefaultCollection/project/_git/_full/repo",
            f"https://org.visualstudio.com/DefaultCollection/project/{API}/repo",
        ),
        (
            "https://tfs.example.com:8080/tfs/Coll/project/_git/repo/",
            f"https://tfs.example.com:8080/tfs/Coll/project/{API}/repo",
        ),
        ("https://github.com/org/repo.git", None),
        ("https://dev.azure.com/org/project/_git", None),
    ],
)
def test_the_forms_of_an_address_are_known(url: str, address: str | None) -> None:
    assert repository_api(url) == address


@dataclass
class Server:
    """Gives one answer to GET, refuses a fetch, and remembers what it was asked."""

    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    url: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(state.status, state.body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(403, b"")

        def _answer(self, status: int, body: bytes) -> None:
            state.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
            self.send_response(status)
            self.send_header("Content-Type", state.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        state.url = f"http://127.0.0.1:{served.server_port}/coll/project/_git/repo"
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        served.shutdown()
        thread.join()


def _meter(server: Server) -> GitSizeMeter:
    return GitSizeMeter(server.url, lambda: "Basic secret")


def test_the_server_says_its_size_also_beyond_32_bits(server: Server) -> None:
    server.body = json.dumps({"id": "x", "size": 30_134_050_676}).encode()
    assert _meter(server).measure(HEAD, None) == RepositorySize(30_134_050_676, SizeSource.SERVER)
    assert server.asked == [("GET", f"/coll/project/{API}/repo?api-version=7.1", "Basic secret")]


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b'{"size": 0}'), (200, b'{"size": "large"}'), (200, b"{}"), (200, b"[]"), (203, b"<html>"), (404, b"{}")],
)
def test_a_server_that_does_not_say_is_measured_by_a_fetch(server: Server, status: int, body: bytes) -> None:
    server.status, server.body = status, body
    with pytest.raises(RepositoryError, match="the server answered 403"):
        _meter(server).measure(HEAD, None)
    assert [(method, path.rpartition("/")[2]) for method, path, _ in server.asked][1:] == [("POST", "git-upload-pack")]


def test_an_address_without_http_is_refused() -> None:
    with pytest.raises(RepositoryError, match="no http address"):
        GitSizeMeter("file:///srv/repo.git", lambda: "").measure(HEAD, None)
