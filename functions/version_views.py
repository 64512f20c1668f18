"""Versions as JSON objects."""

from __future__ import annotations

from typing import Any

from shared.domain.times import iso
from shared.protocols import IndexedCommit, IndexedVersion


def commit_json(commit: IndexedCommit) -> dict[str, Any]:
    """A moment."""
    return {"commit": commit.commit, "sequence": commit.sequence, "committed_at": iso(commit.committed_at)}


def version_json(found: IndexedVersion) -> dict[str, Any]:
    """A version in full."""
    version, commit = found.version, found.commit
    same = ("path", "kind", "other_path", "language", "format", "size", "sha256", "blob", "author", "restore")
    return {
        **commit_json(commit),
        "run_id": commit.run_id,
        "message": commit.message,
        **{name: getattr(version, name) for name in same},
        "modified_at": iso(version.modified_at),
        "restored_from": iso(version.restored_from),
    }


def listed_json(found: IndexedVersion) -> dict[str, Any]:
    """A notebook in a folder or among those that were found."""
    version = found.version
    return {
        "path": version.path,
        "name": version.path.rpartition("/")[2],
        "language": version.language,
        "size": version.size,
        "modified_at": iso(version.modified_at),
        "committed_at": iso(found.commit.committed_at),
        "commit": found.commit.commit,
    }


def found_json(found: IndexedVersion) -> dict[str, Any]:
    """A notebook that was found, living or gone."""
    folder = found.version.path.rpartition("/")[0]
    return {**listed_json(found), "folder": folder, "deleted": found.version.kind.gone}
