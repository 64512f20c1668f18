"""Audit records, each bound to the one before it by a hash, and the entries that they are made from."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.domain.canonical import Scalar, canonical, paired

type Detail = Mapping[str, Scalar]

FORMAT = 1
OWN_KEY = "~"
MOST_TEXT_CHARACTERS = 2_000
"""Of an actor or object; what is longer is cut with a mark."""
MOST_NAME_CHARACTERS = 400
"""Of a correlation id or key."""
MOST_DETAIL_UNITS = 12_000
"""Of a detail as canonical JSON, in the UTF-16 code units that Table Storage counts."""
MOST_BODY_UNITS = 30_000
"""Of a record as canonical JSON: a property of a row holds 32,768."""
_DETAIL_LIMITS = (8_000, 4_000, 2_000, 1_000, 500, 200)
_MOST_FIELD_CHARACTERS = 200
_MOST_EXACT = 2**53 - 1
_MOST_DECIMAL_BITS = 1_000
ANCHOR_TRAILER = "Backup-Audit"
_TRAILER = re.compile(rf"^{ANCHOR_TRAILER}: (\d{{1,18}}):([0-9a-f]{{64}})[ \t\r]*$", re.MULTILINE | re.ASCII)


class AuditAction(StrEnum):
    """Every act that leaves a record."""

    RUN_STARTED = "run_started"
    RUN_ENDED = "run_ended"
    LISTED = "listed"
    EXPORTED = "exported"
    COMMITTED = "committed"
    PUSHED = "pushed"
    DELETION_HELD = "deletion_held"
    DELETED = "deleted"
    CONFLICT_SETTLED = "conflict_settled"
    VERIFIED = "verified"
    REBUILT = "rebuilt"
    PLANNED = "planned"
    RESTORED = "restored"
    RESTORE_UNDONE = "restore_undone"
    CONTENT_READ = "content_read"
    PREVIEWED = "previewed"
    REPORT_READ = "report_read"
    AUDIT_READ = "audit_read"
    AUDIT_PRUNED = "audit_pruned"
    SETTINGS_SEEN = "settings_seen"
    ACCESS_REFUSED = "access_refused"
    SECRET_FOUND = "secret_found"  # noqa: S105 - the name of an act
    MAIL_SENT = "mail_sent"
    MAIL_FAILED = "mail_failed"
    GIT_FOLDERS_PLANNED = "git_folders_planned"
    GIT_FOLDERS_CONVERTED = "git_folders_converted"
    GIT_FOLDERS_ROLLED_BACK = "git_folders_rolled_back"
    FOLDER_CONVERTED = "folder_converted"
    FOLDER_ROLLED_BACK = "folder_rolled_back"
    FOLDER_PULLED = "folder_pulled"
    EDITS_MERGED = "edits_merged"
    PULL_REQUEST_OPENED = "pull_request_opened"
    PUBLISHED = "published"
    CREDENTIAL_ROTATED = "credential_rotated"
    CREDENTIAL_EXPIRES = "credential_expires"
    CREDENTIALS_CHECKED = "credentials_checked"
    MESSAGE_REQUEUED = "message_requeued"
    MESSAGE_DROPPED = "message_dropped"
    VOLUME_IMPORTED = "volume_imported"
    PARITY_COMPARED = "parity_compared"
    TAG_CREATED = "tag_created"
    TAG_DELETED = "tag_deleted"


class AuditResult(StrEnum):
    """How an act ended."""

    DONE = "done"
    PARTIAL = "partial"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What a caller has recorded: who did what to which object.

    `key` makes a repeated step harmless: of entries with the same correlation id and key, one is appended.
    """

    action: AuditAction
    actor: str
    object: str = ""
    result: AuditResult = AuditResult.DONE
    correlation: str = ""
    detail: Detail = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last record of a chain, or of a part of it: its sequence number and its hash in hex."""

    sequence: int
    hash: str

    def trailer(self) -> str:
        """The line in a commit message that anchors the chain in Git."""
        return f"{ANCHOR_TRAILER}: {self.sequence}:{self.hash}"


GENESIS = AuditHead(0, "0" * 64)
"""What the first record names as the one before it."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One link. `sequence` counts from 1, `at_ms` is Unix time in milliseconds; hashes are SHA-256 in hex.

    `key` is the entry's, or one of its own that begins with `~`: no two records are the same but for their place.

    `action` and `result` are text, so that a record of a later version is read too.
    `hash` is taken over the canonical JSON of everything else: see `encoded`.
    """

    sequence: int
    at_ms: int
    actor: str
    action: str
    object: str
    result: str
    correlation: str
    key: str
    detail: Detail
    previous: str
    hash: str = ""

    @property
    def repeatable(self) -> bool:
        """Whether the caller gave the key."""
        return not self.key.startswith(OWN_KEY)

    @property
    def head(self) -> AuditHead:
        """The chain's head when this record is its last."""
        return AuditHead(self.sequence, self.hash)


