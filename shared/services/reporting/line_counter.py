"""Counts the lines of changes, in batches of contents, within bounds of number, bytes and time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from shared.clock import Clock
from shared.domain.change_report import Change, Omission
from shared.domain.line_counts import LineCount, code_lines, count_lines
from shared.domain.versions import Version
from shared.errors import RepositoryError
from shared.services.recovery.content import ContentService

BATCH_CHANGES, BATCH_BYTES = 200, 16 * 2**20
UNKNOWN_BYTES = 64 * 1024
"""What a content is taken for whose size nobody knows."""
_log = logging.getLogger("backup.reports")


@dataclass(frozen=True, slots=True)
class LineLimits:
    """How much one report may read to count lines."""

    changes: int = 5_000
    megabytes: int = 256
    seconds: float = 60.0


class LineCounter:
    """Counts lines until a limit is met; the changes after it go without."""

    def __init__(self, content: ContentService, clock: Clock, limits: LineLimits) -> None:
        self._content, self._clock, self._limits = content, clock, limits

    def counted(self, changes: Iterable[Change]) -> Iterator[Change]:
        """The same changes in the same order, with their lines, or with why they have none."""
        count = _Count(self._content, self._clock, self._limits)
        batch: list[Change] = []
        size = 0
        for change in changes:
            needed = _bytes(change)
            if batch and (len(batch) == BATCH_CHANGES or size + needed > BATCH_BYTES):
                yield from count.of(batch)
                batch, size = [], 0
            batch.append(change)
            size += needed
        yield from count.of(batch)


class _Count:
    """One report's count: what it still may read."""

    def __init__(self, content: ContentService, clock: Clock, limits: LineLimits) -> None:
        self._content, self._clock = content, clock
        self._changes, self._bytes = limits.changes, limits.megabytes * 2**20
        self._until = clock.monotonic() + limits.seconds
        self._refused = False

    def of(self, batch: list[Change]) -> Iterator[Change]:
        taken = [self._take(change) for change in batch]
        wanted = [change for change, fits in zip(batch, taken, strict=True) if fits]
        contents = self._read({side.blob for change in wanted for side in change.sides if side})
        for change, fits in zip(batch, taken, strict=True):
            if not any(change.sides):
                yield replace(change, lines=LineCount())
            elif fits and self._in_time():
                yield _compared(change, contents)
            else:
                yield replace(change, omitted=Omission.LIMIT)

    def _take(self, change: Change) -> bool:
        """Whether the contents of a change may be read; after the first that may not, none may."""
        if not any(change.sides):
            return False
        self._changes -= 1
        self._bytes -= _bytes(change)
        return self._changes >= 0 and self._bytes >= 0 and self._in_time()

    def _in_time(self) -> bool:
        return self._clock.monotonic() <= self._until

    def _read(self, blobs: set[str]) -> dict[str, bytes]:
        """Contents by blob. A remote that does not answer is not asked again for this report."""
        if self._refused or not blobs:
            return {}
        try:
            return dict(self._content.blobs(sorted(blobs)))
        except RepositoryError as error:
            _log.warning("lines are not counted: %s", error, extra={"action": "report.lines"})
            self._refused = True
            return {}


def _compared(change: Change, contents: dict[str, bytes]) -> Change:
    old, new = change.sides
    if any(side and side.blob not in contents for side in (old, new)):
        return replace(change, omitted=Omission.UNREADABLE)
    before, after = (code_lines(contents[side.blob], side.format) if side else [] for side in (old, new))
    return replace(change, lines=count_lines(before, after))


def _bytes(change: Change) -> int:
    return sum(_size(side) for side in change.sides if side)


def _size(version: Version) -> int:
    return UNKNOWN_BYTES if version.size is None else version.size
