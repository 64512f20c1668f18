"""Which commits are the backup's own: by the form of what they say.

A message that only quotes one of the backup's, as a revert or a squashed merge does, has another form. Git proves no
form: whoever may push can copy it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.domain.commits import COPY_SUBJECT_START, RUN_TRAILER, SUBJECT_START

_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*): \S.*")


@dataclass(frozen=True, slots=True)
class ToldCommit:
    """A commit by what it says: `committer` is the address of who committed it."""

    commit: str
    committer: str
    message: str


def trailers(message: str) -> list[tuple[str, str]]:
    """The lines of the last paragraph by their names; none where one of them is no trailer, or it is the subject."""
    lines = [line.rstrip() for line in message.rstrip().split("\n")]
    begin = max((number for number, line in enumerate(lines) if not line), default=-1) + 1
    found = [_TRAILER.fullmatch(line) for line in lines[begin:]]
    return [(match[1], match[0]) for match in found if match] if begin and all(found) else []


def values(message: str, name: str) -> list[str]:
    """What the trailers of a name say, in their order."""
    return [line.partition(": ")[2] for found, line in trailers(message) if found == name]


def has_own_form(message: str) -> bool:
    """Whether a message has the form of the backup's own: its subject, and one run in the last paragraph.

    Who committed it is not asked: the backup's address may have been another one when it was.
    """
    if not message.startswith((SUBJECT_START, COPY_SUBJECT_START)):
        return False
    return len(values(message, RUN_TRAILER)) == 1
