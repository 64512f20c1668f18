"""The version log: one blob for each push, what its commits changed, and the backup before it.

It is written before the checkpoint that names its commit, and kept for good. The checkpoint tells which
blobs count: the one of its own commit, and those that it leads back to.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence

from shared.domain.versions import CommitMark, CommitVersions, decode_versions, encode_versions
from shared.errors import DamagedBlob
from shared.protocols import BlobStore

MOST_LOOKED_AT = 20
"""A commit is in the first blob from its number on, unless committers that were late left others."""
_BASE, _LOG = "history-index/", "history/"


class VersionLogGap(Exception):
    """The log does not lead back to its beginning: `after` is the last backup before the gap."""

    def __init__(self, after: CommitMark) -> None:
        super().__init__(f"the version log does not hold {after.commit[:12]}")
        self.after = after


class VersionLog:
    """Blobs `history/{sequence}-{commit}.jsonl.gz`, and copies of the index made of them, `history-index/...`."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def save(self, commits: Sequence[CommitVersions]) -> None:
        """Keep what commits changed that were pushed together; the same again overwrites itself."""
        self._blobs.put(_name(commits[-1].mark), encode_versions(commits))

    def load(self, mark: CommitMark) -> tuple[CommitVersions, ...]:
        """What a commit changed, after those that were pushed with it. Raises `VersionLogGap` where it is lost."""
        try:
            return decode_versions(self._blobs.get(_name(mark)))
        except (KeyError, DamagedBlob):
            raise VersionLogGap(mark) from None

    def commit(self, mark: CommitMark) -> CommitVersions:
        """What one commit changed, wherever it stands in its push. Raises `VersionLogGap`."""
        later = (n for n in self._blobs.names(_LOG) if int(n.removeprefix(_LOG).partition("-")[0]) >= mark.sequence)
        for name in itertools.islice(later, MOST_LOOKED_AT):
            with contextlib.suppress(KeyError, DamagedBlob):
                for commit in decode_versions(self._blobs.get(name)):
                    if commit.mark == mark:
                        return commit
        raise VersionLogGap(mark)

    def copies(self) -> dict[CommitMark, str]:
        """The kept copies of the index: the blob of each by the last backup that it holds."""
        found = {}
        for name in self._blobs.names(_BASE):
            sequence, _, commit = name.removeprefix(_BASE).partition(".")[0].partition("-")
            found[CommitMark(int(sequence), commit)] = name
        return found


def copy_name(mark: CommitMark) -> str:
    """The blob of an index copy that ends with `mark`."""
    return f"{_BASE}{mark.sequence:08}-{mark.commit}.sqlite.gz"


def _name(mark: CommitMark) -> str:
    return f"{_LOG}{mark.sequence:08}-{mark.commit}.jsonl.gz"
