"""Dated full copies brought into history: one commit for each, backdated, with what differs from the one before.

The branch itself says what was imported, by a trailer of each commit; nothing else is stored. Order of work for a
copy: read all of it, build the commit, push it. A process that dies leaves whole copies, and the next run goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from shared.clock import Clock
from shared.domain.batches import Failure, Notice
from shared.domain.commits import ATTRIBUTES, ATTRIBUTES_FILE, COPY_SUBJECT_START, RUN_TRAILER
from shared.domain.names import parse_file
from shared.domain.volume import DatedCopy, dated, moment_of
from shared.domain.volume_files import files_of
from shared.errors import BackupError, RemoteMoved, RepositoryError
from shared.protocols import Repository, Signature, Volume, VolumeFault, WriteFile
from shared.services.volume.full_copy import CopiedNotebook, CopyChanged, CopyReader, ReadCopy

COPY_TRAILER = "Backup-Volume-Copy"
SAME_TRAILER = "Backup-Volume-Same"
FEWEST_GUARDED = 10


class BranchInUse(BackupError):
    """The branch holds {head}, which is no imported copy, and history is never rewritten. Leave --as-root out."""

    code = "branch_in_use"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`accept` names copies that are taken though they look cut short; `guard_share` says when they do."""

    accept: frozenset[str] = frozenset()
    as_root: bool = False
    guard_share: float = 0.2


@dataclass(slots=True)
class CopyOutcome:
    """What became of one copy: `imported`, `unchanged`, `already`, or `refused` for the reason in `failures`."""

    name: str
    status: str
    when: datetime | None = None
    commit: str | None = None
    notebooks: int = 0
    size: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


@dataclass(slots=True)
class _Branch:
    """The branch as it stands: `ours` are imported files with their blobs, `same` unchanged copies since its head."""

    head: str | None
    ours: dict[str, str]
    foreign: set[str]
    done: set[str]
    last: datetime | None
    same: list[str] = field(default_factory=list)


