"""A few blobs from a Git server in one request, without a git process: what a person waits for.

One `POST git-upload-pack` of protocol version 2 (https://git-scm.com/docs/protocol-v2, `command=fetch`) with the
wanted object ids and `done`, over a connection that is kept. Git's own client does the same in two requests and
four processes. A server that answers in any other way is left to git, which knows every kind of server.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import urllib3
from dulwich.protocol import Protocol, pkt_line

from shared.adapters.git_ids import check_ids
from shared.adapters.git_pack import blobs_of

MOST_BLOBS = 16
MOST_PACK_BYTES, MOST_INFLATED_BYTES = 32 * 2**20, 64 * 2**20
"""More are fetched by git, which does not hold them in memory."""
_TIMEOUT = urllib3.Timeout(connect=10, read=60)
_DELIMITER, _FLUSH = b"0001", b"0000"
_DATA, _ERROR = 1, 3


class DirectBlobs:
    """Asks the server at `url`; `authorization` gives the value of the `Authorization` header at each request.

    The server is trusted by the authorities in `ca_file`, or the public ones.
    """

    def __init__(self, url: str, authorization: Callable[[], str], ca_file: Path | None = None) -> None:
        self._url, self._authorization = f"{url.rstrip('/')}/git-upload-pack", authorization
        self._able = urlsplit(url).scheme in ("http", "https")
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=8, retries=False, timeout=_TIMEOUT, ca_certs=ca_file or certifi.where()
        )

    def get(self, wanted: Collection[str], most_bytes: int = MOST_INFLATED_BYTES) -> dict[str, bytes] | None:
        """The blobs by id, all of them, each proved by its id; None where git is to be asked instead.

        That is so, too, where one of them has more than `most_bytes`.
        """
        check_ids(*wanted)
        if not self._able or not 0 < len(wanted) <= MOST_BLOBS:
            return None
        try:
            found = blobs_of(self._ask(wanted), MOST_INFLATED_BYTES)
        except Exception:  # noqa: BLE001 - whatever came, git is asked instead, and says what is wrong
            return None
        fits = all(len(content) <= most_bytes for content in found.values())
        return found if fits and found.keys() == set(wanted) else None

    def _ask(self, wanted: Collection[str]) -> bytes:
        headers = {
            "Authorization": self._authorization(),
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": "application/x-git-upload-pack-result",
            "Git-Protocol": "version=2",
        }
        answer = self._pool.request("POST", self._url, body=_request(wanted), headers=headers, preload_content=False)
        try:
            if answer.status != 200:
                raise ValueError(f"the server answered {answer.status}")
            pack = _pack(Protocol(answer.read, lambda _: None))
        except BaseException:
            # What is left of it is not read, so the connection cannot be used again.
            answer.close()
            raise
        answer.drain_conn()
        answer.release_conn()
        return pack


def _request(wanted: Collection[str]) -> bytes:
    command = [pkt_line(b"command=fetch\n"), pkt_line(b"object-format=sha1\n"), _DELIMITER]
    # What is asked for by its id passes the filter; nothing else is to come with it.
    arguments = ["no-progress", "filter blob:none", *(f"want {blob}" for blob in sorted(wanted)), "done"]
    return b"".join([*command, *(pkt_line(f"{line}\n".encode()) for line in arguments), _FLUSH])


def _pack(lines: Protocol) -> bytes:
    """The pack of an answer. Raises `ValueError` where it is not one of protocol version 2, or too large."""
    if (lines.read_pkt_line() or b"").rstrip(b"\n") != b"packfile":
        raise ValueError("the answer has no packfile section")
    parts, size = [], 0
    while line := lines.read_pkt_line():
        if line[0] == _ERROR:
            raise ValueError("the server refused")
        if line[0] == _DATA:
            parts.append(line[1:])
            size += len(line)
        if size > MOST_PACK_BYTES:
            raise ValueError("the pack is too large")
    return b"".join(parts)
