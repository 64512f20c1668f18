"""Who changed a notebook: the workspace's own record of acts, held beside what a backup found."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from shared.domain.siblings import parents

NEAR_MS = 120_000
"""An act and the modification time that it left are at most so far apart."""
WRITES = frozenset({"modifyNotebook", "createNotebook", "importNotebook", "cloneNotebook"})
MOVES = frozenset({"renameNotebook", "moveNotebook", "renameFolder", "moveFolder"})
REMOVALS = frozenset({"deleteNotebook", "deleteFolder", "moveToTrash"})
ACTIONS = WRITES | MOVES | REMOVALS
_WORKSPACE = "/Workspace"


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """One act of a person in the workspace (a row of `system.access.audit`).

    `at_ms` is Unix time in milliseconds, `actor` an e-mail address or application id, `notebook` the object id as
    text where the row names one. `path` is where the notebook or folder was; `new_path` where a move brought it.
    """

    event_id: str
    at_ms: int
    actor: str
    action: str
    notebook: str = ""
    path: str = ""
    new_path: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a backup found of a notebook: its modification time, and where it had been, if it was moved."""

    path: str
    object_id: int
    modified_at: int
    old_path: str | None = None
    old_modified_at: int | None = None


class Authors:
    """Finds who did what. Acts of `ours` (the backup's own principal) are left out."""

    def __init__(self, events: Iterable[ChangeEvent], ours: Collection[str] = ()) -> None:
        self._writes: dict[str, list[ChangeEvent]] = defaultdict(list)
        self._moves: dict[str, list[ChangeEvent]] = defaultdict(list)
        self._removals: dict[str, list[ChangeEvent]] = defaultdict(list)
        own = {name.casefold() for name in ours}
        seen: set[str] = set()
        for event in sorted(events, key=lambda e: (e.at_ms, e.event_id)):
            # Rows of overlapping reads come twice.
            if event.actor and event.actor.casefold() not in own and event.event_id not in seen:
                seen.add(event.event_id)
                self._enter(event)

    def of(self, found: Changed) -> str | None:
        """Who brought a notebook to what it is; None where no act fits."""
        written = found.old_path is None or found.modified_at != found.old_modified_at
        if written and (writer := self._writer(found)):
            return writer
        if found.old_path is not None:
            return self._mover(found.old_path, found.path)
        return None

    def of_removal(self, path: str, object_id: int, since_ms: int) -> str | None:
        """Who removed a notebook, or a folder above it, after `since_ms`; None where no act fits."""
        names = [str(object_id)] if object_id else []
        acts = [e for name in (*names, path, *parents(path)) for e in self._removals.get(name, ())]
        last = max((e for e in acts if e.at_ms > since_ms), key=lambda e: e.at_ms, default=None)
        return last.actor if last else None

    def _enter(self, event: ChangeEvent) -> None:
        if event.action in WRITES:
            for name in filter(None, (event.notebook, plain(event.path))):
                self._writes[name].append(event)
        elif event.action in MOVES:
            self._moves[plain(event.new_path)].append(event)
        elif event.action in REMOVALS:
            # The id of a folder is none of a notebook's.
            for name in filter(None, (event.notebook, plain(event.path))):
                self._removals[name].append(event)

    def _writer(self, found: Changed) -> str | None:
        """The last act by the modification time: a later one, or an earlier one of somebody else, made other bytes."""
        for name in (str(found.object_id), found.path, found.old_path or ""):
            acts = self._writes.get(name, [])
            at = bisect_right(acts, found.modified_at + NEAR_MS, key=lambda e: e.at_ms)
            near = [e for e in acts[:at] if e.at_ms >= found.modified_at - NEAR_MS]
            if near:
                return min(near, key=lambda e: abs(e.at_ms - found.modified_at)).actor
        return None

    def _mover(self, old_path: str, path: str) -> str | None:
        """Who moved the notebook, or a folder above it, from where it had been."""
        for place in (path, *parents(path)):
            for event in reversed(self._moves.get(place, [])):
                before = plain(event.path)
                if old_path == before + path.removeprefix(place) or not before:
                    return event.actor
        return None


def plain(path: str) -> str:
    """A path as the workspace lists it: rows may have `/Workspace` in front."""
    return path.removeprefix(_WORKSPACE) if path.startswith(f"{_WORKSPACE}/") else path
