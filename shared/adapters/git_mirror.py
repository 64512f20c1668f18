"""The bare mirror and the git processes that work in it. It is a cache: losing it costs one fetch."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import git
from git.exc import GitCommandError

from shared.errors import RepositoryError

_POST_BUFFER_BYTES = 512 * 2**20
"""A push is sent in one request up to this size: chunked requests are refused by some proxies."""
_PIPE = -1
_MOST_PACKS = 40
"""Each fetch and each commit leaves a pack, and every look-up asks each: beyond this the mirror is made anew."""


class GitMirror:
    """Runs git in the mirror.

    `authorization` is asked before each exchange, since a token lasts an hour; its value reaches git by the
    environment alone, so that it is in no configuration file, address or argument list.
    """

    def __init__(self, url: str, path: Path, authorization: Callable[[], str], executable: str) -> None:
        self._url, self.path, self._authorization, self._executable = url, path, authorization, executable
        self._opening = threading.Lock()

    def forget(self) -> None:
        """Remove the mirror; the next use makes it again."""
        shutil.rmtree(self.path, ignore_errors=True)

    def tidy(self) -> None:
        """Start anew where too many packs have gathered; remove what failed imports left."""
        if len(list(self.path.glob("objects/pack/*.pack"))) > _MOST_PACKS:
            self.forget()
        for crash in self.path.glob("fast_import_crash_*"):
            crash.unlink(missing_ok=True)

    def run(
        self, action: str, *arguments: str, environment: Mapping[str, str] | None = None, stdin: Path | None = None
    ) -> bytes:
        """What a git command prints. Raises `RepositoryError` with what git said."""
        env = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **(environment or {})}
        options: dict[str, Any] = {"env": env, "stdout_as_string": False, "strip_newline_in_stdout": False}
        try:
            if stdin is None:
                return self._execute([self._git(), *arguments], **options)
            with stdin.open("rb") as stream:
                return self._execute([self._git(), *arguments], istream=stream, **options)
        except GitCommandError as error:
            raise RepositoryError(action=action, detail=_detail(error)) from None

    def text(self, action: str, *arguments: str) -> str:
        """What a git command prints, as text."""
        return self.run(action, *arguments).decode("utf-8", "replace").strip()

    def remote(
        self, action: str, *arguments: str, environment: Mapping[str, str] | None = None, stdin: Path | None = None
    ) -> str:
        """What a git command prints that talks to the remote, with its authorization."""
        env = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: {self._authorization()}",
            **(environment or {}),
        }
        return self.run(action, *arguments, environment=env, stdin=stdin).decode("utf-8", "replace")

    def has(self, name: str) -> bool:
        """Whether an object is here, without asking the remote for it."""
        try:
            self.run("look for an object", "cat-file", "-e", name, environment={"GIT_NO_LAZY_FETCH": "1"})
        except RepositoryError:
            return False
        return True

    def fast_import(self, stream: Iterable[bytes]) -> None:
        """Feed a stream to `git fast-import --done`: one that ends early makes nothing."""
        command = ["fast-import", "--done", "--quiet", "--date-format=raw", "--depth=0"]
        with self.process(*command) as (process, stdin, _):
            try:
                for part in stream:
                    stdin.write(part)
                stdin.close()
            except BrokenPipeError:
                pass
            except BaseException:
                process.kill()
                raise
            errors = process.stderr.read()
            if process.wait() != 0:
                raise RepositoryError(action="import a commit", detail=errors.decode("utf-8", "replace")[-500:])

    @contextmanager
    def process(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[tuple[Any, IO[bytes], IO[bytes]]]:
        """A git process with its input and output; it has ended when the block ends."""
        command = [self._git(), *arguments]
        # GitPython's handle ends the process when it is dropped: it is kept for the length of the block.
        handle: Any = self._open().git.execute(command, istream=_PIPE, as_process=True, env=dict(environment or {}))
        process = handle.proc
        try:
            yield process, process.stdin, process.stdout
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
            process.wait()

    def _execute(self, command: list[str], **options: Any) -> bytes:
        output: bytes = self._open().git.execute(command, **options)
        return output

    def _git(self) -> str:
        return git.Git.GIT_PYTHON_GIT_EXECUTABLE or "git"

    def _open(self) -> git.Repo:
        # Of two threads that find no mirror, one would remove what the other is making.
        with self._opening:
            return self._opened()

    def _opened(self) -> git.Repo:
        if not (self.path / "HEAD").exists():
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            repo = git.Repo.init(self.path, bare=True)
        else:
            repo = git.Repo(self.path)
        if self._executable != "git":
            git.refresh(self._executable)
        self._configure(repo)
        return repo

    def _configure(self, repo: git.Repo) -> None:
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
        marker = self.path / "backup-config"
        if marker.exists() and marker.read_text() == stamp:
            return
        with repo.config_writer() as writer:
            for name, value in wanted.items():
                section, _, option = name.rpartition(".")
                writer.set_value(_section(section), option, value)
        marker.write_text(stamp)


def _section(name: str) -> str:
    """A configuration section as its file writes it: `remote.origin` is `remote "origin"`."""
    section, _, subsection = name.partition(".")
    return f'{section} "{subsection}"' if subsection else section


def _detail(error: GitCommandError) -> str:
    """What git said, without the command line: it names the remote's address."""
    text = f"{error.stdout or ''}\n{error.stderr or ''}".replace("stdout:", "").replace("stderr:", "")
    return " ".join(text.split())[-500:] or f"git ended with {error.status}"
