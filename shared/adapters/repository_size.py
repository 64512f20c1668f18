"""How large the Git repository is: Azure DevOps says it, of any other server the pack of a clone is counted.

Azure DevOps: `GET {collection}/{project}/_apis/git/repositories/{repository}` has `size`, the compressed size in
bytes (https://learn.microsoft.com/rest/api/azure/devops/git/repositories/get-repository). Any other server: one
`POST git-upload-pack` of protocol version 2, as for a clone; the pack is counted while it comes, and not kept.
A later measurement asks only for what came since, and adds it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import urllib3
from dulwich.errors import GitProtocolError
from dulwich.protocol import Protocol, pkt_line

from shared.adapters.bounded_answer import LONGEST_PAUSE_SECONDS, bounded_body
from shared.domain.devops_addresses import repository_api
from shared.errors import RepositoryError
from shared.protocols import RepositorySize, SizeSource

MOST_PACK_BYTES = 4 * 2**30
"""What is counted of one pack: a repository that is larger is said to be at least this large."""
MOST_ANSWER_BYTES = 2**20
"""What Azure DevOps says of one repository."""
MOST_FETCHES = 30
"""After so many additions a full clone is counted again: packs of many days are larger than one of all."""
API_VERSION = "7.1"
_ACTION = "measure the repository"
_DELIMITER, _FLUSH = b"0001", b"0000"
_DATA, _ERROR = 1, 3
_log = logging.getLogger("backup.capacity")


class GitSizeMeter:
    """See `shared.protocols.SizeMeter`; `authorization` gives the value of the `Authorization` header."""

    def __init__(
        self,
        url: str,
        authorization: Callable[[], str],
        *,
        most_bytes: int = MOST_PACK_BYTES,
        ca_file: Path | None = None,
    ) -> None:
        self._url, self._authorization, self._most = url.rstrip("/"), authorization, most_bytes
        retry = urllib3.Retry(
            total=3,
            redirect=0,
            backoff_factor=0.5,
            status_forcelist=(429, 502, 503, 504),
            retry_after_max=LONGEST_PAUSE_SECONDS,
        )
        timeout = urllib3.Timeout(connect=10, read=120)
        certificates = ca_file or certifi.where()
        self._pool = urllib3.PoolManager(num_pools=1, retries=retry, timeout=timeout, ca_certs=certificates)

    def measure(self, head: str, known: RepositorySize | None) -> RepositorySize:
        """See `SizeMeter.measure`."""
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise RepositoryError(action=_ACTION, detail="GIT_REMOTE_URL is no http address")
        return self._by_server() or self._by_fetch(head, known)

    def _by_server(self) -> RepositorySize | None:
        """What Azure DevOps says; None where another server holds the repository, or it does not say."""
        repository = repository_api(self._url)
        if repository is None:
            return None
        address = f"{repository}?api-version={API_VERSION}"
        headers = {"Authorization": self._authorization(), "Accept": "application/json"}
        try:
            answer = self._pool.request("GET", address, headers=headers, preload_content=False)
            told = bounded_body(answer, MOST_ANSWER_BYTES)
            size = json.loads(told)["size"] if answer.status == 200 else 0
        except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
            _log.warning("the server does not say its size: %s", type(error).__name__, extra={"action": "capacity"})
            return None
        # It is 0 until the server has counted a new repository.
        return RepositorySize(size, SizeSource.SERVER) if isinstance(size, int) and size > 0 else None

    def _by_fetch(self, head: str, known: RepositorySize | None) -> RepositorySize:
        if known and known.head and known.source is not SizeSource.SERVER:
            if known.head == head:
                return known
            if known.fetches < MOST_FETCHES and (added := self._pack_size(head, known.head)) is not None:
                size, fetches = known.size + added[0], known.fetches + 1
                return RepositorySize(size, SizeSource.CLONE_AND_FETCHES, head, known.whole and added[1], fetches)
        size, whole = self._pack_size(head, None) or (0, False)
        return RepositorySize(size, SizeSource.CLONE, head, whole)

    def _pack_size(self, head: str, have: str | None) -> tuple[int, bool] | None:
        """The bytes of a pack, and whether it was counted to its end; None where the server does not know `have`."""
        try:
            with self._ask(head, have) as lines:
                return self._count(lines) if _finds_pack(lines, acknowledged=have is not None) else None
        except (urllib3.exceptions.HTTPError, GitProtocolError, OSError, ValueError) as error:
            raise RepositoryError(action=_ACTION, detail=f"{type(error).__name__} while a pack was counted") from None

    @contextmanager
    def _ask(self, head: str, have: str | None) -> Iterator[Protocol]:
        headers = {
            "Authorization": self._authorization(),
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": "application/x-git-upload-pack-result",
            "Git-Protocol": "version=2",
        }
        url, body = f"{self._url}/git-upload-pack", _request(head, have)
        answer = self._pool.request("POST", url, body=body, headers=headers, preload_content=False)
        try:
            if answer.status != 200:
                raise RepositoryError(action=_ACTION, detail=f"the server answered {answer.status}")
            yield Protocol(answer.read, lambda _: None)
        finally:
            # Closed, not drained: what is beyond the bound is not to be downloaded either.
            answer.close()

    def _count(self, lines: Protocol) -> tuple[int, bool]:
        size = 0
        while line := lines.read_pkt_line():
            if line[0] == _ERROR:
                raise ValueError("the server refused")
            size += len(line) - 1 if line[0] == _DATA else 0
            if size > self._most:
                return self._most, False
        return size, True


def _request(head: str, have: str | None) -> bytes:
    command = [pkt_line(b"command=fetch\n"), pkt_line(b"object-format=sha1\n"), _DELIMITER]
    # With `done` the server sends a pack whatever it knows of `have`; without it, only if it can build on it.
    end = f"have {have}" if have else "done"
    arguments = ["no-progress", "ofs-delta", f"want {head}", end]
    return b"".join([*command, *(pkt_line(f"{line}\n".encode()) for line in arguments), _FLUSH])


def _finds_pack(lines: Protocol, *, acknowledged: bool) -> bool:
    """Read on to the pack; False where the server does not build on what it was said to be known.

    Raises `ValueError` for an answer that is not one of protocol version 2.
    """
    if acknowledged:
        if _line(lines) != b"acknowledgments":
            raise ValueError("the answer has no acknowledgments")
        said = []
        while line := _line(lines):
            said.append(line)
        if b"ready" not in said:
            return False
    if _line(lines) != b"packfile":
        raise ValueError("the answer has no packfile section")
    return True


def _line(lines: Protocol) -> bytes:
    """A line without its end; a delimiter is empty."""
    return (lines.read_pkt_line() or b"").rstrip(b"\n")
