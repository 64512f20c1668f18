"""Mails: their kinds, who gets which, and their content before it is made into HTML and text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

MOST_SUBJECT_CHARACTERS = 200
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls, line separators, what turns the direction of text around, and half characters."""


class MailKind(StrEnum):
    """What a mail is about; the settings name recipients by it."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    DELETIONS_HELD = "deletions-held"
    VERIFICATION = "verification"
    HEARTBEAT = "heartbeat"
    CREDENTIAL = "credential"
    SIZE = "size"
    DIGEST = "digest"


NAMED_KINDS = tuple(kind for kind in MailKind if kind is not MailKind.DIGEST)
"""A digest goes to whom its subscription names."""


class Tone(StrEnum):
    """How a mail looks."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what to do, and the things that it is about, each with its reason; `more` are not named."""

    title: str
    advice: str
    items: tuple[tuple[str, str], ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class MailContent:
    """What a mail says: `facts` are labels with their values, `link` the address of the page that says more."""

    kind: MailKind
    tone: Tone
    subject: str
    headline: str
    summary: str
    facts: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that is ready to be sent. `key` names its event: the same event has the same key for good."""

    key: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Recipients:
    """Addresses by kind. A kind that is not named has the default ones; one with none is not sent."""

    default: tuple[str, ...] = ()
    by_kind: Mapping[MailKind, tuple[str, ...]] = field(default_factory=dict)

    def of(self, kind: MailKind) -> tuple[str, ...]:
        """Who gets mails of a kind."""
        return self.by_kind.get(kind, self.default)


def read_recipients(text: str, parsed: object) -> Recipients:
    """Recipients of a setting: a list of addresses, or the object that `text` was parsed to, by kind.

    Raises `ValueError` naming what is wrong, without repeating an address.
    """
    if not isinstance(parsed, dict):
        return Recipients(_addresses(text.split(",")))
    unknown = parsed.keys() - {"default", *NAMED_KINDS}
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]} is no kind of mail: use default, {', '.join(NAMED_KINDS)}")
    lists = {kind: _addresses([value] if isinstance(value, str) else value) for kind, value in parsed.items()}
    default = lists.pop("default", ())
    return Recipients(default, {MailKind(kind): to for kind, to in lists.items()})


def is_address(text: str) -> bool:
    """Whether a text is one plain mail address."""
    return bool(_ADDRESS.fullmatch(text))


def _addresses(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(address, str) for address in given):
        raise ValueError("recipients must be a list of addresses")
    found = tuple(dict.fromkeys(address.strip() for address in given if address.strip()))
    if not all(map(is_address, found)):
        raise ValueError("a recipient is no plain mail address such as ops@example.com")
    return found


def shown(text: object) -> str:
    """Any text on one line, with what has no glyph, or would turn the line around, as its code point."""
    return _UNSHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))


def subject_line(text: str) -> str:
    """A subject that is one line, and not too long."""
    line = " ".join(shown(text).split())
    return line if len(line) <= MOST_SUBJECT_CHARACTERS else f"{line[: MOST_SUBJECT_CHARACTERS - 3]}..."
