"""Whether the trail is as it was written: proved in parts, so that a chain of any length fits into requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from shared.domain.audit import ANCHOR_TRAILER, GENESIS, AuditAction, AuditHead, AuditRecord, digest
from shared.domain.audit_anchors import CommitAnchors, anchors_of, without_lost
from shared.domain.audit_check import AuditFault, AuditVerdict, Forgery, seals, verify
from shared.errors import RepositoryError
from shared.protocols import Repository
from shared.services.audit.recorder import AnchorStore
from shared.services.audit.rows import AuditRows, HeadState, Where

MOST_RECORDS = 50_000
"""In one part: some seconds."""
TRAILER_START = f"{ANCHOR_TRAILER}: "
MOST_CONTRADICTIONS = 20
"""Told of one proof: of a trail that is gone, every anchor is one."""


@dataclass(frozen=True, slots=True)
class AnchorRules:
    """Whose commits anchor the trail, by the settings.

    `address` is the backup's own as a committer, `foreign` are ids of commits that were declared not to be its own.
    `lost` is the last head of an earlier trail, which went with its storage: its commit and those before it anchor
    that trail, and not the one that began after it.
    """

    address: str
    foreign: tuple[str, ...] = ()
    lost: AuditHead | None = None


@dataclass(frozen=True, slots=True)
class Anchors:
    """What was read: heads that the backup's commits name, heads that were kept, and all of them by number."""

    commits: CommitAnchors
    kept: frozenset[AuditHead]

    @property
    def heads(self) -> list[AuditHead]:
        """Every head that is named anywhere, by its number."""
        return sorted(self.commits.named.keys() | self.kept, key=lambda head: head.sequence)


