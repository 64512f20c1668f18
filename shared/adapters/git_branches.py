"""The branches of Git folders, by git in the committer's own mirror: it holds the trees that they share."""

from __future__ import annotations

import itertools
import re
import tempfile
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from shared.adapters.git_ids import check_ids, named_in
from shared.adapters.git_log import GitLog
from shared.adapters.git_mirror import GitMirror
from shared.adapters.git_stream import person, quoted
from shared.errors import RepositoryError
from shared.protocols.folder_branches import (
    PLAIN,
    SUBMODULE,
    BackupCommit,
    BranchChain,
    BranchCommit,
    BranchHead,
    BranchMove,
    Link,
)
from shared.protocols.repository import Signature

MOST_FOLLOWED = 200
"""Commits of the backup that are followed one by one: a branch that is further behind shows the last alone."""
MOST_REFS = 1_000
"""Refs in one push or fetch: Azure Repos answers each with a line, within its time for a request."""
_PRIVATE = "refs/backup/"
_SYMREF = re.compile(r"^ref: refs/heads/(\S+)\tHEAD$", re.MULTILINE)
_FIELDS = ("%H", "%an", "%ae", "%at", "%cn", "%ce", "%ct", "%B")
_NOT_SPARSE = ["-c", "pack.useSparse=false"]
"""The sparse walk compares trees path by path, and misses that the server has a folder's tree elsewhere."""


