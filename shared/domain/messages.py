"""Queue messages: small JSON objects that name a run, and a batch of it."""

from __future__ import annotations

import json
import re

_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


class MalformedMessage(ValueError):
    """A queue message that names nothing that the backup could work on."""


def read_message(body: bytes, *names: str) -> tuple[str, ...]:
    """The ids of these names. Raises `MalformedMessage` for any other shape.

    An id holds letters, digits and dashes alone: it becomes part of blob names, row keys and file names.
    """
    try:
        parsed = json.loads(body)
        found = tuple(parsed[name] for name in names)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedMessage(f"the message is no JSON object with {', '.join(names)}") from None
    if not all(isinstance(value, str) and _ID.fullmatch(value) for value in found):
        raise MalformedMessage(f"an id of the message is no id: {', '.join(names)}")
    return found