class VolumeImport:
    """Imports the copies of one volume to one branch."""

    def __init__(
        self,
        *,
        volume: Volume,
        reader: CopyReader,
        repository: Repository,
        clock: Clock,
        who: tuple[str, str],
        root: str,
    ) -> None:
        self._volume, self._reader, self._repository, self._clock = volume, reader, repository, clock
        self._who, self._root = who, root

    def run(self, options: ImportOptions, tell: Callable[[CopyOutcome], None] = lambda _: None) -> list[CopyOutcome]:
        """Import what is not there yet, the oldest first; `tell` hears of each copy when it is done.

        Raises `VolumeUnreadable`, `BranchInUse`, `RepositoryError`; with `RemoteMoved` somebody else pushed: run again.
        """
        entries = self._volume.copies()
        faults = [e for e in entries if isinstance(e, VolumeFault)]
        copies, refused = dated([e for e in entries if isinstance(e, str)], self._clock.now())
        refused += [Failure(f.name, f.code, f.reason) for f in faults]
        outcomes = [CopyOutcome(r.path, "refused", failures=[r]) for r in refused]
        branch = self._branch(options)
        for outcome in outcomes:
            tell(outcome)
        for copy in copies:
            outcomes.append(self._one(copy, branch, options))
            tell(outcomes[-1])
        return outcomes

    def _branch(self, options: ImportOptions) -> _Branch:
        head = self._repository.fetch()
        if head is None:
            return _Branch(None, {}, set(), set(), None)
        messages = self._repository.messages_with(head, "")
        names = [name for text in messages for name in _copies_in(text)]
        if options.as_root and any(f"\n{COPY_TRAILER}: " not in text for text in messages):
            raise BranchInUse(head=head[:12])
        tree, written = self._repository.tree(head), self._repository.own_files(head)
        ours = {f: blob for f, blob in tree.items() if f in written and f != ATTRIBUTES_FILE}
        last = max((when for name in names if (when := moment_of(name))), default=None)
        return _Branch(head, ours, set(tree) - set(ours), set(names), last)

    def _one(self, copy: DatedCopy, branch: _Branch, options: ImportOptions) -> CopyOutcome:
        if copy.name in branch.done:
            return CopyOutcome(copy.name, "already", copy.when)
        if branch.last and copy.when <= branch.last:
            reason = (
                f"a copy of {branch.last:%Y-%m-%d %H:%M} is in the history, which is never rewritten: it is too late"
            )
            return _refused(copy, "older_than_imported", reason)
        found = self._reader.read(copy.name)
        if refused := self._doubt(copy, found, branch, options):
            return refused
        outcome = CopyOutcome(copy.name, "unchanged", copy.when, None, len(found.notebooks), found.size)
        outcome.failures, outcome.notices = found.failures, found.notices
        try:
            self._commit(copy, found, branch, outcome)
        except (CopyChanged, OSError) as error:
            return _refused(copy, "changed_while_read", f"{error}: wait until the copy is complete, then run again")
        return outcome

    def _doubt(self, copy: DatedCopy, found: ReadCopy, branch: _Branch, options: ImportOptions) -> CopyOutcome | None:
        """A copy that looks half-written is not taken, since what it lacks would look deleted."""
        if found.unsteady:
            reason = "a file changed while it was read: wait until the copy is complete, then run again"
            return _refused(copy, "changed_while_read", reason, found)
        if name := self._reader.doubtful_root(found):
            reason = f"all of it is below {name}: say --below {name} if that is {self._root}, else --below ."
            return _refused(copy, "root_unclear", reason, found)
        if not found.notebooks:
            return _refused(copy, "no_notebooks", "no notebook could be read from it: see what is named", found)
        there = {(n.path, n.language) for n in found.notebooks}
        missing = sum(_notebook(f, self._root) not in there for f in branch.ours if self._is_known(f, found))
        most = max(FEWEST_GUARDED, options.guard_share * len(branch.ours))
        if missing > most and copy.name not in options.accept:
            reason = f"{missing} of {len(branch.ours)} notebooks of the copy before are missing: if that is right, "
            return _refused(copy, "half_written", f"{reason}add --accept {copy.name}", found)
        return None

    def _is_known(self, file: str, found: ReadCopy) -> bool:
        return found.knows("/".join(parse_file(file).parts))

    def _commit(self, copy: DatedCopy, found: ReadCopy, branch: _Branch, outcome: CopyOutcome) -> None:
        kept = {f: b for f, b in branch.ours.items() if not self._is_known(f, found)}
        reserved = {f: _notebook(f, self._root)[0] for f in kept}
        files = files_of(self._root, found.notebooks, set(branch.ours), reserved, branch.foreign - {ATTRIBUTES_FILE})
        after = kept | {file: n.blob for file, n in files.items()}
        deletes = sorted(branch.ours.keys() - after.keys())
        writes = [(f, n) for f, n in sorted(files.items()) if branch.ours.get(f) != n.blob]
        outcome.counts = Counter(created=sum(f not in branch.ours for f, _ in writes), deleted=len(deletes))
        outcome.counts["changed"] = len(writes) - outcome.counts["created"]
        commit = None
        if deletes or writes:
            commit = self._build(copy, branch, deletes, writes, outcome.counts)
        if commit is None:
            branch.same.append(copy.name)
            return
        self._repository.push(commit, branch.head)
        branch.head, branch.ours, branch.last, branch.same = commit, after, copy.when, []
        branch.foreign |= {ATTRIBUTES_FILE}
        outcome.status, outcome.commit = "imported", commit

    def _build(
        self,
        copy: DatedCopy,
        branch: _Branch,
        deletes: list[str],
        writes: list[tuple[str, CopiedNotebook]],
        counts: Counter[str],
    ) -> str | None:
        if self._repository.fetch() != branch.head:
            raise RemoteMoved(action="import", detail="somebody else pushed to the branch: run the import again")
        who = Signature(*self._who, copy.when)
        text = _message(copy, self._root, counts, branch.same)
        commit = self._repository.build_commit(
            branch.head, deletes, self._streams(copy, branch.foreign, writes), text, who, who
        )
        if commit is None:
            return None
        expected = {f: n.blob for f, n in writes} | dict.fromkeys(deletes)
        made = self._repository.changes(branch.head, commit)
        made.pop(ATTRIBUTES_FILE, None)
        if made != expected:
            raise RepositoryError(action="build a commit", detail=f"{copy.name} is not as it must be in the tree")
        return commit

    def _streams(
        self, copy: DatedCopy, foreign: Collection[str], writes: list[tuple[str, CopiedNotebook]]
    ) -> Iterator[WriteFile]:
        if ATTRIBUTES_FILE not in foreign:
            yield WriteFile(ATTRIBUTES_FILE, len(ATTRIBUTES), iter([ATTRIBUTES]))
        for file, notebook in writes:
            yield WriteFile(file, notebook.size, self._reader.bytes_of(copy.name, notebook))


def _notebook(file: str, root: str) -> tuple[str, object]:
    parsed = parse_file(file)
    return "/".join((root, *parsed.parts)), parsed.language


def _refused(copy: DatedCopy, code: str, reason: str, found: ReadCopy | None = None) -> CopyOutcome:
    failures = [Failure(copy.name, code, reason), *(found.failures if found else ())]
    outcome = CopyOutcome(copy.name, "refused", copy.when, failures=failures)
    if found:
        outcome.notebooks, outcome.size, outcome.notices = len(found.notebooks), found.size, found.notices
    return outcome


def _message(copy: DatedCopy, root: str, counts: Counter[str], same: list[str]) -> str:
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()) if n)
    run = f"{copy.when:%Y%m%dT%H%M%SZ}-volume"
    trailers = [f"{RUN_TRAILER}: {run}", f"Backup-Root: {root}", f"{COPY_TRAILER}: {json.dumps(copy.name)}"]
    trailers += [f"{SAME_TRAILER}: {json.dumps(name)}" for name in same]
    return f"{COPY_SUBJECT_START}{copy.when:%Y-%m-%d %H:%M:%S} UTC\n\n{told}\n\n" + "\n".join(trailers) + "\n"


def _copies_in(message: str) -> Iterator[str]:
    for line in message.split("\n"):
        name, _, value = line.partition(": ")
        if name in (COPY_TRAILER, SAME_TRAILER):
            try:
                yield str(json.loads(value))
            except ValueError:
                continue
