"""Restores as people may ask for them: below the backup root, and within the folders of their groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.domain.access import Caller
from shared.domain.folder_scopes import Scope
from shared.domain.restore_request import RestoreBody
from shared.services.access.decisions import AccessService, OutsideFolders
from shared.services.recovery.content import OutsideBackup
from shared.services.recovery.restores import SHOWN_AT_ONCE, RestoreService
from shared.services.recovery.scoped_history import SETTING as READ_SETTING

SETTING = "BACKUP_RESTORE_FOLDERS"

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a restore reads and writes: notebooks or one folder, and where that goes; no target means in place."""

    paths: tuple[str, ...]
    folder: str | None
    target: str | None
    suffix: str

    @classmethod
    def of(cls, restore: Json) -> _Reach:
        """Of a restore that is stored."""
        return cls(tuple(restore["paths"]), restore["folder"], restore["target"], restore["suffix"])

    def sources_outside(self, scope: Scope) -> Iterator[str]:
        """What is to be read outside a scope."""
        yield from (path for path in self.paths if not scope.holds_notebook(path))
        if self.folder is not None and not scope.holds_folder(self.folder):
            yield self.folder

    def targets_outside(self, scope: Scope) -> Iterator[str]:
        """What is to be written outside a scope."""
        if self.target is not None:
            yield from () if scope.holds_folder(self.target) else (self.target,)
            return
        # A suffix can lead out of a folder: `/Clients/acme` with `-other` stands beside it.
        yield from (path + self.suffix for path in self.paths if not scope.holds_notebook(path + self.suffix))
        if self.folder is not None and not scope.holds_folder(self.folder):
            yield self.folder


class GuardedRestores:
    """The one way from a request to a restore. What is refused is refused as a whole: nothing of it is done.

    Each method raises `OutsideBackup`, `OutsideFolders`, and what `RestoreService` raises.
    """

    def __init__(self, restores: RestoreService, access: AccessService, root: str) -> None:
        self._restores, self._access, self._root = restores, access, root

    def start(self, caller: Caller, body: RestoreBody, origin: str) -> Json:
        """See `RestoreService.start`."""
        reach = _Reach(tuple(body.paths), body.folder, body.target, body.suffix)
        self._check_reads(caller, reach)
        self._check_writes(caller, reach)
        return self._restores.start(body, caller.name, origin)

    def undo(self, caller: Caller, restore_id: str, *, dry_run: bool, force: bool, origin: str) -> Json:
        """See `RestoreService.undo`: it is for those who may see the restore, and write where it wrote."""
        reach = _Reach.of(self._restores.get(restore_id, limit=0))
        self._check_seen(caller, reach)
        self._check_writes(caller, reach)
        return self._restores.undo(restore_id, dry_run=dry_run, force=force, who=caller.name, origin=origin)

    def get(
        self,
        caller: Caller,
        restore_id: str,
        *,
        limit: int = SHOWN_AT_ONCE,
        offset: int = 0,
        outcome: str | None = None,
    ) -> Json:
        """See `RestoreService.get`."""
        found = self._restores.get(restore_id, limit=limit, offset=offset, outcome=outcome)
        self._check_seen(caller, _Reach.of(found))
        return found

    def recent(self, caller: Caller, limit: int) -> list[Json]:
        """See `RestoreService.recent`: of the newest, those that the caller may see."""
        return [r for r in self._restores.recent(limit) if not any(self._hidden(caller, _Reach.of(r)))]

    def _hidden(self, caller: Caller, reach: _Reach) -> Iterator[str]:
        """What keeps a restore from a caller: its notebooks tell of where they come from, and of where they went."""
        readable = self._access.readable(caller)
        yield from reach.sources_outside(readable)
        # Whoever may write to a target that they do not see is shown what became of it.
        unwritable = set(reach.targets_outside(self._writable(caller)))
        yield from (path for path in reach.targets_outside(readable) if path in unwritable)

    def _check_seen(self, caller: Caller, reach: _Reach) -> None:
        _refuse(self._hidden(caller, reach), caller, "see", READ_SETTING)

    def _check_reads(self, caller: Caller, reach: _Reach) -> None:
        # Below a folder that is no part of the backup, `remove_extra` would remove everything.
        for path in reach.sources_outside(Scope(frozenset({self._root}))):
            raise OutsideBackup(path=path, root=self._root)
        outside = reach.sources_outside(self._access.readable(caller))
        _refuse(outside, caller, "see", READ_SETTING)

    def _check_writes(self, caller: Caller, reach: _Reach) -> None:
        _refuse(reach.targets_outside(self._writable(caller)), caller, "restore to", SETTING)
        _refuse(reach.sources_outside(self._access.restorable(caller)), caller, "restore", SETTING)

    def _writable(self, caller: Caller) -> Scope:
        """Where nothing else is said, people write below the backup root; who operates the backup, anywhere."""
        scope = self._access.restorable(caller)
        return Scope(frozenset({self._root})) if scope.whole and caller.limited else scope


def _refuse(outside: Iterable[str], caller: Caller, act: str, setting: str) -> None:
    for path in outside:
        raise OutsideFolders(path=path, name=caller.name, act=act, setting=setting)