class GitBranches:
    """See `shared.protocols.folder_branches.FolderBranches`; `ref` is the backup branch's."""

    def __init__(self, mirror: GitMirror, ref: str) -> None:
        self._mirror, self._ref = mirror, ref

    def heads(self, prefix: str) -> dict[str, str]:
        """See `FolderBranches.heads`."""
        text = self._mirror.remote("read the remote's branches", "ls-remote", "origin", f"refs/heads/{prefix}*")
        rows = (line.split("\t") for line in text.splitlines() if "\t" in line)
        return {ref.removeprefix("refs/heads/"): commit for commit, ref in rows}

    def default_branch(self) -> str | None:
        """See `FolderBranches.default_branch`."""
        text = self._mirror.remote("read the default branch", "ls-remote", "--symref", "origin", "HEAD")
        found = _SYMREF.search(text)
        return found[1] if found else None

    def describe(self, commits: Collection[str]) -> dict[str, BranchHead]:
        """See `FolderBranches.describe`."""
        check_ids(*commits)
        self._bring_missing(commits)
        here = self._here(commits)
        rows = self._show([c for c in commits if c in here], ("%H", "%T", "%B")) if here else []
        return {commit: BranchHead(tree, message) for commit, tree, message in rows}

    def contains(self, head: str, commit: str) -> bool:
        """See `FolderBranches.contains`."""
        check_ids(head, commit)
        if head == commit:
            return True
        self._bring_history(head)
        return commit in self._mirror.text("read the history", "rev-list", head).split()

    def common(self, one: str, other: str) -> str | None:
        """See `FolderBranches.common`."""
        check_ids(one, other)
        self._bring_history(one, other)
        try:
            return self._mirror.text("compare two histories", "merge-base", one, other) or None
        except RepositoryError:
            # It says nothing, and ends with 1, where there is none.
            return None

    def edits(self, head: str, after: str) -> list[BranchCommit]:
        """See `FolderBranches.edits`."""
        check_ids(head, after)
        # Trees that are missing are fetched by git itself, one by one: people commit little at a time.
        log = GitLog()
        data = self._mirror.remote_listing("read a branch's commits", *log.edits, f"{after}..{head}")
        return [
            BranchCommit(e.commit, Signature(e.author, e.mail, e.when), e.committer, e.message, e.files)
            for e in log.read_edits(data)
        ]

    def modes(self, commit: str) -> dict[str, str]:
        """See `FolderBranches.modes`."""
        check_ids(commit)
        data = self._mirror.remote_listing("read a tree", "ls-tree", "-r", "-z", "--full-tree", commit)
        rows = (row.split(b"\t", 1) for row in data.split(b"\0") if row)
        found = ((name.decode("utf-8", "surrogateescape"), meta.split()[0].decode()) for meta, name in rows)
        return {name: mode for name, mode in found if mode != PLAIN}

    def since(self, head: str, after: str | None) -> list[BackupCommit]:
        """See `FolderBranches.since`."""
        check_ids(head, after)
        wanted = [head]
        if after is not None and after != head:
            wanted = self._between(head, after) or [head]
        return [_commit(row) for row in self._show(wanted, _FIELDS)]

    def subtrees(self, commits: Sequence[str], folders: Collection[str]) -> dict[tuple[str, str], str]:
        """See `FolderBranches.subtrees`."""
        check_ids(*commits)
        self._bring_missing(commits)
        self._bring_trees(commits)
        found: dict[tuple[str, str], str] = {}
        with self._mirror.process("cat-file", "--batch-check=%(objecttype) %(objectname)") as (_, given, told):
            for key in itertools.product(commits, folders):
                # No name in the tree holds a line break: see docs/decisions/0002-names.md.
                given.write(f"{key[0]}:{key[1]}\n".encode("utf-8", "surrogateescape"))
                given.flush()
                kind, _, name = told.readline().decode("utf-8", "replace").strip().partition(" ")
                if kind == "tree":
                    found[key] = name
        return found

    def build(self, chains: Sequence[BranchChain]) -> list[str]:
        """See `FolderBranches.build`."""
        check_ids(*named_in(chains))
        group = f"{_PRIVATE}{uuid.uuid4().hex}"
        self._mirror.bring_blobs(blob for chain in chains for link in chain.links for blob in _blobs(link))
        self._mirror.fast_import(_stream(group, chains))
        text = self._mirror.text("read the commits", "for-each-ref", "--format=%(refname) %(objectname)", group)
        made = dict(line.split() for line in text.splitlines())
        return [made[f"{group}/{number}"] for number in range(len(chains))]

    def remove(self, branch: str, commit: str) -> bool:
        """See `FolderBranches.remove`."""
        check_ids(commit)
        ref = f"refs/heads/{branch}"
        arguments = ["push", "--quiet", f"--force-with-lease={ref}:{commit}", "origin", f":{ref}"]
        try:
            self._mirror.remote("remove a branch", *arguments)
        except RepositoryError:
            # Gone already, or moved on: the server says which.
            return branch not in self.heads(branch)
        return True

    def push(self, moves: Iterable[BranchMove]) -> set[str]:
        """See `FolderBranches.push`."""
        refused: set[str] = set()
        moves = list(moves)
        check_ids(*(move.commit for move in moves))
        with self._backup_as_edge() as environment:
            for some in itertools.batched(moves, MOST_REFS, strict=False):
                refused |= self._push(some, environment)
        return refused

    @contextmanager
    def _backup_as_edge(self) -> Iterator[dict[str, str]]:
        """Have git see that the server holds the trees already, by the backup branch.

        A branch's history has nothing in common with that of the backup branch. Git leaves out what is in the
        trees of such a commit only where the repository is shallow (`--objects-edge-aggressive`): so the backup
        branch's head is named as the end of a shallow history, for the length of the push.
        """
        head = self._mirror.remote("read the remote's branches", "ls-remote", "origin", self._ref).split()[:1]
        known = self._mirror.path / "shallow"
        lines = known.read_text().split() if known.exists() else []
        with tempfile.NamedTemporaryFile("w", dir=self._mirror.path.parent) as listed:
            listed.writelines(f"{commit}\n" for commit in dict.fromkeys([*lines, *head]))
            listed.flush()
            yield {"GIT_SHALLOW_FILE": listed.name}

    def _bring_history(self, *heads: str) -> None:
        """The commits up to heads, and those of the backup branch, without their trees."""
        known = self._mirror.remote("read the remote's branches", "ls-remote", "origin", self._ref).split()[1:2]
        shallow = ["--unshallow"] if (self._mirror.path / "shallow").exists() else []
        arguments = ["fetch", *shallow, "--filter=tree:0", "--no-tags", "--quiet", "origin", *known, *heads]
        self._mirror.remote("fetch a branch's history", *arguments)

    def _push(self, moves: tuple[BranchMove, ...], environment: dict[str, str]) -> set[str]:
        refs = [f"{move.commit}:refs/heads/{move.branch}" for move in moves]
        arguments = [*_NOT_SPARSE, "push", "--quiet", "origin", *refs]
        try:
            self._mirror.remote("push the folders' branches", *arguments, environment=environment)
        except RepositoryError:
            # Some may have gone through, all of them where the answer was lost: the server says which.
            heads = self.heads("")
            refused = {move.branch for move in moves if heads.get(move.branch) != move.commit}
            if len(refused) == len(moves) > 1 or not refused:
                return self._one_by_one(moves, environment) if refused else refused
            return refused
        return set()

    def _one_by_one(self, moves: tuple[BranchMove, ...], environment: dict[str, str]) -> set[str]:
        """None went through: one branch may have spoilt it for the others."""
        return set().union(*(self._push((move,), environment) for move in moves))

    def _between(self, head: str, after: str) -> list[str]:
        if not self._here([after]) and not self.contains(head, after):
            return []
        rows = self._mirror.text("read the history", "rev-list", "--first-parent", "--reverse", f"{after}..{head}")
        found = rows.split()
        return found if len(found) <= MOST_FOLLOWED else found[-1:]

    def _show(self, commits: Sequence[str], fields: Sequence[str]) -> list[list[str]]:
        """Fields of commits, told apart by words that nobody who writes a commit can know."""
        begin, between = uuid.uuid4().hex, uuid.uuid4().hex
        form = f"--format={begin}{between.join(fields)}"
        parts = [
            self._mirror.listing("read commits", "log", "--no-walk=unsorted", form, *some).decode("utf-8", "replace")
            for some in itertools.batched(commits, MOST_REFS, strict=False)
        ]
        rows = (row for part in parts for row in part.split(begin)[1:])
        return [row.split(between, len(fields) - 1) for row in rows]

    def _here(self, commits: Collection[str]) -> set[str]:
        """Those that the mirror holds: asked for one by one, a missing one would be fetched by git itself."""
        arguments = ["cat-file", "--batch-check=%(objectname)", "--batch-all-objects", "--unordered"]
        held = self._mirror.run("list objects", *arguments).decode().split()
        return set(commits).intersection(held)

    def _bring_missing(self, commits: Collection[str]) -> None:
        here = self._here(commits)
        missing = sorted(c for c in set(commits) if c not in here)
        for some in itertools.batched(missing, MOST_REFS, strict=False):
            self._bring(some)

    def _bring_trees(self, commits: Collection[str]) -> None:
        """The trees of commits that were brought for their history alone."""
        rows = self._show(list(commits), ("%H", "%T"))
        here = self._here([tree.strip() for _, tree in rows])
        bare = [commit for commit, tree in rows if tree.strip() not in here]
        for some in itertools.batched(bare, MOST_REFS, strict=False):
            self._bring(some, "--refetch")

    def _bring(self, commits: Sequence[str], *how: str) -> None:
        """Fetch commits; where the remote does not hold one of them, the others."""
        arguments = [*how, "--depth=1", "--filter=blob:none", "--no-tags", "--no-write-fetch-head", "--quiet"]
        try:
            self._mirror.fetch("fetch commits", *arguments, "origin", *commits)
        except RepositoryError:
            if len(commits) > 1:
                for commit in commits:
                    self._bring([commit])


