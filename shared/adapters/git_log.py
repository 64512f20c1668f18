"""The output of `git log --raw -z`, read as it comes: a history of years does not fit into memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

from shared.protocols import FileChange, GitCommit

_HEADER, _FIELD = b"\x01", b"\x02"
LOG_ARGUMENTS = (
    "log",
    "--reverse",
    "--first-parent",
    "--diff-merges=first-parent",
    "--root",
    "--raw",
    "--no-abbrev",
    "-z",
    "-M100%",
    "-l0",
    "--format=%x01%H%x02%ct%x02%an%x02%ae%x02%ce%x02%B",
)
"""Renames are exact ones: they are told by object ids alone, without the blobs."""
EDIT_ARGUMENTS = (
    *("log", "--reverse", "--topo-order", "--diff-merges=off", "--root", "--raw", "--no-abbrev", "-z", "--no-renames"),
    "--format=%x01%H%x02%at%x02%an%x02%ae%x02%ce%x02%B",
)
"""For commits of people, a merge without its changes: those of what it merged are told. Times are the authors'."""
_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Edit:
    """A commit of `git log` with `EDIT_ARGUMENTS`: its author's time, and the blob of each file, None where removed."""

    commit: str
    when: datetime
    author: str
    mail: str
    committer: str
    message: str
    files: dict[str, str | None]


def read_log(output: IO[bytes]) -> Iterator[GitCommit]:
    """The commits of `git log` with `LOG_ARGUMENTS`. A name that is no UTF-8 has its bytes as surrogates."""
    tokens = _tokens(output)
    header: bytes | None = None
    changes: list[FileChange] = []
    for token in tokens:
        token = token.lstrip(b"\n")
        if token.startswith(_HEADER):
            if header is not None:
                yield _commit(header, changes)
            header, changes = token, []
        elif token.startswith(b":"):
            changes.append(_change(token, tokens))
    if header is not None:
        yield _commit(header, changes)


def read_edits(data: bytes) -> list[Edit]:
    """The commits of `git log` with `EDIT_ARGUMENTS`."""
    return [
        Edit(
            c.commit,
            c.when,
            c.author,
            c.mail,
            c.committer,
            c.message,
            {change.file: change.blob for change in c.changes},
        )
        for c in read_log(io.BytesIO(data))
    ]


def _tokens(output: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while part := output.read(_READ_BYTES):
        *whole, rest = (rest + part).split(b"\0")
        yield from whole
    if rest:
        yield rest


def _change(meta: bytes, tokens: Iterator[bytes]) -> FileChange:
    """A raw line is `:mode mode blob blob status`, then its file, or two of them where it was moved."""
    _, _, _, blob, status = meta.split()
    file = next(tokens).decode("utf-8", "surrogateescape")
    if status.startswith(b"R"):
        return FileChange(next(tokens).decode("utf-8", "surrogateescape"), blob.decode(), file)
    return FileChange(file, None if status == b"D" else blob.decode())


def _commit(header: bytes, changes: list[FileChange]) -> GitCommit:
    commit, when, author, mail, committer, message = header.removeprefix(_HEADER).split(_FIELD, 5)
    return GitCommit(
        commit.decode(),
        datetime.fromtimestamp(int(when), UTC),
        author.decode("utf-8", "replace"),
        mail.decode("utf-8", "replace"),
        committer.decode("utf-8", "replace"),
        message.decode("utf-8", "replace").strip("\n"),
        tuple(changes),
    )
