"""Credentials go through every error path of a running system, and are looked for in all that it leaves behind."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from azure.storage.queue import QueueServiceClient

from local.lab import Lab

OPTIONS = {"notebooks": 60, "invisible_seconds": 2}
WORKSPACE_FAULTS = ("429", "500", "503", "504", "close", "cut_body", "error_200", "echo")
GIT_FAULTS = ("401", "403", "413", "429", "503", "echo", "moved", "lost_answer")
PUSH_FAULTS = ("403", "echo", "lost_answer")
HOLDERS = {"secrets.json"}
"""Where the credentials themselves are kept, readable by their owner alone."""
pytestmark = pytest.mark.xdist_group("canaries")


class _Watcher:
    """Every argument list that a child of this process was seen with, and every HTTP answer."""

    def __init__(self) -> None:
        self.arguments: set[str] = set()
        self.answers: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._stop.wait(0.005):
            for child in me.children(recursive=True):
                try:
                    self.arguments.add(" ".join(child.cmdline()))
                except psutil.Error:
                    continue


@pytest.fixture(scope="module")
def seen(lab: Lab) -> Iterator[_Watcher]:
    """The system after every kind of trouble."""
    with _Watcher() as watcher:
        lab.back_up()
        for number, fault in enumerate(WORKSPACE_FAULTS):
            lab.control("random_edits", {"count": 3, "seed": number})
            lab.control("behaviour", {"faults": [{"kind": fault, "times": 2}]})
            watcher.answers.append(_get(lab, "doctor"))
            watcher.answers.append(str(lab.back_up()))
            lab.control("behaviour", {"faults": []})
        for fault in GIT_FAULTS:
            lab.git_control("refuse", {"kind": fault, "times": 1})
            watcher.answers.append(_get(lab, "doctor"))
        for number, fault in enumerate(PUSH_FAULTS):
            lab.control("random_edits", {"count": 3, "seed": 100 + number})
            lab.git_control("refuse", {"kind": fault, "times": 1, "service": "git-receive-pack"})
            watcher.answers.append(str(lab.back_up()))
        for path in ("runs/nobody", "verifications/nobody", "runs?limit=x", "nowhere"):
            watcher.answers.append(_get(lab, path))
        _send_nonsense(lab)
        watcher.answers.append(str(lab.back_up()))
        watcher.answers.append(_get(lab, "status"))
        lab.system.kill_host()
        yield watcher
        lab.system.start_host()


def _get(lab: Lab, path: str) -> str:
    headers = {"x-functions-key": lab.system.key}
    answer = requests.get(f"{lab.system.url}/api/{path}", headers=headers, timeout=60)
    return f"{answer.status_code} {answer.headers} {answer.text}"


def _send_nonsense(lab: Lab) -> None:
    with QueueServiceClient.from_connection_string(lab.system.settings["AzureWebJobsStorage"]) as service:
        for queue in ("backup-plan", "backup-export", "backup-maintenance"):
            service.get_queue_client(queue).send_message(base64.b64encode(b"nonsense").decode())


def _forms(lab: Lab) -> list[bytes]:
    secrets = [lab.system.secrets["workspace"], lab.system.secrets["git"]]
    basic = [base64.b64encode(f":{s}".encode()).decode() for s in secrets]
    return [text.encode() for text in (*secrets, *basic)]


def _files(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.is_file() and f.name not in HOLDERS]


def test_no_file_holds_a_credential(lab: Lab, seen: _Watcher) -> None:
    """Logs, tables, blobs, queues, the orchestrations' store, the mirror's configuration, crash files."""
    files = _files(lab.system.options.data)
    kinds = {part for f in files for part in f.relative_to(lab.system.options.data).parts[:1]}
    assert {"azurite", "logs", "scratch", "host", "git"} <= kinds
    forms = _forms(lab)
    assert [str(f) for f in files if any(form in f.read_bytes() for form in forms)] == []


def test_the_troubles_were_met(lab: Lab, seen: _Watcher) -> None:
    assert len(seen.answers) == 2 * len(WORKSPACE_FAULTS) + len(GIT_FAULTS) + len(PUSH_FAULTS) + 6
    log = (lab.system.options.data / "logs" / "functions-host.log").read_text()
    assert "MalformedMessage" in log
    assert "[redacted]" in log + " ".join(seen.answers), "no server ever repeated a credential"


@pytest.mark.parametrize("what", ["answers", "arguments"])
def test_no_answer_and_no_argument_list_shows_a_credential(lab: Lab, seen: _Watcher, what: str) -> None:
    texts: Any = getattr(seen, what)
    assert len(texts) > 10
    shown = [t for t in texts if any(form.decode() in t for form in _forms(lab))]
    assert shown == []


def test_the_holders_are_readable_by_their_owner_alone(lab: Lab, seen: _Watcher) -> None:
    for name in ("secrets.json", "backup.json", "host/keys.json"):
        assert (lab.system.options.data / name).stat().st_mode & 0o077 == 0