def _stream(group: str, chains: Sequence[BranchChain]) -> Iterator[bytes]:
    marks = itertools.count(1)
    for number, chain in enumerate(chains):
        before = chain.parent
        for link in chain.links:
            mark = next(marks)
            yield _commit_text(f"{group}/{number}", mark, link, before)
            before = f":{mark}"
    yield b"done\n"


def _commit_text(ref: str, mark: int, link: Link, before: str | None) -> bytes:
    text = link.message.encode()
    parents = [p for p in (link.onto, before) if p]
    above = "".join(f"{word} {parent}\n" for word, parent in zip(("from", "merge"), parents, strict=False)).encode()
    who = b"author %s\ncommitter %s\n" % (person(link.author), person(link.committer))
    head = b"commit %s\nmark :%d\n%s" % (ref.encode(), mark, who)
    # An empty path is the root: the commit's tree is the very object.
    begin = head + b"data %d\n%s\n%sM 040000 %s \n" % (len(text), text, above, link.tree.encode())
    gone = b"".join(b"D %s\n" % quoted(file) for file, blob in sorted(link.files.items()) if blob is None)
    changed = ((f, blob, link.modes.get(f, PLAIN)) for f, blob in sorted(link.files.items()) if blob is not None)
    return begin + gone + b"".join(b"M %s %s %s\n" % (m.encode(), b.encode(), quoted(f)) for f, b, m in changed)


def _blobs(link: Link) -> Iterator[str]:
    """What a link names beside its tree; another repository's commit is in none of ours."""
    for file, blob in link.files.items():
        if blob is not None and link.modes.get(file) != SUBMODULE:
            yield blob


def _commit(row: list[str]) -> BackupCommit:
    commit, name, mail, at, committer, committer_mail, committed, message = row
    author = Signature(name, mail, datetime.fromtimestamp(int(at), UTC))
    return BackupCommit(
        commit, author, Signature(committer, committer_mail, datetime.fromtimestamp(int(committed), UTC)), message
    )
