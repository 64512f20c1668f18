"""The version index: a SQLite file in the scratch folder, read by many threads while one adds to it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.adapters import version_schema as schema
from shared.domain.names import extension
from shared.domain.siblings import parents
from shared.domain.versions import CommitMark, CommitVersions, LateAuthor, Version, VersionKind
from shared.protocols import IndexedChange, IndexedCommit, IndexedVersion

_WAIT_SECONDS = 60.0
_ROWS_A_READ = 2_000
_VERSION_COLUMNS = 19


class SqliteVersionIndex:
    """See `shared.protocols.VersionIndex`. Each call opens the file: a connection belongs to one thread."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def last(self) -> CommitMark | None:
        """See `VersionIndex.last`."""
        found = self.latest()
        return CommitMark(found.sequence // 2, found.commit) if found else None

    def apply(self, commits: Iterable[CommitVersions], *, anew: bool = False) -> None:
        """See `VersionIndex.apply`."""
        with self._open() as db, db:
            db.execute("BEGIN IMMEDIATE")
            if anew:
                for statement in filter(None, schema.EMPTY.split(";")):
                    db.execute(statement)
            writer = _Writer(db)
            for commit in commits:
                writer.add(commit)

    def save(self, target: Path) -> None:
        """See `VersionIndex.save`."""
        target.unlink(missing_ok=True)
        with self._open() as db:
            db.execute("VACUUM INTO ?", (str(target),))

    def load(self, source: Path) -> None:
        """See `VersionIndex.load`."""
        try:
            with contextlib.closing(sqlite3.connect(source)) as db:
                if db.execute("PRAGMA user_version").fetchone() != (schema.SCHEMA_VERSION,):
                    raise ValueError("the copy is of another version")
        except sqlite3.DatabaseError:
            raise ValueError("the copy is no database") from None
        self._drop()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self._file)

    def latest(self) -> IndexedCommit | None:
        """See `VersionIndex.latest`."""
        return self._commit("WHERE backup ORDER BY sequence DESC LIMIT 1")

    def backup_by(self, when_ms: int) -> IndexedCommit | None:
        """See `VersionIndex.backup_by`."""
        return self._commit("WHERE backup AND at <= ? ORDER BY sequence DESC LIMIT 1", when_ms)

    def commits(self, prefix: str) -> list[IndexedCommit]:
        """See `VersionIndex.commits`."""
        # Several numbers of one commit, saved without a change, are the same: the last of them stands.
        columns = "max(sequence), id, at, run, message, backup"
        where = "WHERE id >= ? AND id < ? GROUP BY id LIMIT 2"
        rows = self._rows(f"SELECT {columns} FROM commits {where}", (prefix, prefix + "g"))
        return [_indexed_commit(row) for row in rows]

    def versions(self, path: str) -> list[IndexedVersion]:
        """See `VersionIndex.versions`."""
        found: dict[tuple[str, int], IndexedVersion] = {}
        waiting: list[tuple[str, int | None]] = [(path, None)]
        while waiting:
            name, before = waiting.pop()
            where = "WHERE n.path = ? AND (? IS NULL OR v.sequence < ?)"
            for row in self._select(where, (_encoded(name), before, before)):
                key = (row.version.path, row.commit.sequence)
                if key in found:
                    continue
                found[key] = row
                if row.version.kind is VersionKind.RENAMED and row.version.other_path:
                    waiting.append((row.version.other_path, row.commit.sequence))
        return sorted(found.values(), key=lambda v: (-v.commit.sequence, v.version.path != path))

    def version(self, path: str, sequence: int) -> IndexedVersion | None:
        """See `VersionIndex.version`."""
        where = f"WHERE n.path = :path AND {schema.AS_OF}"
        return next(iter(self._select(where, {"path": _encoded(path), "sequence": sequence})), None)

    def below(self, folder: str, sequence: int, after: str = "") -> Iterator[IndexedVersion]:
        """See `VersionIndex.below`."""
        low, high = _range(folder)
        low = max(low, _encoded(after))
        where = f"WHERE n.path > :low AND n.path < :high AND {schema.AS_OF} AND {schema.LIVING} ORDER BY n.path"
        return self._select(where, {"low": low, "high": high, "sequence": sequence})

    def children(
        self, folder: str, sequence: int, limit: int | None = None, offset: int = 0
    ) -> tuple[list[str], list[IndexedVersion]]:
        """See `VersionIndex.children`."""
        of = "(SELECT id FROM folders WHERE path = :folder)"
        given = {"folder": _encoded(folder), "sequence": sequence}
        most = -1 if limit is None else limit
        where = f"WHERE n.folder = {of} AND {schema.AS_OF} AND {schema.LIVING} ORDER BY n.path LIMIT :most OFFSET :skip"
        held = (
            "EXISTS (SELECT 1 FROM notebooks n JOIN versions v ON v.notebook = n.id"
            " WHERE n.path > CAST(f.path || '/' AS BLOB) AND n.path < CAST(f.path || '0' AS BLOB)"
            f" AND {schema.AS_OF} AND {schema.LIVING})"
        )
        rows = self._rows(f"SELECT f.path FROM folders f WHERE f.parent = {of} AND {held} ORDER BY f.path", given)
        folders = [_decoded(path) for (path,) in rows]
        shown = folders[offset:][: None if limit is None else limit]
        rest = {"most": most if limit is None else limit - len(shown), "skip": max(0, offset - len(folders))}
        return shown, list(self._select(where, given | rest))

    def find(self, text: str, *, deleted: bool) -> Iterator[IndexedVersion]:
        """See `VersionIndex.find`."""
        where = "WHERE v.sequence = n.latest AND n.gone = ? AND instr(n.folded, ?) ORDER BY n.path"
        return self._select(where, (deleted, _folded(text)))

    def unattributed(self, since_ms: int) -> list[IndexedVersion]:
        """See `VersionIndex.unattributed`."""
        edit = schema.KINDS.index(VersionKind.BRANCH_EDIT)
        return list(self._select("WHERE c.at >= ? AND v.author IS NULL AND v.kind != ?", (since_ms, edit)))

    def corrections(self) -> set[str]:
        """See `VersionIndex.corrections`."""
        return {name for (name,) in self._rows("SELECT name FROM corrections")}

    def correct(self, name: str, authors: Iterable[LateAuthor]) -> None:
        """See `VersionIndex.correct`."""
        with self._open() as db, db:
            db.execute("BEGIN IMMEDIATE")
            writer = _Writer(db)
            for late in authors:
                writer.correct(late)
            db.execute("INSERT OR IGNORE INTO corrections VALUES (?)", (name,))

    def changes(self, from_ms: int, to_ms: int) -> Iterator[IndexedChange]:
        """See `VersionIndex.changes`."""
        return map(_indexed_change, self._rows(schema.CHANGES, {"from_ms": from_ms, "to_ms": to_ms}))

    def _commit(self, where: str, *given: Any) -> IndexedCommit | None:
        rows = self._rows(f"SELECT sequence, id, at, run, message, backup FROM commits {where}", given)
        return next(map(_indexed_commit, rows), None)

    def _select(self, where: str, given: Any) -> Iterator[IndexedVersion]:
        return map(_indexed_version, self._rows(schema.SELECT + where, given))

    def _rows(self, query: str, given: Any = ()) -> Iterator[Any]:
        with self._open() as db:
            cursor = db.execute(query, given)
            while rows := cursor.fetchmany(_ROWS_A_READ):
                yield from rows

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection; a file that is damaged, or of another version, is made anew."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._file, timeout=_WAIT_SECONDS, isolation_level=None)
        with contextlib.closing(db):
            try:
                made = db.execute("PRAGMA user_version").fetchone()[0]
                if made == 0:
                    _make(db)
            except sqlite3.DatabaseError:
                made = -1
            if made in (0, schema.SCHEMA_VERSION):
                yield db
                return
        self._drop()
        with self._open() as again:
            yield again

    def _drop(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)


