"""What was brought from Git folders' branches: files that the workspace does not show yet, and whose edits they are."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import Clock
from shared.domain.attribution import ChangeEvent
from shared.domain.manifest import Manifest
from shared.errors import DamagedBlob
from shared.protocols import BlobStore
from shared.services.git_folders.store import key_of

EVENTS_KEPT = timedelta(days=60)
_FILES, _EVENTS, _GROUND = "gitfolders/brought/", "gitfolders/edits/", "gitfolders/ground.json"


@dataclass(frozen=True, slots=True)
class Brought:
    """One file of the backup branch as a person committed it: its blob, None where they removed it.

    `taken` says that the workspace shows it: the next listing tells of it.
    """

    blob: str | None
    taken: bool = False


type BroughtFiles = Mapping[str, Brought]


class BroughtStore:
    """Blobs by folder, until a manifest has what they name; and who made each edit, for attribution."""

    def __init__(self, blobs: BlobStore, clock: Clock) -> None:
        self._blobs, self._clock = blobs, clock

    def files(self) -> dict[str, Brought]:
        """Every such file, by its path in the repository's tree."""
        found: dict[str, Brought] = {}
        for name in list(self._blobs.names(_FILES)):
            found |= self._load(name)
        return found

    def vanished(self, path: str, manifest_files: Collection[str], tree: Mapping[str, str]) -> list[str]:
        """Notebooks that people added to a folder, that the workspace showed, and that no backup found there."""
        known = self._load(_name(path))
        added = {file: b.blob for file, b in known.items() if b.taken and b.blob is not None}
        return sorted(f for f, blob in added.items() if f not in manifest_files and tree.get(f) == blob)

    def add(self, path: str, files: Mapping[str, str | None]) -> None:
        """Enter files of a folder, before the branch holds them."""
        name = _name(path)
        self._save(name, self._load(name) | {file: Brought(blob) for file, blob in files.items()})

    def taken(self, path: str) -> bool:
        """Say that the workspace shows a folder's files; whether there were any that it did not show."""
        name = _name(path)
        known = self._load(name)
        new = {file: Brought(b.blob, taken=True) for file, b in known.items()}
        if new == known:
            return False
        self._save(name, new)
        return True

    def settle(self, manifest: Manifest, tree: Mapping[str, str]) -> None:
        """Forget what a manifest has, and what the branch has otherwise by now."""
        entries = {entry.file: entry.blob for entry in manifest.values()}
        for name in list(self._blobs.names(_FILES)):
            known = self._load(name)
            left = {f: b for f, b in known.items() if tree.get(f) == b.blob != entries.get(f)}
            if left != known:
                self._save(name, left)

    def keep_ground(self, last: str, head: str) -> None:
        """Say that `head` is what is about to be pushed on the last backup's commit: messages can be made up."""
        self._blobs.put(_GROUND, json.dumps([last, head]).encode())

    def ground(self, last: str) -> str | None:
        """What was pushed, or was about to be, on the last backup's commit."""
        known = self._read(_GROUND)
        return str(known[1]) if known and known[0] == last else None

    def add_events(self, path: str, events: Iterable[ChangeEvent]) -> None:
        """Keep who made edits that are about to be shown in the workspace."""
        at = int(self._clock.now().timestamp() * 1000)
        body = json.dumps([astuple(event) for event in events])
        self._blobs.put(f"{_EVENTS}{at:015d}-{key_of(path)}.json", body.encode())
        oldest = int((self._clock.now() - EVENTS_KEPT).timestamp() * 1000)
        for name in list(self._blobs.names(_EVENTS)):
            if _at(name) < oldest:
                self._blobs.delete(name)

    def events(self, since: datetime) -> list[ChangeEvent]:
        """The edits of people that were shown in the workspace since then."""
        start = int(since.timestamp() * 1000)
        found: list[ChangeEvent] = []
        for name in list(self._blobs.names(_EVENTS)):
            if _at(name) >= start:
                found += [ChangeEvent(*row) for row in self._read(name) or ()]
        return found

    def _load(self, name: str) -> dict[str, Brought]:
        return {file: Brought(*row) for file, row in (self._read(name) or {}).items()}

    def _save(self, name: str, files: BroughtFiles) -> None:
        if files:
            self._blobs.put(name, json.dumps({file: astuple(b) for file, b in files.items()}).encode())
        else:
            self._blobs.delete(name)

    def _read(self, name: str) -> Any:
        try:
            return json.loads(self._blobs.get(name))
        except (KeyError, DamagedBlob):
            # Without it the workspace overrules what was brought, which stays in history.
            return None


def _name(path: str) -> str:
    return f"{_FILES}{key_of(path)}.json"


def _at(name: str) -> int:
    return int(name.removeprefix(_EVENTS).partition("-")[0])
