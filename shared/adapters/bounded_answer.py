"""The body of an HTTP answer, up to a bound: who answers may send without end, or more than there is memory for."""

from __future__ import annotations

import time
from collections.abc import Callable

import urllib3

MOST_ERROR_BYTES = 2**20
"""Of an answer that is an error: what is beyond is cut off, since the beginning says what it is."""
MOST_SECONDS = 600
"""From the beginning of an answer to its end: one that drips is given up."""
LONGEST_PAUSE_SECONDS = 30
"""Before a call is made again, however long an answer asks to wait."""
_READ_BYTES = 2**16


class AnswerTooLarge(urllib3.exceptions.HTTPError):
    """The answer has more bytes than such an answer can have."""


class AnswerTooSlow(urllib3.exceptions.HTTPError):
    """The answer has not ended in time."""


def bounded_body(
    response: urllib3.BaseHTTPResponse, most_bytes: int, monotonic: Callable[[], float] = time.monotonic
) -> bytes:
    """The body of a response that was asked for with `preload_content=False`; its connection is kept where it ended.

    Raises `AnswerTooLarge`, `AnswerTooSlow`, and what urllib3 raises for one that is cut.
    """
    most, until = most_bytes if response.status < 400 else MOST_ERROR_BYTES, monotonic() + MOST_SECONDS
    parts: list[bytes] = []
    size = 0
    try:
        while part := response.read1(_READ_BYTES):
            size += len(part)
            parts.append(part)
            if size > most:
                break
            if monotonic() > until:
                raise AnswerTooSlow(f"it has not ended after {MOST_SECONDS} seconds")
    except BaseException:
        response.close()
        raise
    if size <= most:
        response.release_conn()
        return b"".join(parts)
    # Closed, not read to its end: there may be none.
    response.close()
    if response.status < 400:
        raise AnswerTooLarge(f"it has more than {most} bytes")
    return b"".join(parts)[:most]