def _make(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    with db:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in filter(str.strip, schema.TABLES.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")


class _Writer:
    """Adds commits within one transaction; ids that it met are kept, for the first of many rows."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._folders: dict[bytes, int] = {}
        self._authors: dict[str, int] = {}

    def add(self, commit: CommitVersions) -> None:
        """Enter a commit; the edits of a person, if it has any, under the number before its own."""
        sequence = 2 * commit.mark.sequence
        if commit.branch:
            self._enter(sequence - 1, commit.branch, commit, "a person's edits on the branch", backup=False)
        self._enter(sequence, commit.mark.commit, commit, commit.message, backup=True)
        for version in commit.versions:
            self._version(version, sequence - (version.kind is VersionKind.BRANCH_EDIT))

    def correct(self, late: LateAuthor) -> None:
        """Name the author of a version that had none."""
        statement = (
            "UPDATE versions SET author = ?, restore = ifnull(?, restore), restored_from = ifnull(?, restored_from)"
            " WHERE author IS NULL AND notebook = (SELECT id FROM notebooks WHERE path = ?)"
            " AND sequence IN (SELECT sequence FROM commits WHERE id = ? AND backup)"
        )
        who = (self._author(late.author), late.restore, late.restored_from)
        self._db.execute(statement, (*who, _encoded(late.path), late.commit))

    def _enter(self, sequence: int, commit: str, of: CommitVersions, message: str, *, backup: bool) -> None:
        row = (sequence, commit, of.committed_at, of.run_id, message, backup)
        self._db.execute("INSERT OR REPLACE INTO commits VALUES (?, ?, ?, ?, ?, ?)", row)

    def _version(self, v: Version, sequence: int) -> None:
        row = (
            self._notebook(v.path, sequence, gone=v.kind.gone),
            sequence,
            schema.KINDS.index(v.kind),
            bytes.fromhex(v.blob),
            bytes.fromhex(v.sha256) if v.sha256 else None,
            v.size,
            schema.LANGUAGES.index(v.language),
            schema.FORMATS.index(v.format),
            v.modified_at,
            self._notebook(v.other_path, None) if v.other_path else None,
            self._author(v.author) if v.author else None,
            _file(v),
            v.restore,
            v.restored_from,
        )
        self._db.execute("INSERT OR REPLACE INTO versions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row)

    def _notebook(self, path: str, sequence: int | None, *, gone: bool = True) -> int:
        """The notebook's id; `sequence` is that of its latest version, None where only its path is met."""
        key = _encoded(path)
        if sequence is None:
            known = self._db.execute("SELECT id FROM notebooks WHERE path = ?", (key,)).fetchone()
            if known:
                return int(known[0])
        row = (key, self._folder(path.rpartition("/")[0]), _folded(path), sequence or 0, gone)
        statement = (
            "INSERT INTO notebooks (path, folder, folded, latest, gone) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET latest = excluded.latest, gone = excluded.gone RETURNING id"
        )
        return int(self._db.execute(statement, row).fetchone()[0])

    def _folder(self, path: str) -> int:
        key = _encoded(path)
        if key not in self._folders:
            above = next(parents(path), None) if path else None
            parent = self._folder(above) if above is not None else None
            self._folders[key] = self._id("folders", "path", key, parent)
        return self._folders[key]

    def _author(self, name: str) -> int:
        if name not in self._authors:
            self._authors[name] = self._id("authors", "name", name)
        return self._authors[name]

    def _id(self, table: str, column: str, value: bytes | str, *others: int | None) -> int:
        marks = ", ?" * len(others)
        columns = f"{column}, parent" if others else column
        self._db.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES (?{marks})", (value, *others))
        return int(self._db.execute(f"SELECT id FROM {table} WHERE {column} = ?", (value,)).fetchone()[0])


def _indexed_commit(row: Any) -> IndexedCommit:
    sequence, commit, at, run_id, message, backup = row
    return IndexedCommit(sequence, commit, at, run_id, message, bool(backup))


def _indexed_version(row: Any) -> IndexedVersion:
    path, kind, blob, sha256, size, lang, fmt, modified_at, other, author, file, restore, restored_from = row[6:]
    language, form = schema.LANGUAGES[lang], schema.FORMATS[fmt]
    version = Version(
        path=_decoded(path),
        kind=schema.KINDS[kind],
        file=_decoded(path)[file:] + extension(language, form) if isinstance(file, int) else _decoded(file),
        blob=blob.hex(),
        language=language,
        format=form,
        sha256=sha256.hex() if sha256 else None,
        size=size,
        modified_at=modified_at,
        other_path=_decoded(other) if other is not None else None,
        author=author,
        restore=restore,
        restored_from=restored_from,
    )
    return IndexedVersion(_indexed_commit(row[:6]), version)


def _indexed_change(row: Any) -> IndexedChange:
    found = _indexed_version(row[:_VERSION_COLUMNS])
    kind, blob, sha256, size, language, fmt, modified_at = row[_VERSION_COLUMNS:]
    if kind is None or schema.KINDS[kind].gone:
        return IndexedChange(found, None)
    renamed = found.version.kind is VersionKind.RENAMED
    before = replace(
        found.version,
        path=found.version.other_path or found.version.path if renamed else found.version.path,
        kind=schema.KINDS[kind],
        blob=blob.hex(),
        sha256=sha256.hex() if sha256 else None,
        size=size,
        language=schema.LANGUAGES[language],
        format=schema.FORMATS[fmt],
        modified_at=modified_at,
        other_path=None,
        author=None,
        restore=None,
        restored_from=None,
    )
    return IndexedChange(found, before)


def _file(version: Version) -> int | bytes:
    """Where in its path a notebook's file begins, or the file where it is not its path and an extension."""
    stem = version.file.removesuffix(extension(version.language, version.format))
    start = len(version.path) - len(stem)
    plain = start > 0 and stem != version.file and version.path[start:] == stem
    return start if plain else _encoded(version.file)


def _range(folder: str) -> tuple[bytes, bytes]:
    """Paths below a folder lie between these two: `0` follows on `/`."""
    key = _encoded(folder)
    return key + b"/", key + b"0"


def _encoded(path: str) -> bytes:
    return path.encode("utf-8", "surrogatepass")


def _decoded(path: bytes) -> str:
    return path.decode("utf-8", "surrogatepass")


def _folded(text: str) -> str:
    return text.casefold().encode("utf-8", "replace").decode()
