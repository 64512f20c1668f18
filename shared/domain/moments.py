"""How people name a moment of the history: what has another form is refused before anything is looked up."""

from __future__ import annotations

import re

from shared.domain.tags import AT_PREFIX, checked_name

_PLAIN = re.compile(r"[0-9A-Za-z][0-9A-Za-z:.,+ -]*", re.ASCII)
MOMENT_PATTERN = rf"^(?:{AT_PREFIX}.*|{_PLAIN.pattern})$"
_RULE = (
    "must be a commit (7 or more of its hexadecimal digits), a date (2026-11-24), a time, tag:NAME, `latest` or `live`"
)


def checked_moment(text: str) -> str:
    """The text, where it can name a moment at all. Raises `ValueError`, of a tag's name with Git's rules for it.

    What Git would read as an option or as a revision (`--all`, `HEAD~1`, `a..b`, `@{1}`) is none.
    """
    if text.startswith(AT_PREFIX):
        checked_name(text.removeprefix(AT_PREFIX))
    elif ".." in text or not _PLAIN.fullmatch(text):
        raise ValueError(_RULE)
    return text