def anchors_in(message: str) -> list[AuditHead]:
    """The heads that a commit message's trailers name."""
    return [AuditHead(int(number), digest) for number, digest in _TRAILER.findall(message)]


def day_of(at_ms: int) -> str:
    """The day in UTC, as `2026-01-31`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()


def link(entry: AuditEntry, after: AuditHead, at_ms: int) -> AuditRecord:
    """The record of an entry that is next after a head; long texts are cut with a mark."""
    record = AuditRecord(
        sequence=after.sequence + 1,
        at_ms=at_ms,
        actor=cut(entry.actor, MOST_TEXT_CHARACTERS),
        action=entry.action.value,
        object=cut(entry.object, MOST_TEXT_CHARACTERS),
        result=entry.result.value,
        correlation=cut(entry.correlation, MOST_NAME_CHARACTERS),
        key=cut(entry.key, MOST_NAME_CHARACTERS),
        detail=bounded(entry.detail),
        previous=after.hash,
    )
    if units(encoded(record)) > MOST_BODY_UNITS:
        actor, name = cut(entry.actor, MOST_NAME_CHARACTERS), cut(entry.object, MOST_NAME_CHARACTERS)
        record = replace(record, actor=actor, object=name)
    return replace(record, hash=digest(record))


def encoded(record: AuditRecord) -> str:
    """The canonical JSON that the hash is taken over: all fields but the hash, and the format's number."""
    return canonical(
        {
            "format": FORMAT,
            "sequence": record.sequence,
            "at_ms": record.at_ms,
            "actor": record.actor,
            "action": record.action,
            "object": record.object,
            "result": record.result,
            "correlation": record.correlation,
            "key": record.key,
            "detail": record.detail,
            "previous": record.previous,
        }
    )


def digest(record: AuditRecord) -> str:
    """The hash that the record's content has, whatever `hash` says."""
    return hashlib.sha256(encoded(record).encode()).hexdigest()


def decoded(body: str, claimed: str) -> AuditRecord:
    """The reverse of `encoded`, with the hash that was stored beside it.

    A body that is not exactly what `encoded` gives keeps its number, where it has one, and gets no hash, so that a
    verification finds it. Raises `ValueError` where it is no record at all.
    """
    try:
        fields: dict[str, Any] = json.loads(body)
        del fields["format"]
        record = AuditRecord(**fields, hash=claimed)
        whole = encoded(record) == body
        if not _is_typed(record):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("this is no audit record") from None
    return record if whole else replace(record, hash="")


def units(text: str) -> int:
    """How many UTF-16 code units a text has."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_typed(record: AuditRecord) -> bool:
    texts = (record.actor, record.action, record.object, record.result, record.correlation, record.key, record.previous)
    return (
        all(isinstance(text, str) for text in texts)
        and all(type(number) is int for number in (record.sequence, record.at_ms))
        and isinstance(record.detail, dict)
    )


def cut(text: str, most: int) -> str:
    """The text, or its beginning with a mark that has the length and hash of the whole."""
    text = paired(text)
    return text if len(text) <= most else paired(text[:most]) + _mark(text)


def _mark(text: str) -> str:
    whole = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f" [cut: {len(text)} characters, SHA-256 {whole}]"


def bounded(detail: Detail) -> dict[str, Scalar]:
    """A detail that JSON holds exactly, within `MOST_DETAIL_UNITS`: long texts are cut, then entries left out."""
    exact = {cut(name, _MOST_FIELD_CHARACTERS): _exact(value) for name, value in sorted(detail.items())}
    if units(canonical(exact)) <= MOST_DETAIL_UNITS:
        return exact
    marks = {
        name: _mark(value)
        for name, value in exact.items()
        if isinstance(value, str) and len(value) > _DETAIL_LIMITS[-1]
    }
    for most in _DETAIL_LIMITS:
        clean = {name: _shorter(value, most, marks.get(name, "")) for name, value in exact.items()}
        if units(canonical(clean)) <= MOST_DETAIL_UNITS:
            return clean
    return _fewer(clean)


def _shorter(value: Scalar, most: int, mark: str) -> Scalar:
    return paired(value[:most]) + mark if isinstance(value, str) and len(value) > most else value


def _fewer(detail: dict[str, Scalar]) -> dict[str, Scalar]:
    kept: dict[str, Scalar] = {}
    room = MOST_DETAIL_UNITS - _MOST_FIELD_CHARACTERS
    for name, value in detail.items():
        room -= units(canonical({name: value}))
        if room < 0:
            break
        kept[name] = value
    return {**kept, "[cut]": f"{len(detail) - len(kept)} of {len(detail)} entries left out"}


def _exact(value: Scalar) -> Scalar:
    """Numbers that readers of JSON would round, or that JSON lacks, become text."""
    if isinstance(value, str):
        return paired(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if abs(value) <= _MOST_EXACT else _written(value)


def _written(value: int | float) -> str:
    """In decimal; Python refuses that for integers of thousands of digits, which are hexadecimal."""
    return repr(value) if isinstance(value, float) or value.bit_length() < _MOST_DECIMAL_BITS else hex(value)
