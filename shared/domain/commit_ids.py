"""The ids of Git's objects: what is no whole id is never given to git or to a server's API."""

from __future__ import annotations

import re

_ID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})", re.ASCII)


def is_whole_id(text: str) -> bool:
    """Whether a text is an id as Git writes it: 40 hexadecimal digits in lower case, or 64 (SHA-256)."""
    return _ID.fullmatch(text) is not None


def parse_ids(text: str) -> tuple[str, ...]:
    """Ids with commas between them, each once and in order. Raises `ValueError`."""
    given = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not all(map(is_whole_id, given)):
        raise ValueError("must be whole commit ids, 40 hexadecimal digits each, with commas between them")
    return tuple(sorted(set(given)))
