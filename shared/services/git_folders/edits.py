"""What people commit to Git folders' branches comes to the backup branch: each commit as its author's own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.clock import Clock
from shared.domain.audit import AuditAction, AuditEntry, AuditResult, Detail
from shared.domain.batches import Notice
from shared.domain.folder_merges import FolderMerge, Refusal, changed_files, is_notebook, may_be_notebook, merge
from shared.domain.manifest import ManifestEntry
from shared.domain.names import JUPYTER_EXTENSION
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES, MOST_SOURCE_BYTES
from shared.protocols import PointFile, Repository, Signature
from shared.protocols.folder_branches import EXECUTABLE, PLAIN, BranchCommit, FolderBranches
from shared.services.audit.export import SYSTEM
from shared.services.git_folders.branches import Merging
from shared.services.git_folders.brought import BroughtStore
from shared.services.git_folders.own_commits import last_of_ours
from shared.services.git_folders.store import GitFolder

EDIT_TRAILER = "Backup-Folder-Commit"
"""In a commit that was brought to the backup branch: the one on the folder's branch that it is of."""
_TRAILERS = re.compile(r"^(?=Backup-[A-Za-z-]+:)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BranchEdits:
    """People's commits on a folder's branch up to `tip`, parents before children, since the backup's last one.

    `seen` is the one that the Git folder is at, or the backup's last.
    """

    folder: GitFolder
    tip: str
    seen: str
    merging: Merging
    commits: tuple[BranchCommit, ...]


@dataclass(frozen=True, slots=True)
class BroughtEdits:
    """What came of a folder's edits: by file below the folder who made it, and what was left with the reason.

    `modes` are those of files that are no plain ones.
    """

    edits: BranchEdits
    merge: FolderMerge
    owners: Mapping[str, BranchCommit]
    modes: Mapping[str, str]


class EditMerger:
    """Finds such commits, and commits what they may change to the backup branch."""

    def __init__(
        self,
        *,
        branches: FolderBranches,
        repository: Repository,
        brought: BroughtStore,
        clock: Clock,
        name: str,
        email: str,
    ) -> None:
        self._branches, self._repository, self._brought = branches, repository, brought
        self._clock, self._name, self._email = clock, name, email

    def find(
        self,
        folders: Mapping[str, str | None],
        rows: Iterable[GitFolder],
        heads: Mapping[str, str],
        head: Callable[[], str],
    ) -> list[BranchEdits]:
        """Branches that people committed to, without those that were moved back or by force.

        `folders` are the commits that Git folders are at, by path; `head` gives the backup branch's. Raises
        `RepositoryError`.
        """
        rows = [f for f in rows if f.path in folders]
        pairs = [(f, tip) for f in rows if f.head and (tip := heads.get(f.branch)) and tip != f.head]
        self._branches.describe({tip for _, tip in pairs})
        return [found for folder, tip in pairs if (found := self._of(folder, tip, folders[folder.path], head))]

    def withdraw(self, files: Sequence[str], head: str, last: str, still_held: Callable[[], None]) -> str:
        """Remove files that were brought, and that somebody removed in the workspace before a backup found them.

        Raises as `bring`.
        """
        who = Signature(self._name, self._email, self._clock.now())
        count = f"{len(files)} notebook" + ("s" if len(files) > 1 else "")
        text = f"Remove {count} that somebody removed in the workspace\n\n{EDIT_TRAILER}: {head}\n"
        made = self._repository.build_commit(head, files, (), text, who, who)
        if made is None:
            return head
        self._brought.keep_ground(last, made)
        still_held()
        self._repository.push(made, head)
        return made

    def bring(
        self,
        found: Sequence[BranchEdits],
        head: str,
        last: str,
        entries: Mapping[str, Mapping[str, ManifestEntry]],
        still_held: Callable[[], None],
        tell: Callable[[BroughtEdits], None],
    ) -> tuple[str, list[BroughtEdits]]:
        """Commit on `head`, the backup branch's, what may be brought, and push; returns the new head with what came.

        `last` is the last backup's commit; `entries` are the folders' notebooks as it has them. `tell` is called of
        each before the push: who dies after it finds nothing more to bring. Raises `RemoteMoved`, `RepositoryError`,
        `LeaseLost`.
        """
        whole = self._repository.tree(head)
        settled = [self._settled(edits, whole, entries.get(edits.folder.path, {})) for edits in found]
        parent = head
        for one in settled:
            parent = self._commit(one, parent)
        for one in settled:
            # Before the branch holds them: a backup that finds them there knows then that they are no conflict.
            if one.merge.notebooks:
                start = _start(one.edits.folder)
                files = {start + f: one.merge.brought[f] for f in one.merge.notebooks}
                self._brought.add(one.edits.folder.path, files)
            tell(one)
        self._brought.keep_ground(last, parent)
        if parent != head:
            still_held()
            self._repository.push(parent, head)
        return parent, settled

    def _of(self, folder: GitFolder, tip: str, at: str | None, head: Callable[[], str]) -> BranchEdits | None:
        known = str(folder.head)
        if not self._branches.contains(tip, known):
            return None
        commits = self._branches.edits(tip, known)
        base, shown, follows = known, str(folder.shown), folder.at
        named = [c.commit for c in commits if c.committer == self._email]
        told = self._branches.describe(named) if named else {}
        # A push of ours whose answer was lost.
        ours = last_of_ours(self._branches, folder, {c: told[c] for c in named if c in told}, head()) if told else None
        if ours:
            base, follows = ours
            shown = told[base].tree
            commits = self._branches.edits(tip, base)
        seen = at if at in {c.commit for c in commits} else base
        return BranchEdits(folder, tip, seen, Merging(base, shown, follows), tuple(commits)) if commits else None

    def _settled(
        self, edits: BranchEdits, whole: Mapping[str, str], entries: Mapping[str, ManifestEntry]
    ) -> BroughtEdits:
        start = _start(edits.folder)
        base, theirs = self._repository.tree(edits.merging.base), self._repository.tree(edits.tip)
        modes = self._branches.modes(edits.tip)
        notebooks, too_large = self._notebooks(base, theirs)
        merged = merge(
            base,
            theirs,
            {file[len(start) :]: blob for file, blob in whole.items() if file.startswith(start)},
            irregular={f for f, mode in modes.items() if mode != EXECUTABLE},
            seen=base if edits.seen == edits.merging.base else self._repository.tree(edits.seen),
            backed_up={e.file[len(start) :] for e in entries.values()},
            too_large=too_large,
            shown_as_notebook=notebooks.__contains__,
            is_root=not start,
        )
        owners = {file: commit for commit in edits.commits for file in commit.files}
        # What a merge commit itself makes of its parents is in none of theirs.
        return BroughtEdits(edits, merged, {f: owners.get(f, edits.commits[-1]) for f in merged.brought}, modes)

    def _notebooks(self, base: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[set[str], set[str]]:
        """Of the changed files, those that a Git folder shows as notebooks, by their first line.

        With them those of a notebook's name that are too large for one, which are not read.
        """
        changed: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for file, blob in changed_files(base, theirs).items():
            if blob is not None and may_be_notebook(file):
                most = MOST_NOTEBOOK_BYTES if file.endswith(JUPYTER_EXTENSION) else MOST_SOURCE_BYTES
                changed[most][blob].append(file)
        found: set[str] = set()
        too_large: set[str] = set()
        for most, some in changed.items():
            too_large |= {file for files in some.values() for file in files}
            # One at a time: somebody may have pushed more than fits into memory.
            for blob, data in self._repository.blobs(some, most):
                too_large.difference_update(some[blob])
                found |= {file for file in some[blob] if is_notebook(file, data)}
        return found, too_large

    def _commit(self, one: BroughtEdits, parent: str) -> str:
        start = _start(one.edits.folder)
        for commit in one.edits.commits:
            files = {f: one.merge.brought[f] for f, owner in one.owners.items() if owner is commit}
            deletes = [start + f for f, blob in sorted(files.items()) if blob is None]
            brought = ((f, blob) for f, blob in sorted(files.items()) if blob is not None)
            writes = [PointFile(start + f, blob, one.modes.get(f, PLAIN)) for f, blob in brought]
            if files:
                who = Signature(self._name, self._email, self._clock.now())
                # A person's message must not pass for one of the backup's own.
                text = _TRAILERS.sub("> ", commit.message.strip()) + f"\n\n{EDIT_TRAILER}: {commit.commit}\n"
                made = self._repository.build_commit(parent, deletes, writes, text, commit.author, who)
                parent = made or parent
        return parent


def entry_of(one: BroughtEdits, run_id: str) -> AuditEntry:
    """The record of edits that were settled."""
    folder, authors = one.edits.folder, {c.author.email or c.author.name for c in one.edits.commits}
    detail: Detail = {
        "branch": folder.branch,
        "commits": len(one.edits.commits),
        "brought": len(one.merge.brought),
        "left": len(one.merge.left),
        "authors": "\n".join(sorted(authors)),
    }
    result = AuditResult.PARTIAL if one.merge.left else AuditResult.DONE
    key = f"merged {one.edits.tip}"
    return AuditEntry(AuditAction.EDITS_MERGED, SYSTEM, folder.path, result, run_id, detail, key)


def notices_of(one: BroughtEdits) -> list[Notice]:
    """What people should know of edits that were settled."""
    folder, start = one.edits.folder, _start(one.edits.folder)
    who = ", ".join(sorted({owner.author.name for owner in one.owners.values()}))
    found = []
    if one.merge.brought:
        reason = f"{len(one.merge.brought)} files that {who} committed to {folder.branch} are in the backup branch"
        found.append(Notice(folder.path, "folder_edits_merged", reason))
    for file, why in sorted(one.merge.left.items()):
        code = "conflict_overruled" if why is Refusal.BOTH_CHANGED else "folder_edit_left"
        found.append(Notice(start + file, code, f"{why}; what was committed stays in the history of {folder.branch}"))
    return found


def _start(folder: GitFolder) -> str:
    return f"{folder.tree}/" if folder.tree else ""
