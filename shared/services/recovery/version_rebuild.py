"""Versions from Git alone, where the version log is lost: sizes, hashes and modification times stay unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shared.domain.commits import RESTORE_TRAILER, RUN_TRAILER, UNKNOWN_MAIL
from shared.domain.names import BadFileName, parse_file
from shared.domain.own_commits import has_own_form, values
from shared.domain.people import UNKNOWN_NAME
from shared.domain.versions import CommitMark, CommitVersions, Version, VersionKind
from shared.protocols import FileChange, GitCommit, Repository


def versions_from_git(repository: Repository, root: str, upto: CommitMark) -> list[CommitVersions]:
    """What each backup up to `upto` changed, the oldest first, with the edits of people before each.

    Raises `RepositoryError`. Memory holds every change of the history: it is done once, where the log is lost.
    """
    commits = list(repository.history(upto.commit))
    backups = sum(_is_backup(c) or c.commit == upto.commit for c in commits)
    found: list[CommitVersions] = []
    reader = _Reader(root)
    people: list[GitCommit] = []
    before: CommitMark | None = None
    for commit in commits:
        if not _is_backup(commit) and commit.commit != upto.commit:
            people.append(commit)
            continue
        mark = CommitMark(upto.sequence - backups + len(found) + 1, commit.commit)
        found.append(reader.read(commit, people, mark, before))
        people, before = [], mark
    return found


def _is_backup(commit: GitCommit) -> bool:
    return has_own_form(commit.message)


class _Reader:
    def __init__(self, root: str) -> None:
        self._root = root
        self._held: dict[str, Version] = {}

    def read(
        self, commit: GitCommit, people: list[GitCommit], mark: CommitMark, before: CommitMark | None
    ) -> CommitVersions:
        edits: dict[str, Version] = {}
        for person in people:
            for change in person.changes:
                if change.blob and (version := self._parsed(change.file, change.blob, VersionKind.BRANCH_EDIT)):
                    edits[version.path] = version
        author, restore = _author(commit), " ".join(values(commit.message, RESTORE_TRAILER)) or None
        changed = _merged([v for change in commit.changes for v in self._changed(change)])
        versions = [replace(v, author=author, restore=restore) for v in changed]
        return CommitVersions(
            mark=mark,
            before=before,
            run_id=next(iter(values(commit.message, RUN_TRAILER)), ""),
            committed_at=int(commit.when.timestamp() * 1000),
            message=commit.message.partition("\n")[0],
            author=commit.author,
            branch=people[-1].commit if edits else None,
            versions=(*edits.values(), *versions),
        )

    def _changed(self, change: FileChange) -> Iterator[Version]:
        if change.blob is None:
            gone = self._held.pop(change.file, None)
            if gone:
                yield replace(gone, kind=VersionKind.DELETED, other_path=None)
            return
        kind = VersionKind.CHANGED if change.file in self._held else VersionKind.CREATED
        version = self._parsed(change.file, change.blob, kind)
        if version is None:
            return
        old = self._held.pop(change.old_file, None) if change.old_file else None
        if old and old.path != version.path:
            yield replace(old, kind=VersionKind.MOVED_AWAY, other_path=version.path)
            version = replace(version, kind=VersionKind.RENAMED, other_path=old.path)
        self._held[change.file] = replace(version, other_path=None)
        yield version

    def _parsed(self, file: str, blob: str, kind: VersionKind) -> Version | None:
        try:
            parsed = parse_file(file)
        except BadFileName:
            return None
        path = "/".join((self._root, *parsed.parts))
        return Version(path, kind, file, blob, parsed.language, parsed.format)


def _author(commit: GitCommit) -> str | None:
    """Whoever a backup's commit is by, as attribution knew them; None for the backup itself and for nobody known."""
    if commit.mail == commit.committer or commit.author == UNKNOWN_NAME:
        return None
    return commit.author if commit.mail == UNKNOWN_MAIL else commit.mail


def _merged(versions: list[Version]) -> list[Version]:
    """A notebook whose file was exchanged for another, as by a change of language, is one that changed."""
    gone = {v.path for v in versions if v.kind.gone}
    living = {v.path for v in versions if not v.kind.gone}
    return [
        replace(v, kind=VersionKind.CHANGED) if v.kind is VersionKind.CREATED and v.path in gone else v
        for v in versions
        if not (v.kind.gone and v.path in living)
    ]
