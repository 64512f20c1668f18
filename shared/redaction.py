"""Secrets show nowhere: what was handed out as a credential is blotted out of every error text and log line.

A server may repeat a credential in its refusal, and a library may put it into an exception: neither can be
foreseen where the text is made, so that each text is cleaned where it leaves.
"""

from __future__ import annotations

import base64
import logging
import threading
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"
_FEWEST_CHARACTERS = 8
MOST_PASSING = 64
"""Secrets that live for an hour: more than are in use at once. Those that are configured are not counted."""


class Memory:
    """The secrets of a process, in the forms in which they travel. Threads add to it while others read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, None] = {}
        self._passing: dict[str, None] = {}
        self._forms: tuple[str, ...] = ()

    def add(self, secret: str, *, keep: bool) -> None:
        """Hold a secret for good, or until many have been used after it."""
        if len(secret) < _FEWEST_CHARACTERS or secret in self._kept:
            return
        with self._lock:
            known = secret in self._passing
            self._passing.pop(secret, None)
            (self._kept if keep else self._passing)[secret] = None
            while len(self._passing) > MOST_PASSING:
                del self._passing[next(iter(self._passing))]
            if not known:
                found = {form for held in (*self._kept, *self._passing) for form in _travelling(held)}
                # A form may be part of another: the longest goes first, so that no rest of it is left. Readers hold
                # the one tuple or the other.
                self._forms = tuple(sorted(found, key=len, reverse=True))

    @property
    def forms(self) -> tuple[str, ...]:
        """What is blotted out, the longest first."""
        return self._forms


_memory = Memory()


def remember(secret: str, *, keep: bool = False) -> str:
    """Have a credential, in the forms in which it travels, blotted out from now on; returns it.

    One that is configured, by a setting or in a vault, is kept as long as the process lives; others are forgotten
    when `MOST_PASSING` have been used since.
    """
    _memory.add(secret, keep=keep)
    return secret


def redact(text: str) -> str:
    """The text without any remembered credential."""
    for form in _memory.forms:
        if form in text:
            text = text.replace(form, REDACTED)
    return text


def _travelling(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode())
    for user in ("", "x", "git", "token"):
        yield base64.b64encode(f"{user}:{secret}".encode()).decode()


def redact_logs() -> None:
    """Clean every log record of the process, whoever writes it and wherever it goes, tracebacks included."""
    factory = logging.getLogRecordFactory()
    if getattr(factory, "redacts", False):
        return

    def make(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = factory(*arguments, **options)
        message = record.getMessage()
        if (clean := redact(message)) != message:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip())
        return record

    make.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)