class AuditAnchors:
    """What proves the chain from outside its table: trailers of backup commits, and blobs that nobody can change."""

    def __init__(self, reader: Repository, kept: AnchorStore | None, rules: AnchorRules) -> None:
        self._reader, self._kept, self._rules = reader, kept, rules

    @property
    def lost(self) -> AuditHead | None:
        """The last head of an earlier trail that was lost, where the settings name one."""
        return self._rules.lost

    def read(self) -> Anchors:
        """Raises `RepositoryError`, and what the storage raises."""
        try:
            found = self._in_commits()
        except RepositoryError:
            if not self._reader.check():
                raise
            # The mirror is a cache that was damaged.
            self._reader.forget()
            found = self._in_commits()
        return Anchors(found, frozenset(self._kept.heads() if self._kept else ()))

    def _in_commits(self) -> CommitAnchors:
        branch, rules = self._reader.fetch(), self._rules
        if branch is None:
            return CommitAnchors()
        told = self._reader.commits_with(branch, TRAILER_START)
        found = anchors_of(told, rules.address, rules.foreign)
        return without_lost(found, rules.lost, lambda: self._reader.parents(branch)) if rules.lost else found


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An anchor that the chain does not hold to: the commits that name it, and whether a kept blob does."""

    head: AuditHead
    commits: tuple[str, ...]
    kept: bool


@dataclass(frozen=True, slots=True)
class ProvedPart:
    """What the proof of a part found; `complete` where it went to the chain's end, which is at `end`.

    `anchors` counts those that the part was held to. The last record of a part that is not the last is proved with
    the next one: what comes after it is what shows that it was written so.
    `against` are the first anchors that contradict the chain. `foreign` counts the commits that were declared as
    foreign, and `strange` those that name a head and are not the backup's own: neither was held against the chain.
    """

    verdict: AuditVerdict
    end: AuditHead
    anchors: int
    complete: bool
    against: tuple[Contradiction, ...] = ()
    foreign: int = 0
    strange: int = 0


class _Remembering(Iterator[AuditRecord]):
    """An iterator that knows the head before the last record that it gave."""

    def __init__(self, records: Iterator[AuditRecord]) -> None:
        self._records = records
        self.before_last = GENESIS

    def __next__(self) -> AuditRecord:
        record = next(self._records)
        self.before_last = AuditHead(record.sequence - 1, record.previous)
        return record


class AuditProof:
    """Proves the chain that is stored now."""

    def __init__(self, rows: AuditRows, anchors: AuditAnchors) -> None:
        self._rows, self._anchors = rows, anchors

    @property
    def lost(self) -> AuditHead | None:
        """The last head of an earlier trail that was lost, where the settings name one."""
        return self._anchors.lost

    def part(self, after: AuditHead | None = None, most: int = MOST_RECORDS) -> ProvedPart:
        """Prove up to `most` records (2 or more) after a head that was proved before, or from the chain's start.

        Raises `AuditDamaged`, and what reading the anchors raises.
        """
        # In this order: an anchor that is made meanwhile names no record that the head does not.
        found, state = self._anchors.read(), self._rows.state()
        anchors = found.heads
        removed = self._rows.removed()
        start = removed if after is None or after.sequence < removed.sequence else after
        last = start.sequence + most
        complete = last >= state.head.sequence
        named = [*anchors, state.head] if state.head.sequence else anchors
        chosen = [
            a for a in named if (complete or a.sequence <= last) and (after is None or a.sequence >= start.sequence)
        ]
        seen = _Remembering(self._rows.scan(state, Where(after=start.sequence, up_to=None if complete else last)))
        verdict = verify(seen, chosen, start, whole=False)
        fault = verdict.fault or self._missing(verdict, state, None if complete else last)
        if fault is None and complete:
            fault = self._unsealed(removed, state)
        count = sum((after is None or a.sequence > start.sequence) and (complete or a.sequence < last) for a in chosen)
        if fault is None and not complete:
            verdict = replace(verdict, head=seen.before_last, records=verdict.records - 1)
        return ProvedPart(
            verdict=replace(verdict, fault=fault),
            end=state.head,
            anchors=count,
            complete=complete or fault is not None,
            against=_contradictions(verdict, found),
            foreign=found.commits.foreign,
            strange=found.commits.strange,
        )

    def whole(self, goes_on: Callable[[], bool] = lambda: True, most: int = MOST_RECORDS) -> ProvedPart:
        """Part after part, to the end or for as long as `goes_on`: what was found in all of them."""
        found = self.part(most=most)
        while not found.complete and goes_on():
            more = self.part(found.verdict.head, most)
            verdict = replace(
                more.verdict,
                records=found.verdict.records + more.verdict.records,
                anchored=max(found.verdict.anchored, more.verdict.anchored),
                out_of_reach=found.verdict.out_of_reach,
            )
            found = replace(more, verdict=verdict, anchors=found.anchors + more.anchors)
        return found

    @staticmethod
    def _missing(verdict: AuditVerdict, state: HeadState, last: int | None) -> AuditFault | None:
        """What is not there, though the head row or the caller says that it was."""
        wanted = state.head.sequence if last is None else last
        reached = verdict.head.sequence
        if reached > state.head.sequence:
            return AuditFault(Forgery.TRUNCATED, state.head.sequence + 1)
        return AuditFault(Forgery.TRUNCATED, reached + 1) if reached < wanted else None

    def _unsealed(self, removed: AuditHead, state: HeadState) -> AuditFault | None:
        """A chain without its beginning needs a record that says so; that record was proved with the others."""
        if removed == GENESIS:
            return None

        def tells(record: AuditRecord) -> bool:
            return seals(record, removed) and digest(record) == record.hash

        if self._rows.last(AuditAction.AUDIT_PRUNED, state, tells):
            return None
        return AuditFault(Forgery.UNSEALED, removed.sequence)


def _contradictions(verdict: AuditVerdict, anchors: Anchors) -> tuple[Contradiction, ...]:
    """The anchors from outside the table that contradict a chain."""
    found = (Contradiction(h, anchors.commits.named.get(h, ()), h in anchors.kept) for h in verdict.against)
    return tuple(c for c in found if c.commits or c.kept)[:MOST_CONTRADICTIONS]
