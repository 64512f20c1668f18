"""The output of `git log` is read whole, or it is an error."""

from __future__ import annotations

import io

import pytest

from shared.adapters.git_log import GitLog
from shared.errors import RepositoryError
from shared.protocols import FileChange

BLOB, NONE = "b" * 40, "0" * 40
COMMIT = {
    "%x01": "\x01",
    "%H": "c" * 40,
    "%ct": "1767312000",
    "%an": "Ada",
    "%ae": "ada@example.com",
    "%ce": "backup@example.com",
    "%B": "a message\n",
}


def _told(log: GitLog, *changes: bytes) -> io.BytesIO:
    """What git prints of one commit in the form that `log` asks for."""
    header = log.history[-1].removeprefix("--format=")
    for name, value in COMMIT.items():
        header = header.replace(name, value)
    return io.BytesIO(header.encode() + b"\0" + b"".join(changes))


def _change(status: str, *files: str) -> bytes:
    return f":100644 100644 {NONE} {BLOB} {status}\0".encode() + b"".join(f"{f}\0".encode() for f in files)


def test_changes_are_read_with_what_was_moved_and_removed() -> None:
    log = GitLog()
    told = _told(log, _change("A", "a b.py"), _change("R100", "old.py", "new.py"), _change("D", "gone.py"))
    (commit,) = log.read(told)
    assert (commit.commit, commit.committer, commit.message) == ("c" * 40, "backup@example.com", "a message")
    assert commit.changes == (
        FileChange("a b.py", BLOB),
        FileChange("new.py", BLOB, "old.py"),
        FileChange("gone.py", None),
    )


def test_a_commit_of_more_changes_than_are_held_is_an_error_and_the_rest_is_not_read() -> None:
    log = GitLog(most_changes=3)
    assert len(next(log.read(_told(log, *(_change("A", f"{n}.py") for n in range(3))))).changes) == 3
    # Far more than is read in one go.
    told = _told(log, *(_change("A", f"{n}.py") for n in range(40_000)))
    with pytest.raises(RepositoryError, match="one commit changes more than 3 files"):
        list(log.read(told))
    assert told.read(1)


@pytest.mark.parametrize(
    "change", [_change("R100", "old.py"), _change("A"), b":100644 1"], ids=["move", "name", "line"]
)
def test_a_change_that_is_cut_is_an_error(change: bytes) -> None:
    log = GitLog()
    with pytest.raises(RepositoryError, match="in the middle of a change"):
        list(log.read(_told(log, change)))
