"""Application Insights' ingestion endpoint on loopback: takes envelopes, and keeps them or counts them."""

from __future__ import annotations

import gzip
import json
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from local.processes import free_port

KEY = "00000000-0000-4000-8000-000000000001"
type Envelope = dict[str, Any]


class Ingestion:
    """Serves while it is entered, and hands each envelope to `take`."""

    def __init__(self, take: Callable[[Envelope], None]) -> None:
        handler = type("Handler", (_Handler,), {"take": staticmethod(take)})
        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def connection_string(self) -> str:
        """For `APPLICATIONINSIGHTS_CONNECTION_STRING`."""
        return f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class EnvelopeCount:
    """How many envelopes of each kind came, and their bytes as JSON without blanks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.items: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()

    def take(self, envelope: Envelope) -> None:
        """Count one."""
        kind = str(envelope["data"]["baseType"])
        size = len(json.dumps(envelope, separators=(",", ":")).encode())
        with self._lock:
            self.items[kind] += 1
            self.bytes[kind] += size


class _Handler(BaseHTTPRequestHandler):
    take: Callable[[Envelope], None]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        found = json.loads(body)
        for envelope in found:
            self.take(envelope)
        counts = {"itemsReceived": len(found), "itemsAccepted": len(found), "errors": []}
        answer = json.dumps(counts).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass
