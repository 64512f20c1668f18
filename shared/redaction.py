"""Secrets show nowhere: what was handed out as a credential is blotted out of every error text and log line.

A server may repeat a credential in its refusal, and a library may put it into an exception: neither can be
foreseen where the text is made, so that each text is cleaned where it leaves.
"""

from __future__ import annotations

import base64
import logging
import traceback
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"
_FEWEST_CHARACTERS = 8
_MOST_REMEMBERED = 256
_forms: dict[str, None] = {}


def remember(secret: str) -> str:
    """Have a credential, in the forms in which it travels, blotted out from now on; returns it."""
    if len(secret) >= _FEWEST_CHARACTERS and secret not in _forms:
        basic = [base64.b64encode(f"{user}:{secret}".encode()).decode() for user in ("", "x", "git", "token")]
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), *basic):
            _forms[form] = None
        while len(_forms) > _MOST_REMEMBERED:
            # Tokens live for an hour: the oldest are past their use.
            del _forms[next(iter(_forms))]
    return secret


def redact(text: str) -> str:
    """The text without any remembered credential."""
    for form in list(_forms):
        if form in text:
            text = text.replace(form, REDACTED)
    return text


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
