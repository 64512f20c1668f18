"""HTTP servers that remember what they were sent, and answer as they are told: redirects among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Sent:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


type Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Listener:
    """A server on this machine; `port` tells two of them apart as hosts."""

    answer: Callable[[Sent], Answer]
    port: int = 0
    sent: list[Sent] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def listening(answer: Callable[[Sent], Answer]) -> Iterator[Listener]:
    """Serve on a free port."""
    listener = Listener(answer)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            one = Sent(self.command, self.path, dict(self.headers), body)
            listener.sent.append(one)
            status, headers, data = listener.answer(one)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - as http.server spells them

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listener
        server.shutdown()
        thread.join()


@contextmanager
def redirecting() -> Iterator[tuple[Listener, Listener]]:
    """A server that sends every request on to another, which gets what is sent all the same."""
    with (
        listening(lambda _: (200, {}, b"{}")) as other,
        listening(lambda sent: (307, {"Location": f"{other.url}{sent.path}"}, b"")) as first,
    ):
        yield first, other
