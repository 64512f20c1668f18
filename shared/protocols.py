"""The outside systems, as the services see them. One adapter implements each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from shared.domain.notebooks import ExportFormat, Language, WorkspaceObject
from shared.domain.versions import CommitMark, CommitVersions, Version

type Row = dict[str, str | int | float | bool | None]
"""The properties of a table row, without its keys and ETag."""


class Workspace(Protocol):
    """A Databricks workspace. Every call passes the process-wide limiter and is retried within it.

    Errors: `NotFound`, `PermissionDenied`, `TooLarge`, `WorkspaceUnavailable` (after retries),
    `WorkspaceError` for anything else.
    """

    def list(self, path: str) -> list[WorkspaceObject]:
        """The direct children of a folder; an empty folder gives []. Never partial: it raises instead."""
        ...

    def export(self, path: str, fmt: ExportFormat) -> bytes:
        """The bytes of one notebook."""
        ...

    def export_folder(self, path: str, target: Path) -> None:
        """Write the zip of a folder's notebooks (SOURCE) to `target`, streamed.

        The zip is as it came: the caller checks it. Raises `TooLarge` over the workspace's limit.
        """
        ...

    def status(self, path: str) -> WorkspaceObject:
        """One object's row."""
        ...

    def import_notebook(self, path: str, content: bytes, language: Language, fmt: ExportFormat) -> None:
        """Write a notebook, overwriting what is there; its parent must exist. Raises `TooLarge` over 10 MB."""
        ...

    def make_folder(self, path: str) -> None:
        """Make a folder with those above it; nothing happens where there is one."""
        ...

    def delete_notebook(self, path: str) -> None:
        """Remove one notebook. Raises `NotFound` where there is none; a folder that holds anything is refused."""
        ...


@dataclass(frozen=True, slots=True)
class BlobLease:
    """A held lease: pass `lease_id` to renew or release it."""

    name: str
    lease_id: str


class BlobStore(Protocol):
    """Blobs in one container: batches, staged archives, manifests and leases.

    Each is stored with its seal (`shared.domain.seal`): reading one that was changed, cut or exchanged since
    raises `DamagedBlob`.
    """

    def put(self, name: str, data: bytes) -> None:
        """Write or overwrite a blob whole."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a blob whole unless there is one of this name; whether it was written."""
        ...

    def put_file(self, name: str, source: Path) -> None:
        """Write or overwrite a blob from a file, streamed."""
        ...

    def get(self, name: str) -> bytes:
        """A blob's bytes. Raises `KeyError` where there is none, `DamagedBlob`."""
        ...

    def get_file(self, name: str, target: Path) -> None:
        """Write a blob to a file, streamed. Raises `KeyError` where there is none, `DamagedBlob`; no file then."""
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin with `prefix`, in order."""
        ...

    def delete(self, name: str) -> None:
        """Remove a blob; nothing happens where there is none."""
        ...

    def acquire_lease(self, name: str, seconds: int) -> BlobLease | None:
        """Lease the blob `name`, made where missing, for 15 to 60 seconds. None where another holds it."""
        ...

    def renew_lease(self, lease: BlobLease) -> None:
        """Extend a lease by its own length. Raises `LeaseLost` where it is no longer ours."""
        ...

    def release_lease(self, lease: BlobLease) -> None:
        """Give a lease back; nothing happens where it is no longer ours."""
        ...


class Queue(Protocol):
    """Storage queues by name; messages are text of at most 48 KB before base64."""

    def send(self, queue: str, text: str, *, delay_seconds: int = 0) -> None:
        """Add a message, visible after `delay_seconds`. The queue is made where missing."""
        ...

    def length(self, queue: str) -> int:
        """About how many messages the queue holds; 0 where it does not exist."""
        ...


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as read: its keys, its properties, and the ETag that a conditional write needs."""

    partition: str
    key: str
    row: Row
    etag: str


class Tables(Protocol):
    """Rows of Table Storage. Tables are made where missing. Keys must not hold `/ \\ # ?` or controls."""

    def get(self, table: str, partition: str, key: str) -> StoredRow | None:
        """One row, or None."""
        ...

    def insert(self, table: str, partition: str, key: str, row: Row) -> str:
        """Add a row and return its ETag. Raises `StateConflict` where it exists."""
        ...

    def replace(self, table: str, partition: str, key: str, row: Row, etag: str) -> str:
        """Replace a row only at this ETag, and return the new one. Raises `StateConflict` otherwise."""
        ...

    def upsert(self, table: str, partition: str, key: str, row: Row) -> None:
        """Write these properties whatever is there; properties not named stay (a merge)."""
        ...

    def upsert_many(self, table: str, partition: str, rows: Mapping[str, Row]) -> None:
        """`upsert` of many rows of one partition by key, in transactions of at most 100."""
        ...

    def query(self, table: str, partition: str, where: str = "", columns: Iterable[str] = ()) -> Iterator[StoredRow]:
        """Rows of one partition in key order; `where` is an OData filter, `columns` what to read (all)."""
        ...

    def delete(self, table: str, partition: str, key: str) -> None:
        """Remove a row; nothing happens where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Put a blob into the tree at `file`: bytes from `source`, a callable's iterator of chunks, `size` in all."""

    file: str
    size: int
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class PointFile:
    """Put an existing Git blob, by its object id, into the tree at `file`."""

    file: str
    blob: str


@dataclass(frozen=True, slots=True)
class Signature:
    """Who and when, for a commit's author or committer; `when` is aware."""

    name: str
    email: str
    when: datetime


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file of a commit: its blob, None where it was removed; `old_file` where the same blob was moved from."""

    file: str
    blob: str | None
    old_file: str | None = None


@dataclass(frozen=True, slots=True)
class GitCommit:
    """A commit with what it changed against its first parent; `when` is the committer's time, aware."""

    commit: str
    when: datetime
    author: str
    message: str
    changes: tuple[FileChange, ...]


