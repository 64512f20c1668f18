"""Who changed a notebook: the workspace's own record of acts, and our restores', held beside what a backup found."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

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
    """What a backup found of a notebook: its modification time, and where it had been, if it was moved.

    `sha256` is that of its bytes, None where it is not known: then no restore is seen in it.
    """

    path: str
    object_id: int
    modified_at: int
    old_path: str | None = None
    old_modified_at: int | None = None
    sha256: str | None = None

    @property
    def written(self) -> bool:
        """Whether it was saved since the last backup: one that was only moved was not."""
        return self.old_path is None or self.modified_at != self.old_modified_at


@dataclass(frozen=True, slots=True)
class RestoreWrite:
    """What a restore did with one notebook: wrote it and proved that, or removed it (`sha256` is None).

    `actor` asked for it, between `began_ms` and `ended_ms` (None while it goes on). `modified_at` is what the
    workspace said of the notebook when it was proved. `from_ms` is the time of modification of the version that
    was put back. All times are Unix milliseconds, those of the workspace by its own clock.
    """

    restore: str
    actor: str
    path: str
    object_id: int
    began_ms: int
    ended_ms: int | None = None
    modified_at: int = 0
    sha256: str | None = None
    from_ms: int | None = None

    def explains(self, found: Changed) -> bool:
        """Whether a notebook is as this restore left it: the same bytes, saved at no other time than by it."""
        return (
            self.sha256 is not None
            and (self.sha256, self.modified_at) == (found.sha256, found.modified_at)
            and self.spans(found.modified_at)
        )

    def spans(self, at_ms: int) -> bool:
        """Whether a time of the workspace lies within the restore, which goes by our own clock."""
        return self.began_ms - NEAR_MS <= at_ms and (self.ended_ms is None or at_ms <= self.ended_ms + NEAR_MS)


class RestoreWrites:
    """Finds the restore that brought a notebook to what it is, or removed it.

    It holds for the very object that the restore wrote: by its id, or by its paths where no id is known.
    """

    def __init__(self, writes: Iterable[RestoreWrite] = ()) -> None:
        self._written: dict[str, list[RestoreWrite]] = defaultdict(list)
        self._removed: dict[str, list[RestoreWrite]] = defaultdict(list)
        for write in writes:
            entered = self._removed if write.sha256 is None else self._written
            for name in filter(None, (str(write.object_id) if write.object_id else "", write.path)):
                entered[name].append(write)

    def of(self, found: Changed) -> RestoreWrite | None:
        """The restore whose bytes a notebook has had since; None where it was touched again, or by others."""
        names = [str(found.object_id)] if found.object_id else [found.path, found.old_path or ""]
        known = [w for name in names for w in self._written.get(name, ()) if found.written and w.explains(found)]
        return max(known, key=lambda w: w.began_ms, default=None)

    def of_removal(self, path: str, object_id: int, since_ms: int) -> RestoreWrite | None:
        """The restore that removed a notebook which was last there at `since_ms`."""
        name = str(object_id) if object_id else path
        known = [w for w in self._removed.get(name, ()) if w.ended_ms is None or w.ended_ms > since_ms - NEAR_MS]
        return max(known, key=lambda w: w.began_ms, default=None)


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a change (None where nobody knows), and the restore by which they did."""

    author: str | None
    restore: RestoreWrite | None = None


class Authors:
    """Finds who did what. Acts of `ours` (the backup's own principal) are left out: its restores tell of those."""

    def __init__(
        self, events: Iterable[ChangeEvent], ours: Collection[str] = (), restores: RestoreWrites | None = None
    ) -> None:
        self._restores = restores or RestoreWrites()
        self._writes: dict[str, list[ChangeEvent]] = defaultdict(list)
        self._moves: dict[str, list[ChangeEvent]] = defaultdict(list)
        self._removals: dict[str, list[ChangeEvent]] = defaultdict(list)
        own = {name.casefold() for name in ours}
        seen: set[str] = set()
        for event in sorted(events, key=lambda e: (e.at_ms, e.event_id)):
            # Rows of overlapping reads come twice.
            if event.actor and event.event_id not in seen:
                seen.add(event.event_id)
                self._enter(event, is_ours=event.actor.casefold() in own)

    def maker(self, found: Changed) -> Maker:
        """Who brought a notebook to what it is.

        A restore that fits says more than an act that is only near: it names the bytes and the very moment.
        """
        write = self._restores.of(found)
        return Maker(write.actor, write) if write else Maker(self.of(found))

    def remover(self, path: str, object_id: int, since_ms: int) -> Maker:
        """Who removed a notebook, by a restore or an undo where that is told of the very object."""
        write = self._restores.of_removal(path, object_id, since_ms)
        acts = self._removals.get(str(object_id), ()) if object_id else ()
        by_hand = any(e.at_ms > since_ms for e in acts)
        return Maker(write.actor, write) if write and not by_hand else Maker(self.of_removal(path, object_id, since_ms))

    def of(self, found: Changed) -> str | None:
        """Who brought a notebook to what it is, by their acts; None where none fits."""
        if found.written and (writer := self._writer(found)):
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

    def _enter(self, event: ChangeEvent, *, is_ours: bool) -> None:
        if event.action in WRITES:
            # What we wrote ourselves is nobody's, so that an edit shortly before it does not pass for it.
            for name in filter(None, (event.notebook, plain(event.path))):
                self._writes[name].append(replace(event, actor="") if is_ours else event)
        elif is_ours:
            return
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
                return min(near, key=lambda e: abs(e.at_ms - found.modified_at)).actor or None
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
