"""The output of `git log --raw -z`, read as it comes: a history of years does not fit into memory."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import IO

from shared.errors import RepositoryError
from shared.protocols import FileChange, GitCommit

_HEADER = b"\x01"
_HISTORY = (
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
)
"""Renames are exact ones: they are told by object ids alone, without the blobs."""
_EDITS = (
    *("log", "--reverse", "--topo-order", "--diff-merges=off", "--root", "--raw", "--no-abbrev", "-z", "--no-renames"),
)
"""For commits of people, a merge without its changes: those of what it merged are told."""
MOST_CHANGES = 1_000_000
"""Files that one commit may change to be read: many times the notebooks of a workspace."""
_READ_BYTES, MOST_MESSAGE_BYTES = 2**20, 8 * 2**20


@dataclass(frozen=True, slots=True)
class Edit:
    """A commit as `GitLog.edits` tells it: its author's time, and the blob of each file, None where removed."""

    commit: str
    when: datetime
    author: str
    mail: str
    committer: str
    message: str
    files: dict[str, str | None]


class GitLog:
    """One reading of `git log`: fields are told apart by a word that nobody who writes a commit can know."""

    def __init__(self, most_changes: int = MOST_CHANGES) -> None:
        self._field, self._most_changes = uuid.uuid4().hex, most_changes

    @property
    def history(self) -> list[str]:
        """Arguments for the commits of a branch, with what each changed against its first parent."""
        return [*_HISTORY, self._form("%ct")]

    @property
    def edits(self) -> list[str]:
        """Arguments for every commit of a range."""
        return [*_EDITS, self._form("%at")]

    def read(self, output: IO[bytes]) -> Iterator[GitCommit]:
        """The commits that were told. A name that is no UTF-8 has its bytes as surrogates.

        Raises `RepositoryError` where the output is cut, and for a commit of more than `most_changes`, which is not
        held: a push of some kilobytes can make one of more files than there is memory for.
        """
        tokens = _tokens(output)
        header: bytes | None = None
        changes: list[FileChange] = []
        for token in tokens:
            token = token.lstrip(b"\n")
            if token.startswith(_HEADER):
                if header is not None:
                    yield self._commit(header, changes)
                header, changes = token, []
            elif token.startswith(b":"):
                changes.append(_change(token, tokens))
                if len(changes) > self._most_changes:
                    detail = f"one commit changes more than {self._most_changes:,} files"
                    raise RepositoryError(action="read the history", detail=detail)
        if header is not None:
            yield self._commit(header, changes)

    def read_edits(self, data: bytes) -> list[Edit]:
        """The commits that `edits` asked for."""
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
            for c in self.read(io.BytesIO(data))
        ]

    def _form(self, when: str) -> str:
        return "--format=%x01" + self._field.join(("%H", when, "%an", "%ae", "%ce", "%B"))

    def _commit(self, header: bytes, changes: list[FileChange]) -> GitCommit:
        fields = header.removeprefix(_HEADER).split(self._field.encode(), 5)
        commit, when, author, mail, committer, message = (field.decode("utf-8", "replace") for field in fields)
        moment = datetime.fromtimestamp(int(when), UTC)
        return GitCommit(commit, moment, author, mail, committer, message.strip("\n"), tuple(changes))


def _tokens(output: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while part := output.read(_READ_BYTES):
        *whole, last = part.split(b"\0")
        for token in whole:
            yield rest + token
            rest = b""
        # A message may be of any length: what is beyond is left out of it.
        rest = (rest + last) if len(rest) < MOST_MESSAGE_BYTES else rest
    if rest:
        yield rest


def _change(meta: bytes, tokens: Iterator[bytes]) -> FileChange:
    """A raw line is `:mode mode blob blob status`, then its file, or two of them where it was moved."""
    fields = meta.split()
    status = fields[-1]
    wanted = 2 if status.startswith(b"R") else 1
    names = [name.decode("utf-8", "surrogateescape") for name in islice(tokens, wanted)]
    if len(names) != wanted:
        raise RepositoryError(action="read the history", detail="git's answer ends in the middle of a change")
    blob = None if status == b"D" else fields[3].decode()
    return FileChange(names[-1], blob, names[0] if names[1:] else None)
