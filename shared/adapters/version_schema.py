"""The tables of the version index."""

from __future__ import annotations

from shared.domain.notebooks import ExportFormat, Language
from shared.domain.versions import VersionKind

SCHEMA_VERSION = 3
"""A file of another version is made anew: the index is a cache."""
KINDS = tuple(VersionKind)
LANGUAGES = tuple(Language)
FORMATS = tuple(ExportFormat)
TABLES = """
CREATE TABLE commits (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, run TEXT NOT NULL, message TEXT NOT NULL,
    backup INTEGER NOT NULL
);
CREATE INDEX commits_by_id ON commits (id);
CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, parent INTEGER);
CREATE INDEX folders_by_parent ON folders (parent, path);
CREATE TABLE notebooks (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, folder INTEGER NOT NULL, folded TEXT NOT NULL,
    latest INTEGER NOT NULL, gone INTEGER NOT NULL
);
CREATE INDEX notebooks_by_folder ON notebooks (folder, path);
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE versions (
    notebook INTEGER NOT NULL, sequence INTEGER NOT NULL, kind INTEGER NOT NULL, blob BLOB NOT NULL, sha256 BLOB,
    size INTEGER, language INTEGER NOT NULL, format INTEGER NOT NULL, modified_at INTEGER, other INTEGER,
    author INTEGER, file, restore TEXT, restored_from INTEGER, PRIMARY KEY (notebook, sequence)
) WITHOUT ROWID;
CREATE TABLE corrections (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""
"""`file` is a number where a notebook's file is its path from there on, with an extension; else it is the file."""
EMPTY = "".join(
    f"DELETE FROM {table};" for table in ("commits", "folders", "notebooks", "authors", "versions", "corrections")
)
_COLUMNS = """
SELECT c.sequence, c.id, c.at, c.run, c.message, c.backup,
       n.path, v.kind, v.blob, v.sha256, v.size, v.language, v.format, v.modified_at, o.path, a.name,
       v.file, v.restore, v.restored_from
"""
_TABLES = """
FROM notebooks n
JOIN versions v ON v.notebook = n.id
JOIN commits c ON c.sequence = v.sequence
LEFT JOIN notebooks o ON o.id = v.other
LEFT JOIN authors a ON a.id = v.author
"""
SELECT = _COLUMNS + _TABLES
AS_OF = "v.sequence = (SELECT max(sequence) FROM versions WHERE notebook = n.id AND sequence <= :sequence)"
_GONE = ",".join(str(number) for number, kind in enumerate(KINDS) if kind.gone)
LIVING = f"v.kind NOT IN ({_GONE})"
_ORIGIN = f"CASE WHEN v.kind = {KINDS.index(VersionKind.RENAMED)} THEN ifnull(v.other, n.id) ELSE n.id END"
_FOLLOWED_ON = f"SELECT max(sequence) FROM versions WHERE notebook = {_ORIGIN} AND sequence < v.sequence"
_IN_TIME = "at >= :from_ms AND at < :to_ms"
CHANGES = f"""{_COLUMNS}, b.kind, b.blob, b.sha256, b.size, b.language, b.format, b.modified_at
{_TABLES}
LEFT JOIN versions b ON b.notebook = {_ORIGIN} AND b.sequence = ({_FOLLOWED_ON})
WHERE n.latest >= (SELECT min(sequence) FROM commits WHERE {_IN_TIME})
AND v.sequence BETWEEN (SELECT min(sequence) FROM commits WHERE {_IN_TIME})
AND (SELECT max(sequence) FROM commits WHERE {_IN_TIME})
AND c.{_IN_TIME.replace(" AND ", " AND c.")}
ORDER BY c.sequence, n.path
"""
"""With the version that each followed on. Times of commits need not grow: their numbers only narrow the search."""
