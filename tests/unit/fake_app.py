"""A function app that gives canned answers and remembers what it was asked; the command line beside it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from typer.testing import CliRunner, Result

from shared.cli import app

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "key-of-tests"
COMMIT = "3f2a9c1d" + "0" * 32
RESTORE_ID = "20261124T080000Z-abcdef"
COLOURS = ("FORCE_COLOR", "NO_COLOR", "COLORTERM", "TTY_COMPATIBLE", "BACKUP_URL", "BACKUP_KEY", "BACKUP_DATA")


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeApp:
    """Answers by method and path, the last of several for good."""

    url: str = ""
    answers: dict[tuple[str, str], list[tuple[int, bytes]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def give(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        """Answer these, one after the other: bytes as they are, else JSON."""
        encoded = [(status, b if isinstance(b, bytes) else json.dumps(b).encode()) for b in bodies]
        self.answers.setdefault((method, path), []).extend(encoded)

    def run(self, *arguments: str) -> Result:
        """The command line in this process, without a terminal."""
        return CliRunner().invoke(app, ["--url", self.url, "--key", KEY, *arguments], prog_name="backup")

    def piped(self, *arguments: str | bytes, **environment: str) -> tuple[int, bytes, str]:
        """The command line as a process of its own whose output is piped."""
        result = subprocess.run(
            self._command(*arguments),
            env=_environment(environment),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return result.returncode, result.stdout, result.stderr.decode()

    def in_terminal(self, *arguments: str, typed: bytes = b"") -> tuple[int, str]:
        """The command line in a terminal in which something was typed."""
        ours, theirs = pty.openpty()
        streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        environment = _environment({"TERM": "xterm-256color", "COLUMNS": "120"})
        with subprocess.Popen(self._command(*arguments), env=environment, cwd=ROOT, **streams) as process:
            os.close(theirs)
            os.write(ours, typed)
            shown = b"".join(_read(ours))
        os.close(ours)
        return process.returncode, shown.decode()

    def _command(self, *arguments: str | bytes) -> list[str | bytes]:
        return [sys.executable, "-m", "shared.cli", "--url", self.url, "--key", KEY, *arguments]

    def bodies(self, method: str = "POST") -> list[Any]:
        """The bodies of requests, in order."""
        return [a.body for a in self.asked if a.method == method]


def _environment(more: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in COLOURS} | more


def _read(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 65_536)
        except OSError:  # how Linux says that the other side was closed
            return
        if not data:
            return
        yield data


@contextmanager
def fake_app() -> Iterator[FakeApp]:
    """Serve it on a free port."""
    fake = FakeApp()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            path = parts.path.removeprefix("/api/")
            fake.asked.append(Asked(self.command, path, query, dict(self.headers), json.loads(body) if body else None))
            waiting = fake.answers.get((self.command, path)) or [(404, b'{"detail": "no such canned answer"}')]
            status, data = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815 - as http.server spells them

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


def notebook(path: str = "/Clients/acme/load", **more: Any) -> dict[str, Any]:
    """A notebook of `GET notebooks` or `GET tree`."""
    folder, _, name = path.rpartition("/")
    plain = {"path": path, "name": name, "folder": folder, "deleted": False, "language": "PYTHON", "size": 1234}
    times = {"modified_at": "2026-11-01T10:03:00.5+00:00", "committed_at": "2026-11-02T02:30:00+00:00"}
    return {**plain, **times, "commit": COMMIT, **more}


def version(**more: Any) -> dict[str, Any]:
    """A version of `GET versions`."""
    times = {"committed_at": "2026-11-02T02:30:00+00:00", "modified_at": "2026-11-01T10:03:00+00:00"}
    plain = {"path": "/Clients/acme/load", "kind": "changed", "other_path": None, "language": "PYTHON", "size": 77}
    return {"commit": COMMIT, "sequence": 3, **times, **plain, "author": "ada@example.com", **more}


def item(path: str = "/Clients/acme/load", action: str = "overwrite", **more: Any) -> dict[str, Any]:
    """A notebook of a restore."""
    what = {"path": path, "target": path, "action": action, "commit": COMMIT, "language": "PYTHON", "size": 77}
    came = {"outcome": None, "reason": None, "detail": None, "expected_sha256": "e" * 64, "found_sha256": None}
    return {**what, "modified_at": "2026-11-01T10:03:00+00:00", **came, **more}


def restore(*items: dict[str, Any], status: str = "planned", counts: dict[str, int] | None = None, **more: Any) -> Any:
    """A restore, with counts of its notebooks."""
    names = ("create", "overwrite", "unchanged", "remove", "refuse", "verified", "removed", "refused", "failed")
    found = dict.fromkeys(names, 0)
    for one in items:
        found[one["action"]] += 1
        if one["outcome"] not in (None, "unchanged"):
            found[one["outcome"]] += 1
    told = {"id": RESTORE_ID, "kind": "restore", "status": status, "dry_run": status == "planned", "at": "2026-11-01"}
    told |= {"commit": COMMIT, "requested_by": "function key", "created_at": "2026-11-24T08:00:00+00:00"}
    told |= {"seconds": 1.5, "percent": 100.0, "error": None, "notebooks": len(items)}
    return {**told, "counts": found | (counts or {}), "items": list(items), **more}
