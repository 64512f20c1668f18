"""A run's commits for a group of staged batches: one for each author, on the head that was fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.domain.commit_parts import OURS, CommitPart, makers_of, named, split
from shared.domain.commits import ATTRIBUTES, ATTRIBUTES_FILE, UNKNOWN_MAIL, TreeChange, message, subject
from shared.domain.manifest import Manifest
from shared.domain.people import People
from shared.domain.versions import CommitMark, CommitVersions, Version, versions_of
from shared.errors import RepositoryError
from shared.protocols import Repository, Signature, WriteFile
from shared.services.backup.attribution import Known
from shared.services.backup.branch import Head
from shared.services.state.manifests import Checkpoint
from shared.services.state.staged_archive import StagedArchive

type Sources = Mapping[str, tuple[StagedArchive, str]]
"""The archive and its member that hold the bytes of a file."""


@dataclass(frozen=True, slots=True)
class CommitIdentity:
    """What commits say of themselves: committer, workspace and backup root; `people` name their authors."""

    name: str
    email: str
    workspace: str
    root: str
    people: People


@dataclass(frozen=True, slots=True)
class Chain:
    """Commits on a head, the oldest first, each with what it changed; none where the head holds all of it.

    `idle` are versions that no commit is needed for.
    """

    head: Head
    change: TreeChange
    commits: tuple[tuple[str, CommitPart], ...]
    idle: tuple[Version, ...]
    run_id: str
    when: datetime

    @property
    def last(self) -> str:
        """The commit that holds everything."""
        return self.commits[-1][0] if self.commits else str(self.head.commit)

    def marks(self, before: Checkpoint | None) -> list[CommitMark]:
        """The commits with their numbers; that of the head where there are none."""
        names = [name for name, _ in self.commits] or [self.last]
        start = before.sequence if before else 0
        return [CommitMark(start + number, name) for number, name in enumerate(names, 1)]


class ChainBuilder:
    """Builds locally: nobody sees a commit before it is pushed. `anchor` gives the trailer of the audit trail."""

    def __init__(self, repository: Repository, identity: CommitIdentity, anchor: Callable[[], str]) -> None:
        self._repository, self._identity, self._anchor = repository, identity, anchor

    def build(
        self,
        run_id: str,
        when: datetime,
        head: Head,
        change: TreeChange,
        before: Manifest,
        known: Known,
        sources: Sources,
    ) -> Chain:
        """Commits for what a change makes of `before`. Raises `RepositoryError` where one is not as it must be."""
        makers = makers_of(change, before, known.authors)
        change = replace(change, manifest=named(change, before, makers))
        versions = versions_of(before, change.manifest, change.writes, head.tree, set(change.conflicts))
        anchor = self._anchor()
        built: list[tuple[str, CommitPart]] = []
        idle: list[Version] = []
        for part in split(change, before, makers, versions):
            parent = built[-1][0] if built else head.commit
            text = self._text(run_id, when, part, anchor)
            commit = self._commit(when, parent, head.tree, part, sources, text, first=not built)
            if commit is None:
                idle += part.versions
                continue
            self._check(parent, commit, head.tree, part)
            built.append((commit, part))
        if built:
            # The first alone is entered with the commit that it is built on, where people's edits stand.
            built[0][1].versions += idle
            idle = []
        return Chain(head, change, tuple(built), tuple(idle), run_id, when)

    def versions(self, chain: Chain, before: Checkpoint | None) -> list[CommitVersions]:
        """What each commit of a chain changed, for the version log."""
        found: list[CommitVersions] = []
        last = CommitMark(before.sequence, before.commit) if before else None
        parts = [part for _, part in chain.commits] or [CommitPart(OURS, versions=list(chain.idle))]
        for mark, part in zip(chain.marks(before), parts, strict=True):
            branch = chain.head.commit if not found and chain.change.conflicts else None
            found.append(
                CommitVersions(
                    mark=mark,
                    before=last,
                    run_id=chain.run_id,
                    committed_at=int(chain.when.timestamp() * 1000),
                    message=subject(chain.when, part.counts if chain.commits else chain.change.counts),
                    author=self._author(part, chain.when).name,
                    branch=branch,
                    versions=tuple(part.versions),
                )
            )
            last = mark
        return found

    def _commit(
        self,
        when: datetime,
        parent: str | None,
        tree: Mapping[str, str],
        part: CommitPart,
        sources: Sources,
        text: str,
        *,
        first: bool,
    ) -> str | None:
        """One author's commit; None where it would change nothing."""
        committer = Signature(self._identity.name, self._identity.email, when)
        writes = _writes(tree, part, sources, attributes=first)
        author = self._author(part, when)
        return self._repository.build_commit(parent, part.deletes, writes, text, author, committer)

    def _text(self, run_id: str, when: datetime, part: CommitPart, anchor: str) -> str:
        of = self._identity
        return message(when, run_id, of.workspace, of.root, part.counts, part.restores, anchor)

    def _author(self, part: CommitPart, when: datetime) -> Signature:
        if part.author == OURS:
            return Signature(self._identity.name, self._identity.email, when)
        person = self._identity.people.of(part.author)
        written = datetime.fromtimestamp(part.when_ms / 1000, UTC) if part.when_ms else when
        mail = person.mail if person.mail and "@" in person.mail else UNKNOWN_MAIL
        return Signature(person.name, mail, written)

    def _check(self, parent: str | None, commit: str, tree: Mapping[str, str], part: CommitPart) -> None:
        """Before anybody sees a commit, it must differ by exactly what was exported and removed."""
        expected: dict[str, str | None] = {n.file: n.blob for n in part.writes if tree.get(n.file) != n.blob}
        expected |= dict.fromkeys(part.deletes)
        found = self._repository.changes(parent, commit)
        if ATTRIBUTES_FILE not in tree:
            found.pop(ATTRIBUTES_FILE, None)
        if found != expected:
            wrong = sorted(f for f in found.keys() | expected.keys() if found.get(f, "-") != expected.get(f, "-"))
            detail = f"{len(wrong)} files are not as they must be, {wrong[0]!r} among them"
            raise RepositoryError(action="build a commit", detail=detail)


def _writes(tree: Mapping[str, str], part: CommitPart, sources: Sources, *, attributes: bool) -> Iterator[WriteFile]:
    """Files whose bytes the tree does not hold yet, in path order."""
    if attributes and ATTRIBUTES_FILE not in tree:
        yield WriteFile(ATTRIBUTES_FILE, len(ATTRIBUTES), iter([ATTRIBUTES]))
    for notebook in part.writes:
        if tree.get(notebook.file) != notebook.blob:
            archive, member = sources[notebook.file]
            yield WriteFile(notebook.file, notebook.size, archive.chunks(member))
