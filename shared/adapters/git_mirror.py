"""The bare mirror and the git processes that work in it. It is a cache: losing it costs one fetch."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from shared.adapters.git_ids import check_ids
from shared.adapters.git_library import gitpython
from shared.adapters.git_program import SYSTEM_GIT, FindGit, GitProgram
from shared.adapters.identity import renewed
from shared.errors import RepositoryError

if TYPE_CHECKING:
    from git.exc import CommandError

_POST_BUFFER_BYTES = 512 * 2**20
"""A push is sent in one request up to this size: chunked requests are refused by some proxies."""
_PROTOCOLS = ("https", "http", "file")
"""No other may be meant by an address: `ext::` runs a command."""
_PIPE = -1
_PLAIN = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
NO_NEGOTIATION = ["-c", "fetch.negotiationAlgorithm=noop"]
MOST_LISTED_BYTES = 192 * 2**20
"""A tree of 1,000,000 files with names of some 100 characters."""
_SMALL_REQUESTS = ["-c", f"http.postBuffer={16 * 2**20}"]
"""For what fetches: git takes that much memory before it asks."""
_STREAMED_FROM = "16m"
"""A blob that is larger is inflated part by part, and is no base of a delta: a source notebook has 10 MB at most."""
_WINDOW_MEMORY = "64m"
MOST_HELD = "256m"
"""For git where it reads blobs that people may have pushed: it ends rather than take more at once.

