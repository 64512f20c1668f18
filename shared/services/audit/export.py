"""Audit records as files: CSV for spreadsheets, JSON lines for programs; people's names as pseudonyms if wanted."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from shared.domain.audit import AuditRecord
from shared.domain.canonical import Canonical, canonical
from shared.domain.spreadsheets import cell, line
from shared.domain.times import iso

FEWEST_KEY_BYTES = 16
SYSTEM = "system"
"""The actor of what nobody asked for; it stays readable."""
_MAIL = re.compile(r"['-]+|[\w.+%][\w.+%'-]*(@[\w-]+(?:\.[\w-]+)+)?")
"""A mail address, or a run of what its first part may hold: each is read once, since no other match begins in it."""
_PSEUDONYM_DIGITS = 24


class Pseudonyms:
    """Names by HMAC-SHA256: the same for the same key, not to be turned back without it.

    An actor and the same mail address within a text, an object or a detail get one pseudonym, whatever their case.
    A person's name that is no mail address is recognised as an actor alone.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < FEWEST_KEY_BYTES:
            raise ValueError(f"the key for pseudonyms needs {FEWEST_KEY_BYTES} bytes or more")
        self._key = key

    def of(self, record: AuditRecord) -> AuditRecord:
        """A copy without names, and without what would let a guess be proved: its hashes, and its key."""
        return replace(
            record,
            actor=record.actor if record.actor == SYSTEM else self.name(record.actor),
            object=self.text(record.object),
            correlation=self.text(record.correlation),
            detail={self.text(k): self.text(v) if isinstance(v, str) else v for k, v in record.detail.items()},
            key="",
            previous="",
            hash="",
        )

    def text(self, text: str) -> str:
        """A text with each mail address in it replaced."""
        return _MAIL.sub(lambda found: self.name(found[0]) if found[1] else found[0], text)

    def name(self, name: str) -> str:
        """The pseudonym of a name."""
        plain = name.strip().casefold().encode("utf-8", "surrogatepass")
        return f"person-{hmac.new(self._key, plain, hashlib.sha256).hexdigest()[:_PSEUDONYM_DIGITS]}"


def as_csv(records: Iterable[AuditRecord], pseudonyms: Pseudonyms | None = None) -> Iterator[bytes]:
    """A header and a line a record, in UTF-8. No cell begins as a formula does: such text has a `'` before it."""
    names = list(fields(None, pseudonyms))
    yield line(names)
    for record in records:
        yield line([cell(_text(value)) for value in fields(record, pseudonyms).values()])


def as_json_lines(records: Iterable[AuditRecord], pseudonyms: Pseudonyms | None = None) -> Iterator[bytes]:
    """A line of canonical JSON a record."""
    for record in records:
        yield canonical(fields(record, pseudonyms)).encode() + b"\n"


_COLUMNS: dict[str, Callable[[AuditRecord], Canonical]] = {
    "sequence": lambda r: r.sequence,
    "time": lambda r: iso(r.at_ms),
    "at_ms": lambda r: r.at_ms,
    "actor": lambda r: r.actor,
    "action": lambda r: r.action,
    "object": lambda r: r.object,
    "result": lambda r: r.result,
    "correlation": lambda r: r.correlation,
    "detail": lambda r: r.detail,
    "key": lambda r: r.key,
    "previous": lambda r: r.previous,
    "hash": lambda r: r.hash,
}
_ONLY_WITH_NAMES = ("key", "previous", "hash")


def fields(record: AuditRecord | None, pseudonyms: Pseudonyms | None) -> dict[str, Canonical]:
    """An export's columns with a record's values; without a record, with None."""
    shown = pseudonyms.of(record) if record and pseudonyms else record
    return {
        name: value(shown) if shown else None
        for name, value in _COLUMNS.items()
        if pseudonyms is None or name not in _ONLY_WITH_NAMES
    }


def _text(value: Canonical) -> str:
    return value if isinstance(value, str) else canonical(value)
