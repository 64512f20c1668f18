"""The Git repository: a bare, blobless, depth-1 mirror, `git fast-import`, and a fast-forward-only push."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.adapters.git_blobs import DirectBlobs
from shared.adapters.git_branches import GitBranches
from shared.adapters.git_ids import check_ids
from shared.adapters.git_log import MOST_CHANGES, GitLog
from shared.adapters.git_mirror import NO_NEGOTIATION, GitMirror
from shared.adapters.git_objects import GitObjects
from shared.adapters.git_program import SYSTEM_GIT, FindGit
from shared.adapters.git_stream import commit_stream
from shared.adapters.git_tags import GitTags
from shared.domain.commits import RUN_TRAILER
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES
from shared.domain.own_commits import ToldCommit, has_own_form
from shared.errors import RemoteMoved, RepositoryError
from shared.protocols import GitCommit, PointFile, Signature, WriteFile

_PRIVATE = "refs/backup/"
_REJECTED = ("[rejected]", "fetch first", "non-fast-forward", "cannot lock ref", "stale info", "failed to update ref")
_SHORT = ["--no-tags", "--quiet", "origin"]
_LOCAL_ONLY = {"GIT_NO_LAZY_FETCH": "1"}


class GitRepository:
    """See `shared.protocols.Repository`; `authorization` gives the value of the `Authorization` header."""

    def __init__(
        self,
        url: str,
        branch: str,
        mirror: Path,
        authorization: Callable[[], str],
        *,
        git: FindGit = SYSTEM_GIT,
        ca_file: Path | None = None,
    ) -> None:
        self._ref = f"refs/heads/{branch}"
        self._mirror = GitMirror(url, mirror, authorization, git)
        self._direct = DirectBlobs(url, authorization, ca_file)

    def branches(self) -> GitBranches:
        """The branches of Git folders, in the same mirror."""
        return GitBranches(self._mirror, self._ref)

    def tags(self) -> GitTags:
        """The remote's tags; one is made in the same mirror, which has what it names."""
        return GitTags(self._mirror, self._is_held)

    def fetch(self) -> str | None:
        """See `Repository.fetch`."""
        self._mirror.tidy()
        head = self._remote_head()
        if head is None:
            return None
        if not self._mirror.has(f"{head}^{{tree}}"):
            target = f"+{self._ref}:refs/remotes/origin/head"
            self._mirror.fetch("fetch the branch", "--depth=1", "--filter=blob:none", *_SHORT, target)
        self._drop_private()
        return head

    def tree(self, commit: str) -> dict[str, str]:
        """See `Repository.tree`."""
        check_ids(commit)
        if not self._mirror.has(f"{commit}^{{tree}}"):
            self._mirror.fetch("fetch a commit", "--depth=1", "--filter=blob:none", *_SHORT, commit)
        data = self._mirror.listing("read a tree", "ls-tree", "-r", "-z", "--full-tree", commit)
        rows = (line.split(b"\t", 1) for line in data.split(b"\0") if line)
        return {name.decode("utf-8", "surrogateescape"): meta.split()[2].decode() for meta, name in rows}

    def changes(self, parent: str | None, commit: str) -> dict[str, str | None]:
        """See `Repository.changes`."""
        check_ids(parent, commit)
        if parent is None:
            return dict(self.tree(commit))
        data = self._mirror.listing(
            "compare two trees", "diff-tree", "-r", "-z", "--no-renames", "--raw", parent, commit
        )
        # Each file is two fields: `:mode mode blob blob status`, then its path.
        fields = data.split(b"\0")[:-1]
        rows = zip(fields[::2], fields[1::2], strict=True)
        return {
            name.decode("utf-8", "surrogateescape"): None if meta.endswith(b" D") else meta.split()[3].decode()
            for meta, name in rows
        }

    def build_commit(
        self,
        parent: str | None,
        deletes: Iterable[str],
        writes: Iterable[WriteFile | PointFile],
        message: str,
        author: Signature,
        committer: Signature,
    ) -> str | None:
        """See `Repository.build_commit`."""
        check_ids(parent)
        ref = _PRIVATE + uuid.uuid4().hex
        coming = iter(writes)
        first = next(coming, None)
        every = coming if first is None else itertools.chain([first], coming)
        if isinstance(first, PointFile):
            every = iter(listed := list(every))
            self._mirror.bring_blobs(w.blob for w in listed if isinstance(w, PointFile))
        stream = commit_stream(ref, parent, deletes, every, message, author, committer)
        self._mirror.fast_import(stream)
        asked = [ref, f"{ref}^{{tree}}", *([f"{parent}^{{tree}}"] if parent else [])]
        commit, *trees = self._mirror.text("read the commit", "rev-parse", *asked).split()
        return None if len(set(trees)) < len(trees) else commit

    def push(self, commit: str, expected: str | None) -> None:
        """See `Repository.push`."""
        check_ids(commit, expected)
        # The server compares with the head that was fetched: a fast-forward alone would also pass on a branch
        # that was moved back meanwhile, and bring back what was taken off it.
        lease = f"--force-with-lease={self._ref}:{expected or ''}"
        self._check_child(commit, expected)
        try:
            self._mirror.remote("push", "push", "--porcelain", "--quiet", lease, "origin", f"{commit}:{self._ref}")
        except RepositoryError as error:
            detail = str(error.fields.get("detail"))
            if any(words in detail for words in _REJECTED):
                raise RemoteMoved(action="push", detail=f"expected {expected or 'no branch'}") from None
            raise

    def revive(self, commit: str) -> bool:
        """See `Repository.revive`."""
        check_ids(commit)
        if self._remote_head() is not None or not self._held_by_remote(commit):
            return False
        if not self._mirror.has(commit):
            self._mirror.fetch("fetch a commit", "--depth=1", "--filter=blob:none", *_SHORT, commit)
        with self._own_objects() as (folder, environment):
            # The server has all of it: it is asked what it has, and the mirror's shallow end is left unsaid.
            (folder / "shallow").touch()
            whole = {**environment, "GIT_SHALLOW_FILE": str(folder / "shallow")}
            arguments = ["push", "--porcelain", "--quiet", "origin", f"{commit}:{self._ref}"]
            self._mirror.remote("push", "-c", "push.negotiate=true", *arguments, environment=whole)
        return True

    def contains(self, head: str, commit: str) -> bool:
        """See `Repository.contains`."""
        check_ids(head, commit)
        if head == commit:
            return True
        self._deepen()
        if not self._mirror.has(commit):
            return False
        return commit in self._mirror.text("read the history", "rev-list", head).split()

    def own_files(self, head: str) -> set[str]:
        """See `Repository.own_files`."""
        check_ids(head)
        self._deepen("--refetch", "--filter=blob:none")
        log = GitLog()
        with self._mirror.stream(
            "read the history", *log.edits, f"--grep=^{RUN_TRAILER}: ", head, environment=_LOCAL_ONLY
        ) as output:
            files: set[str] = set()
            for commit in log.read(output):
                if has_own_form(commit.message):
                    files.update(change.file for change in commit.changes if change.blob)
                if len(files) > MOST_CHANGES:
                    detail = f"the backup's commits name more than {MOST_CHANGES:,} files"
                    raise RepositoryError(action="read the history", detail=detail)
            return files

    def history(self, head: str) -> Iterator[GitCommit]:
        """See `Repository.history`."""
        check_ids(head)
        self._deepen("--refetch", "--filter=blob:none")
        log = GitLog()
        with self._mirror.stream("read the history", *log.history, head, environment=_LOCAL_ONLY) as output:
            yield from log.read(output)

    def blobs(self, ids: Iterable[str], most_bytes: int = MOST_NOTEBOOK_BYTES) -> Iterator[tuple[str, bytes]]:
        """See `Repository.blobs`: a few by one request, many by git into a folder of their own that goes again."""
        wanted = sorted(set(ids))
        check_ids(*wanted)
        direct = self._direct.get(wanted, most_bytes)
        if direct is not None:
            yield from direct.items()
            return
        if not wanted:
            return
        with self._own_objects() as (folder, environment):
            listed = folder / "wanted"
            listed.write_text("".join(f"{i}\n" for i in wanted))
            self._mirror.fetch_blobs(listed, environment)
            objects = GitObjects(self._mirror, {**environment, **_LOCAL_ONLY})
            yield from objects.read([blob for blob, size in objects.sizes(wanted) if size <= most_bytes])

    def check(self) -> list[str]:
        """See `Repository.check`."""
        try:
            self._mirror.run("check the mirror", "fsck", "--full", "--strict", "--no-dangling", environment=_LOCAL_ONLY)
        except RepositoryError as error:
            return [str(error.fields["detail"])]
        return []

    def forget(self) -> None:
        """See `Repository.forget`."""
        self._mirror.forget()

    def message(self, commit: str) -> str:
        """See `Repository.message`."""
        check_ids(commit)
        return self._mirror.text("read a message", "log", "-1", "--format=%B", commit)

    def messages_with(self, head: str, start: str) -> list[str]:
        """See `Repository.messages_with`."""
        check_ids(head)
        self._deepen()
        arguments = ["log", "-z", "--format=%B", f"--grep=^{start}", head]
        text = self._mirror.listing("read messages", *arguments).decode("utf-8", "replace").strip()
        return [m for m in text.split("\0") if m]

    def commits_with(self, head: str, start: str) -> list[ToldCommit]:
        """See `Repository.commits_with`."""
        check_ids(head)
        self._deepen()
        arguments = ["log", "-z", "--format=%H%n%ce%n%B", f"--grep=^{start}", head]
        text = self._mirror.listing("read messages", *arguments).decode("utf-8", "replace").strip()
        rows = (row.split("\n", 2) for row in text.split("\0") if row)
        return [ToldCommit(name, mail, text.strip("\n")) for name, mail, text in rows]

    def parents(self, head: str) -> dict[str, tuple[str, ...]]:
        """See `Repository.parents`."""
        check_ids(head)
        self._deepen()
        rows = self._mirror.text("read the history", "rev-list", "--parents", "--topo-order", head).splitlines()
        return {commit: tuple(above) for commit, *above in map(str.split, rows)}

    def _is_held(self, commit: str) -> bool:
        """Whether the branch holds a commit. With its history here, a tag of it is all that a push has to send."""
        head = self.fetch()
        return head is not None and self.contains(head, commit)

    def _held_by_remote(self, commit: str) -> bool:
        """Whether the server gives the commit: one that no branch names any more may stay for weeks, or go."""
        with self._own_objects() as (_, environment):
            only_new = {**environment, "GIT_ALTERNATE_OBJECT_DIRECTORIES": ""}
            arguments = ["fetch", "--filter=tree:0", "--no-write-fetch-head", *_SHORT, commit]
            try:
                self._mirror.remote("look for a commit", *NO_NEGOTIATION, *arguments, environment=only_new)
            except RepositoryError:
                return False
        return True

    def _check_child(self, commit: str, expected: str | None) -> None:
        """The lease would let any commit through: this one has to follow on what is there, one after the other."""
        above = [f"^{expected}"] if expected else []
        rows = self._mirror.text("read the commits", "rev-list", "--parents", commit, *above).splitlines()
        parents = [row.split()[1:] for row in rows]
        names = [row.split()[0] for row in rows]
        if not rows or parents != [*([name] for name in names[1:]), [expected] if expected else []]:
            raise RepositoryError(action="push", detail=f"{commit} does not follow on {expected or 'nothing'}")

    def _remote_head(self) -> str | None:
        text = self._mirror.remote("read the remote's branches", "ls-remote", "origin", self._ref)
        return text.split()[0] if text else None

    def _deepen(self, *how: str) -> None:
        """Bring all commits, without their trees unless `how` says so; the next fetch cuts the history again."""
        target = f"+{self._ref}:refs/remotes/origin/head"
        filters = how or ("--filter=tree:0",)
        shallow = ["--unshallow"] if (self._mirror.path / "shallow").exists() else []
        self._mirror.remote("fetch the history", "fetch", *shallow, *filters, *_SHORT, target)

    def _drop_private(self) -> None:
        refs = self._mirror.text("list refs", "for-each-ref", "--format=delete %(refname)", _PRIVATE)
        if refs:
            with tempfile.NamedTemporaryFile("w", dir=self._mirror.path.parent) as listed:
                listed.write(f"{refs}\n")
                listed.flush()
                self._mirror.run("drop refs", "update-ref", "--stdin", stdin=Path(listed.name))

    @contextmanager
    def _own_objects(self) -> Iterator[tuple[Path, dict[str, str]]]:
        """A folder for fetched objects beside the mirror's own: what was read for a check does not stay."""
        folder = Path(tempfile.mkdtemp(prefix="blobs-", dir=self._mirror.path.parent))
        objects = folder / "objects"
        objects.mkdir()
        try:
            yield (
                folder,
                {
                    "GIT_OBJECT_DIRECTORY": str(objects),
                    "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self._mirror.path / "objects"),
                },
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