class Repository(Protocol):
    """The Git repository that holds the backup, through a bare blobless mirror and one remote branch."""

    def fetch(self) -> str | None:
        """Bring the mirror to the remote branch's head and return its commit id; None where it does not exist."""
        ...

    def tree(self, commit: str) -> dict[str, str]:
        """Every file of a commit's tree with its blob id. A file is a slash-joined path, any Unicode but NUL."""
        ...

    def changes(self, parent: str | None, commit: str) -> dict[str, str | None]:
        """Files that differ between two commits' trees, with their blob id in `commit`; None where it has none."""
        ...

    def build_commit(
        self,
        parent: str | None,
        deletes: Iterable[str],
        writes: Iterable[WriteFile | PointFile],
        message: str,
        author: Signature,
        committer: Signature,
    ) -> str | None:
        """Make a commit on `parent` locally, deletes first; None where the tree would be the parent's own.

        Nothing moves but a private ref. Raises `RepositoryError`; a stream that ends early makes nothing.
        """
        ...

    def push(self, commit: str, expected: str | None) -> None:
        """Move the remote branch from `expected` to `commit`, fast-forward only, never forced.

        Raises `RemoteMoved` where the branch is no longer at `expected`, `RepositoryError` otherwise.
        A push that had its effect but lost its answer is found by `fetch`.
        """
        ...

    def message(self, commit: str) -> str:
        """A commit's message."""
        ...

    def revive(self, commit: str) -> bool:
        """Make the missing remote branch again at a commit that the remote may still hold; whether it was."""
        ...

    def contains(self, head: str, commit: str) -> bool:
        """Whether `commit` is `head` or in its history; False too for one that the remote does not hold."""
        ...

    def touched(self, head: str, trailer: str) -> set[str]:
        """Files that commits with the trailer `trailer` ever wrote, in the history of `head`."""
        ...

    def history(self, head: str) -> Iterator[GitCommit]:
        """The commits up to `head`, the oldest first, with the files that each changed."""
        ...

    def blobs(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Blobs by id, each once, one at a time. Raises `RepositoryError` where the remote does not hold one."""
        ...

    def check(self) -> list[str]:
        """Problems that a full check of the mirror finds; none where it is whole."""
        ...

    def forget(self) -> None:
        """Drop the mirror, which is a cache: the next call makes it again."""
        ...


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """Something in a notebook that has the shape of a secret: its kind, its line from 1, and a fingerprint.

    The fingerprint tells two secrets apart and finds the same one elsewhere; the secret cannot be read from it.
    """

    kind: str
    line: int
    fingerprint: str


class SecretFinder(Protocol):
    """Looks for well-known token shapes."""

    def find(self, data: bytes) -> list[FoundSecret]:
        """What a notebook's bytes hold, each kind, line and fingerprint once."""
        ...


class Contents(Protocol):
    """A cache of notebook contents by Git blob id."""

    def get(self, blob: str) -> bytes | None:
        """The bytes, proved to be those of the id, or None."""
        ...

    def put(self, blob: str, data: bytes) -> None:
        """Keep bytes for a while."""
        ...


@dataclass(frozen=True, slots=True)
class IndexedCommit:
    """A commit as the index knows it: `sequence` orders all of them, `is_backup` is False for a person's."""

    sequence: int
    commit: str
    committed_at: int
    run_id: str
    message: str
    is_backup: bool


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A version with the commit that made it."""

    commit: IndexedCommit
    version: Version


class VersionIndex(Protocol):
    """Every version of every notebook, to be asked quickly. A cache: it is made again from the version log.

    `sequence` arguments are those of `IndexedCommit`; a question about one means "as of it".
    """

    def last(self) -> CommitMark | None:
        """The last backup that the index holds, None where it is empty."""
        ...

    def apply(self, commits: Iterable[CommitVersions], *, anew: bool = False) -> None:
        """Add commits, the oldest first, or replace everything by them; all of it, or nothing."""
        ...

    def save(self, target: Path) -> None:
        """Write a compact copy of the whole index to a file."""
        ...

    def load(self, source: Path) -> None:
        """Replace the index by a copy. Raises `ValueError` where the file is none, or of another version."""
        ...

    def latest(self) -> IndexedCommit | None:
        """The last backup."""
        ...

    def backup_by(self, when_ms: int) -> IndexedCommit | None:
        """The last backup that was committed by then (Unix time in milliseconds)."""
        ...

    def commits(self, prefix: str) -> list[IndexedCommit]:
        """Commits whose id begins with `prefix`, two at the most: more than one is ambiguous."""
        ...

    def versions(self, path: str) -> list[IndexedVersion]:
        """Every version of a notebook, the newest first, with those from before it was renamed."""
        ...

    def version(self, path: str, sequence: int) -> IndexedVersion | None:
        """The version of a notebook, which may be one that it is gone with; None where it never was."""
        ...

    def below(self, folder: str, sequence: int) -> Iterator[IndexedVersion]:
        """The notebooks that a folder held, at any depth, in path order."""
        ...

    def children(self, folder: str, sequence: int) -> tuple[list[str], list[IndexedVersion]]:
        """The folders, by path, and the notebooks that a folder held itself."""
        ...

    def find(self, text: str, *, deleted: bool, limit: int) -> list[IndexedVersion]:
        """Notebooks whose path holds `text`, whatever its case: living ones, or those that are gone."""
        ...
