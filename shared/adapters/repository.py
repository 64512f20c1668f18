"""The Git repository: a bare, blobless, depth-1 mirror, `git fast-import`, and a fast-forward-only push."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import git
from git.exc import GitCommandError

from shared.errors import RemoteMoved, RepositoryError
from shared.protocols import PointFile, Signature, WriteFile

_PRIVATE = "refs/backup/"
_REJECTED = ("[rejected]", "fetch first", "non-fast-forward", "cannot lock ref", "stale info", "failed to update ref")
_POST_BUFFER_BYTES = 512 * 2**20
"""A push is sent in one request up to this size: chunked requests are refused by some proxies."""


class GitRepository:
    """See `shared.protocols.Repository`.

    `authorization` is asked before each exchange, since a token lasts an hour; its value reaches git by the
    environment alone, so that it is in no configuration file, address or argument list.
    """

    def __init__(
        self, url: str, branch: str, mirror: Path, authorization: Callable[[], str], *, git_executable: str = "git"
    ) -> None:
        self._url, self._ref, self._mirror = url, f"refs/heads/{branch}", mirror
        self._authorization, self._git_executable = authorization, git_executable

    def fetch(self) -> str | None:
        """See `Repository.fetch`."""
        repo = self._open()
        head = self._remote_head(repo)
        if head is None:
            return None
        if not self._has(repo, head):
            arguments = ["fetch", "--depth=1", "--filter=blob:none", "--no-tags", "--quiet", "origin"]
            self._remote(repo, "fetch the branch", *arguments, f"+{self._ref}:refs/remotes/origin/head")
        self._drop_private(repo)
        return head

    def tree(self, commit: str) -> dict[str, str]:
        """See `Repository.tree`."""
        data = self._run(self._open(), "read a tree", "ls-tree", "-r", "-z", "--full-tree", commit)
        rows = (line.split(b"\t", 1) for line in data.split(b"\0") if line)
        return {name.decode("utf-8", "surrogateescape"): meta.split()[2].decode() for meta, name in rows}

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
        repo = self._open()
        ref = _PRIVATE + uuid.uuid4().hex
        self._import(repo, _stream(ref, parent, deletes, writes, message, author, committer))
        asked = [ref, f"{ref}^{{tree}}", *([f"{parent}^{{tree}}"] if parent else [])]
        commit, *trees = self._text(repo, "read the commit", "rev-parse", *asked).split()
        return None if len(set(trees)) < len(trees) else commit

    def push(self, commit: str, expected: str | None) -> None:
        """See `Repository.push`."""
        repo = self._open()
        try:
            self._remote(repo, "push", "push", "--porcelain", "--quiet", "origin", f"{commit}:{self._ref}")
        except RepositoryError as error:
            detail = str(error.fields.get("detail"))
            if any(words in detail for words in _REJECTED):
                raise RemoteMoved(action="push", detail=f"expected {expected or 'no branch'}") from None
            raise

    def message(self, commit: str) -> str:
        """See `Repository.message`."""
        return self._text(self._open(), "read a message", "log", "-1", "--format=%B", commit)

    def _open(self) -> git.Repo:
        if not (self._mirror / "HEAD").exists():
            shutil.rmtree(self._mirror, ignore_errors=True)
            self._mirror.parent.mkdir(parents=True, exist_ok=True)
            repo = git.Repo.init(self._mirror, bare=True)
        else:
            repo = git.Repo(self._mirror)
        if self._git_executable != "git":
            git.refresh(self._git_executable)
        wanted = {
            "remote.origin.url": self._url,
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": "blob:none",
            "core.repositoryformatversion": "1",
            "extensions.partialClone": "origin",
            "gc.auto": "0",
            "http.postBuffer": str(_POST_BUFFER_BYTES),
        }
        stamp = "\n".join(f"{k}={v}" for k, v in wanted.items())
        marker = self._mirror / "backup-config"
        if not marker.exists() or marker.read_text() != stamp:
            with repo.config_writer() as writer:
                for name, value in wanted.items():
                    section, _, option = name.rpartition(".")
                    writer.set_value(_section(section), option, value)
            marker.write_text(stamp)
        return repo

    def _remote_head(self, repo: git.Repo) -> str | None:
        text = self._remote(repo, "read the remote's branches", "ls-remote", "origin", self._ref)
        return text.split()[0] if text else None

    def _has(self, repo: git.Repo, commit: str) -> bool:
        try:
            repo.git.execute(["git", "cat-file", "-e", f"{commit}^{{tree}}"], env={"GIT_NO_LAZY_FETCH": "1"})
        except GitCommandError:
            return False
        return True

    def _drop_private(self, repo: git.Repo) -> None:
        refs = self._text(repo, "list refs", "for-each-ref", "--format=%(refname)", _PRIVATE)
        for ref in refs.split():
            self._run(repo, "drop a ref", "update-ref", "-d", ref)

    def _text(self, repo: git.Repo, action: str, *arguments: str) -> str:
        return self._run(repo, action, *arguments).decode("utf-8", "replace").strip()

    def _remote(self, repo: git.Repo, action: str, *arguments: str) -> str:
        environment = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: {self._authorization()}",
        }
        return self._run(repo, action, *arguments, environment=environment).decode("utf-8", "replace")

    def _run(
        self,
        repo: git.Repo,
        action: str,
        *arguments: str,
        environment: dict[str, str] | None = None,
    ) -> bytes:
        env = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **(environment or {})}
        try:
            command = [git.Git.GIT_PYTHON_GIT_EXECUTABLE or "git", *arguments]
            output: bytes = repo.git.execute(command, env=env, stdout_as_string=False, strip_newline_in_stdout=False)
            return output
        except GitCommandError as error:
            raise RepositoryError(action=action, detail=_detail(error)) from None

    def _import(self, repo: git.Repo, stream: Iterator[bytes]) -> None:
        with _fast_import(repo) as (process, stdin):
            try:
                for part in stream:
                    stdin.write(part)
                stdin.close()
            except BrokenPipeError:
                pass
            except BaseException:
                process.proc.kill()
                raise
            errors = process.stderr.read()
            if process.proc.wait() != 0:
                raise RepositoryError(action="import a commit", detail=errors.decode("utf-8", "replace")[-500:])


def _section(name: str) -> str:
    """A configuration section as its file writes it: `remote.origin` is `remote "origin"`."""
    section, _, subsection = name.partition(".")
    return f'{section} "{subsection}"' if subsection else section


@contextmanager
def _fast_import(repo: git.Repo) -> Iterator[tuple[Any, IO[bytes]]]:
    command = [
        git.Git.GIT_PYTHON_GIT_EXECUTABLE or "git",
        "fast-import",
        "--done",
        "--quiet",
        "--date-format=raw",
        "--depth=0",
    ]
    process: Any = repo.git.execute(command, istream=-1, as_process=True)
    try:
        yield process, process.proc.stdin
    finally:
        for pipe in (process.proc.stdin, process.proc.stdout, process.proc.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        process.proc.wait()


def _stream(
    ref: str,
    parent: str | None,
    deletes: Iterable[str],
    writes: Iterable[WriteFile | PointFile],
    message: str,
    author: Signature,
    committer: Signature,
) -> Iterator[bytes]:
    """The input of `git fast-import`: deletions first, since a file may give way to a folder of its name."""
    text = message.encode()
    yield b"commit %s\nauthor %s\ncommitter %s\n" % (ref.encode(), _person(author), _person(committer))
    yield b"data %d\n%s\n" % (len(text), text)
    if parent:
        yield b"from %s\n" % parent.encode()
    for file in deletes:
        yield b"D %s\n" % _quoted(file)
    for write in writes:
        if isinstance(write, PointFile):
            yield b"M 100644 %s %s\n" % (write.blob.encode(), _quoted(write.file))
        else:
            yield b"M 100644 inline %s\ndata %d\n" % (_quoted(write.file), write.size)
            yield from write.chunks
            yield b"\n"
    yield b"done\n"


def _person(who: Signature) -> bytes:
    name = "".join(c for c in who.name if c not in "<>\n\r\0").strip()
    return f"{name} <{who.email}> {int(who.when.timestamp())} +0000".encode()


def _quoted(file: str) -> bytes:
    data = file.encode("utf-8", "surrogateescape")
    if not data.startswith(b'"') and b"\n" not in data:
        return data
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def _detail(error: GitCommandError) -> str:
    """What git said, without the command line: it names the remote's address."""
    text = f"{error.stdout or ''}\n{error.stderr or ''}".replace("stdout:", "").replace("stderr:", "")
    return " ".join(text.split())[-500:] or f"git ended with {error.status}"
