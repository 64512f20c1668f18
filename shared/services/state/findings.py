"""What a run could not bring in, and what it settled by itself: named, one blob for each step that found any."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict

from shared.domain.batches import Failure, Notice
from shared.errors import DamagedBlob
from shared.protocols import BlobStore


class FindingStore:
    """Blobs `failures/{run}/{source}.json` and `notices/{run}/{source}.json`; a repeat overwrites its own."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def record_failures(self, run_id: str, source: str, failures: Sequence[Failure]) -> None:
        """Keep the failures of one step; none leaves none."""
        self._record(f"failures/{run_id}/{source}.json", failures)

    def record_notices(self, run_id: str, source: str, notices: Sequence[Notice]) -> None:
        """Keep the notices of one step; none leaves none."""
        self._record(f"notices/{run_id}/{source}.json", notices)

    def failures(self, run_id: str, *, leaving_out: Collection[str] = ()) -> list[Failure]:
        """All failures but those of the sources left out: each path once, in path order."""
        found: dict[str, Failure] = {}
        for row in self._all(f"failures/{run_id}/", leaving_out):
            found.setdefault(row["path"], Failure(row["path"], row["code"], row["reason"]))
        return [found[path] for path in sorted(found)]

    def notices(self, run_id: str, *, leaving_out: Collection[str] = ()) -> list[Notice]:
        """All notices but those of the sources left out, in the order of their sources."""
        rows = self._all(f"notices/{run_id}/", leaving_out)
        return list({Notice(row["path"], row["code"], row["reason"]): None for row in rows})

    def _all(self, prefix: str, leaving_out: Collection[str]) -> Iterator[dict[str, str]]:
        for name in self._blobs.names(prefix):
            if name.rpartition("/")[2].removesuffix(".json") not in leaving_out:
                yield from self._rows(name)

    def _record(self, name: str, findings: Sequence[Failure | Notice]) -> None:
        if findings:
            self._blobs.put(name, json.dumps([asdict(f) for f in findings]).encode())
        else:
            self._blobs.delete(name)

    def _rows(self, name: str) -> list[dict[str, str]]:
        try:
            rows: list[dict[str, str]] = json.loads(self._blobs.get(name))
        except KeyError:
            return []
        except DamagedBlob as error:
            # What it named is not known any more: that is itself a failure, and not success.
            return [{"path": name, "code": error.code, "reason": str(error)}]
        return rows