A delta of some bytes can stand for gigabytes, which git holds whole.
"""
_UNAUTHORIZED = ("Authentication failed", "could not read Username", "error: 401", "HTTP 401")
"""How git says that the server answered 401, with and without a prompt."""
_MOST_PACKS = 40
"""Each fetch and each commit leaves a pack, and every look-up asks each: beyond this the mirror is made anew."""
_REMEDY = (
    "Install git, or name one with BACKUP_GIT. A deployed app has its own if ./package made it: it runs from "
    "BACKUP_SCRATCH, which must not be mounted noexec"
)


class GitMirror:
    """Runs git in the mirror.

    `authorization` is asked before each exchange, since a token lasts an hour; its value reaches git by the
    environment alone, so that it is in no configuration file, address or argument list.
    """

    def __init__(
        self,
        url: str,
        path: Path,
        authorization: Callable[[], str],
        git: FindGit = SYSTEM_GIT,
        *,
        most_listed_bytes: int = MOST_LISTED_BYTES,
        most_held: str = MOST_HELD,
    ) -> None:
        self._url, self.path, self._authorization, self._program = url, path, authorization, git
        self._most_listed = most_listed_bytes
        self.bounded_memory = {"GIT_ALLOC_LIMIT": most_held}
        self._opening = threading.Lock()

    def beside(self, name: str) -> GitMirror:
        """Another mirror of the same remote, in the folder where this one is."""
        return GitMirror(self._url, self.path.with_name(name), self._authorization, self._program)

    def forget(self) -> None:
        """Remove the mirror; the next use makes it again."""
        shutil.rmtree(self.path, ignore_errors=True)

    def tidy(self) -> None:
        """Start anew where too many packs have gathered; remove what failed imports left."""
        if len(list(self.path.glob("objects/pack/*.pack"))) > _MOST_PACKS:
            self.forget()
        for crash in self.path.glob("fast_import_crash_*"):
            crash.unlink(missing_ok=True)

    def listing(self, action: str, *arguments: str, environment: Mapping[str, str] | None = None) -> bytes:
        """What a git command prints of trees or commits, which people make: no more than `MOST_LISTED_BYTES`.

        A push of some kilobytes can hold a tree of more files than there is memory for. Raises `RepositoryError`.
        """
        with self.stream(action, *arguments, environment=environment) as output:
            data = output.read(self._most_listed + 1)
            if len(data) > self._most_listed:
                detail = f"there is more of it than {self._most_listed // 2**20} MB"
                raise RepositoryError(action=action, detail=detail)
        return data

    @contextmanager
    def stream(self, action: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[IO[bytes]]:
        """What a git command prints, of any length, as it comes.

        Raises `RepositoryError` where the command fails: what was read until then is not all of it. A block that
        leaves some of it unread learns no such thing.
        """
        with self.process(*arguments, environment={**_PLAIN, **(environment or {})}) as (process, _, output):
            try:
                yield output
            except BaseException:
                process.kill()
                raise
            if output.read(1):
                process.kill()
                return
            said = process.stderr.read()
            if status := process.wait():
                raise RepositoryError(action=action, detail=_shortened(said.decode("utf-8", "replace"), status))

    def remote_listing(self, action: str, *arguments: str) -> bytes:
        """As `listing`, by a command that brings objects that are missing here."""
        small = [*_SMALL_REQUESTS, *arguments]
        return self._with_authorization(
            lambda env: self.listing(action, *small, environment={**env, **self.bounded_memory})
        )

    def run(
        self, action: str, *arguments: str, environment: Mapping[str, str] | None = None, stdin: Path | None = None
    ) -> bytes:
        """What a git command prints. Raises `RepositoryError` with what git said."""
        env = {**_PLAIN, **(environment or {})}
        options: dict[str, Any] = {"stdout_as_string": False, "strip_newline_in_stdout": False}
        with self._errors(action):
            if stdin is None:
                return bytes(self._execute(arguments, env, **options))
            with stdin.open("rb") as stream:
                return bytes(self._execute(arguments, env, istream=stream, **options))

    def text(self, action: str, *arguments: str) -> str:
        """What a git command prints, as text."""
        return self.run(action, *arguments).decode("utf-8", "replace").strip()

    def remote(
        self, action: str, *arguments: str, environment: Mapping[str, str] | None = None, stdin: Path | None = None
    ) -> str:
        """What a git command prints that talks to the remote, with its authorization: a new one if it is refused."""
        found = self._with_authorization(
            lambda env: self.run(action, *arguments, environment={**env, **(environment or {})}, stdin=stdin)
        )
        return found.decode("utf-8", "replace")

    def _with_authorization(self, call: Callable[[dict[str, str]], bytes]) -> bytes:
        header = self._authorization()
        try:
            return call(_authorized(header))
        except RepositoryError as error:
            if not (any(words in str(error) for words in _UNAUTHORIZED) and renewed(self._authorization, header)):
                raise
        return call(_authorized(self._authorization()))

    def has(self, name: str) -> bool:
        """Whether an object is here, without asking the remote for it."""
        try:
            self.run("look for an object", "cat-file", "-e", name, environment={"GIT_NO_LAZY_FETCH": "1"})
        except RepositoryError:
            return False
        return True

    def bring_blobs(self, ids: Iterable[str]) -> None:
        """Have blobs here that a stream for `fast_import` names: git would bring each that is missing by itself."""
        wanted = sorted(set(ids))
        check_ids(*wanted)
        if not wanted:
            return
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent) as listed:
            listed.writelines(f"{blob}\n" for blob in wanted)
            listed.flush()
            self.fetch_blobs(Path(listed.name))

    def fetch(self, action: str, *arguments: str) -> None:
        """Fetch the trees of some commits, which people may have made: git ends rather than take much memory."""
        self.remote(action, *_SMALL_REQUESTS, "fetch", *arguments, environment=self.bounded_memory)

    def fetch_blobs(self, listed: Path, environment: Mapping[str, str] | None = None) -> None:
        """Fetch the blobs whose ids are in a file, one a line. What is large goes to the disk without being held."""
        # Naming what the mirror has would make the server leave out the very blobs that are asked for.
        arguments = [*NO_NEGOTIATION, *_SMALL_REQUESTS, "fetch", "--no-write-fetch-head"]
        arguments += ["--no-tags", "--quiet", "--filter=blob:none", "--stdin", "origin"]
        self.remote("fetch blobs", *arguments, environment={**self.bounded_memory, **(environment or {})}, stdin=listed)

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
        # GitPython's handle ends the process when it is dropped: it is kept for the length of the block.
        with self._errors("start git"):
            handle = self._execute(arguments, environment or {}, istream=_PIPE, as_process=True)
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

    def _execute(self, arguments: Sequence[str], environment: Mapping[str, str], **options: Any) -> Any:
        """What GitPython gives for a command: its output, or a handle of the process."""
        program = self._program()
        self._open(program)
        # By its own path: git would look for another repository above a mirror that is damaged.
        env = {**program.environment, **environment, "GIT_DIR": str(self.path.absolute())}
        return gitpython().Git(self.path).execute([program.executable, *arguments], env=env, **options)

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        library = gitpython()
        try:
            yield
        except library.exc.GitCommandError as error:
            raise RepositoryError(action=action, detail=_detail(error)) from None
        except (library.exc.GitCommandNotFound, PermissionError):
            raise RepositoryError(
                action=action, detail=f"{self._program().executable} cannot be run. {_REMEDY}"
            ) from None

    def _open(self, program: GitProgram) -> None:
        # Of two threads that find no mirror, one would remove what the other is making.
        with self._opening:
            gitpython().Git.GIT_PYTHON_GIT_EXECUTABLE = program.executable
            if not (self.path / "HEAD").exists():
                shutil.rmtree(self.path, ignore_errors=True)
                self.path.parent.mkdir(parents=True, exist_ok=True)
                gitpython().Repo.init(self.path, bare=True, env=dict(program.environment))
            self._configure()

    def _configure(self) -> None:
        wanted = {
            "remote.origin.url": self._url,
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": "blob:none",
            "core.repositoryformatversion": "1",
            "extensions.partialClone": "origin",
            "gc.auto": "0",
            "core.bigFileThreshold": _STREAMED_FROM,
            "pack.windowMemory": _WINDOW_MEMORY,
            "http.postBuffer": str(_POST_BUFFER_BYTES),
            # Git sends its extra header to whatever host the first answer names.
            "http.followRedirects": "false",
            "protocol.allow": "never",
            **{f"protocol.{name}.allow": "always" for name in _PROTOCOLS},
        }
        stamp = "\n".join(f"{k}={v}" for k, v in wanted.items())
        marker = self.path / "backup-config"
        if marker.exists() and marker.read_text() == stamp:
            return
        with gitpython().Repo(self.path).config_writer() as writer:
            for name, value in wanted.items():
                section, _, option = name.rpartition(".")
                writer.set_value(_section(section), option, value)
        marker.write_text(stamp)


def _authorized(header: str) -> dict[str, str]:
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: {header}",
    }


def _section(name: str) -> str:
    """A configuration section as its file writes it: `remote.origin` is `remote "origin"`."""
    section, _, subsection = name.partition(".")
    return f'{section} "{subsection}"' if subsection else section


def _detail(error: CommandError) -> str:
    """What git said, without the command line: it names the remote's address."""
    text = f"{error.stdout or ''}\n{error.stderr or ''}".replace("stdout:", "").replace("stderr:", "")
    return _shortened(text, error.status)


def _shortened(text: str, status: object) -> str:
    return " ".join(text.split())[-500:] or f"git ended with {status}"
