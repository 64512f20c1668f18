"""Blobs by one request: as git gives them, and left to git where the answer is any other than all of them."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from local.git_server import REPOSITORY, person_commits
from shared.adapters.git_blobs import MOST_BLOBS, DirectBlobs, _request
from shared.adapters.repository import GitRepository
from shared.domain.blob_ids import blob_id
from tests.servers import TOKEN, Serve, Served

BASIC = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()
COMMON = "shared by all\n" * 200
TEXTS = [f"{n}\n{COMMON}{n}\n" for n in range(MOST_BLOBS + 1)]
IDS = [blob_id(text.encode()) for text in TEXTS]
ABSENT = "0" * 40


@pytest.fixture
def server(serve: Serve) -> Served:
    found = serve("local.git_server")
    person_commits(found.folder / REPOSITORY, "main", {f"{n}.py": text for n, text in enumerate(TEXTS)}, "grace")
    return found


def _direct(server: Served, authorization: str = BASIC) -> DirectBlobs:
    return DirectBlobs(f"{server.url}/{REPOSITORY}", lambda: authorization)


def _requests(server: Served) -> int:
    return int(server.control("stats").json()["calls"].get("git-upload-pack", 0))


@pytest.mark.parametrize("count", [1, 2, MOST_BLOBS])
def test_blobs_come_by_one_request(server: Served, count: int) -> None:
    found = _direct(server).get(IDS[:count])
    assert found == {i: t.encode() for i, t in zip(IDS[:count], TEXTS, strict=False)}
    assert _requests(server) == 1


def test_the_repository_asks_for_few_by_one_request_and_leaves_many_to_git(server: Served, tmp_path: Path) -> None:
    repository = GitRepository(f"{server.url}/{REPOSITORY}", "main", tmp_path / "mirror", lambda: BASIC)
    assert dict(repository.blobs(IDS[:2])) == {i: t.encode() for i, t in zip(IDS[:2], TEXTS, strict=False)}
    assert _requests(server) == 1
    assert not (tmp_path / "mirror").exists(), "no process of git was needed"
    assert len(dict(repository.blobs(IDS))) == len(IDS)
    assert _requests(server) > 2


def test_what_git_is_to_be_asked_is_left_to_it(server: Served) -> None:
    assert _direct(server).get(IDS) is None
    assert _direct(server).get([]) is None
    assert DirectBlobs(f"file://{server.folder}/{REPOSITORY}", lambda: BASIC).get(IDS[:1]) is None
    assert _requests(server) == 0


def test_a_blob_that_the_server_lacks_is_not_made_up(server: Served) -> None:
    assert _direct(server).get([ABSENT]) is None
    assert _direct(server).get([IDS[0], ABSENT]) is None


@pytest.mark.parametrize("kind", ["401", "403", "429", "503", "lost_answer"])
def test_a_refusal_is_left_to_git(server: Served, tmp_path: Path, kind: str) -> None:
    server.control("refuse", {"kind": kind, "times": 1, "service": "git-upload-pack"})
    assert _direct(server).get(IDS[:1]) is None
    server.control("refuse", {"kind": kind, "times": 1, "service": "git-upload-pack"})
    repository = GitRepository(f"{server.url}/{REPOSITORY}", "main", tmp_path / "mirror", lambda: BASIC)
    assert dict(repository.blobs(IDS[:2])) == {i: t.encode() for i, t in zip(IDS[:2], TEXTS, strict=False)}


def test_no_server_is_left_to_git() -> None:
    assert DirectBlobs("http://127.0.0.1:9/none.git", lambda: BASIC).get(IDS[:1]) is None


def test_an_answer_of_any_other_kind_is_left_to_git(server: Served) -> None:
    whole = _answer_of(server)
    assert len(whole) > 50
    with _saying(whole) as url:
        assert DirectBlobs(url, lambda: BASIC).get([IDS[0]]) == {IDS[0]: TEXTS[0].encode()}
    changed = [whole[:cut] for cut in range(0, len(whole), 7)]
    changed += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole) - 4, 5)]
    changed += [b"<html>sign in</html>", b"0008NAK\n0000", b"0010ERR no such ref\n0000", b"zzzz"]
    for body in changed:
        with _saying(body) as url:
            found = DirectBlobs(url, lambda: BASIC).get([IDS[0]])
        assert found in (None, {IDS[0]: TEXTS[0].encode()})
    with _saying(whole) as url:
        assert DirectBlobs(url, lambda: BASIC).get([IDS[1]]) is None


def _answer_of(server: Served) -> bytes:
    headers = {"Authorization": BASIC, "Git-Protocol": "version=2"}
    headers["Content-Type"] = "application/x-git-upload-pack-request"
    url = f"{server.url}/{REPOSITORY}/git-upload-pack"
    return requests.post(url, data=_request([IDS[0]]), headers=headers, timeout=30).content


@contextmanager
def _saying(body: bytes) -> Iterator[str]:
    """A server that gives these bytes, whatever it is asked."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/x.git"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
