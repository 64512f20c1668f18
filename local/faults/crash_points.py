"""Where the process can die: a named point around every durable effect of a run and of a restore."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass

from local.faults.taps import Call, QuietTap


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """The `nth` call whose text matches `call`: the process dies before it, or after its effect."""

    when: str
    call: str
    nth: int = 1


def _before(call: str, nth: int = 1) -> CrashPoint:
    return CrashPoint("before", call, nth)


def _after(call: str, nth: int = 1) -> CrashPoint:
    return CrashPoint("after", call, nth)


CRASH_POINTS = {
    "run lease taken, row missing": _before(r"tables\.insert\(runs,"),
    "run row written, not enqueued": _after(r"tables\.insert\(runs,"),
    "half of the tree listed": _before(r"workspace\.list\(", 3),
    "list complete, nothing written": _before(r"blobs\.put\(batches/"),
    "one batch written": _after(r"blobs\.put\(batches/"),
    "plan written, rows missing": _after(r"blobs\.create\(plans/"),
    "rows written, nothing enqueued": _after(r"tables\.upsert_many\(batches,.*queued"),
    "batch enqueued, not begun": _before(r"workspace\.export"),
    "half a batch exported": _before(r"workspace\.export", 2),
    "batch exported, not staged": _before(r"blobs\.put_file\(staging/"),
    "staged, row missing": _after(r"blobs\.put_file\(staging/"),
    "row written, message not deleted": _after(r"tables\.upsert\(batches,.*staged"),
    "commit lease taken": _after(r"blobs\.acquire_lease\(leases/commit"),
    "staged archive downloaded": _after(r"blobs\.get_file\(staging/"),
    "fast-import begun": _before(r"repository\.feed\("),
    "fast-import half fed": _before(r"repository\.feed\(", 3),
    "committed, not pushed": _before(r"repository\.push\("),
    "pushed, answer lost": _after(r"repository\.push\("),
    "pushed, manifest missing": _before(r"blobs\.put\(manifests/"),
    "manifest written, no checkpoint": _after(r"blobs\.put\(manifests/"),
    "checkpoint written, findings missing": _after(r"tables\.(insert|replace)\(checkpoints, backup, current"),
    "commit named in the run, rows not": _after(r"tables\.upsert\(runs,.*'commit':"),
    "rows committed, run not finished": _after(r"tables\.upsert_many\(batches,.*committed"),
    "finishing": _after(r"tables\.upsert\(runs,.*finishing"),
    "run finished, lease kept": _after(r"tables\.upsert\(runs,.*'phase': 'done'"),
    "lease released, nothing cleaned": _after(r"tables\.replace\(checkpoints, lease, run, \{'run_id': ''"),
}

RESTORE_POINTS = {
    "request made, row missing": _before(r"tables\.insert\(restores,"),
    "row written, plan missing": _after(r"tables\.insert\(restores,"),
    "plan made, row without it": _before(r"tables\.upsert\(restores,.*'batches'"),
    "plan written": _after(r"tables\.upsert\(restores,.*'batches'"),
    "kept, not written": _after(r"blobs\.create\(restores/.*/kept-", 2),
    "about to write": _before(r"workspace\.import_notebook\(", 3),
    "written, not proved": _after(r"workspace\.import_notebook\(", 2),
    "half removed": _after(r"workspace\.delete_notebook\("),
    "all written, nothing recorded": _before(r"tables\.replace\(audit,.*ended"),
    "recorded, results missing": _after(r"tables\.replace\(audit,.*ended"),
    "about to end": _before(r"tables\.upsert\(restores,.*'finished_at'"),
}
"""In a restore, which is carried out by itself."""
LONG_RESTORE_POINTS = {
    "request kept, row missing": _after(r"blobs\.put\(restores/.*/request"),
    "plan written, row not": _after(r"blobs\.put\(restores/.*/plan-"),
    "all written, results missing": _before(r"blobs\.put\(restores/.*/result-"),
    "results written, row not": _after(r"blobs\.put\(restores/.*/result-"),
}
"""In a restore whose request, plan and results are too long for its row."""

CONVERSION_POINTS = {
    "snapshot kept, no row": _after(r"blobs\.put\(gitfolders/.*snapshot"),
    "branch pushed, row missing": _after(r"branches\.push\("),
    "said to be moving": _after(r"tables\.upsert\(gitfolders,.*'moving': True"),
    "about to be set aside": _before(r"git_folders\.move\("),
    "set aside, or told that it cannot be": _after(r"git_folders\.move\("),
    "half copied, or made": _after(r"workspace\.import_notebook\(/Clients\.before-git|git_folders\.create\("),
    "copied, not removed, or not made": _before(r"git_folders\.(delete_folder|create)\("),
    "removed, or made": _after(r"git_folders\.(delete_folder|create)\("),
    "made, not checked out": _before(r"git_folders\.check_out\("),
    "checked out": _after(r"git_folders\.check_out\("),
    "permissions set": _after(r"git_folders\.set_grants\("),
    "compared": _after(r"tables\.upsert\(gitfolders,.*keep_edits"),
    "recorded, row open": _before(r"tables\.upsert\(gitfolders,.*'state': 'converted'"),
    "row closed": _after(r"tables\.upsert\(gitfolders,.*'state': 'converted'"),
}
"""In the conversion of a folder, which is moved aside, or copied where the workspace cannot move."""

ROLLBACK_POINTS = {
    "said to be moving back": _after(r"tables\.upsert\(gitfolders,.*'moving': True"),
    "work half collected": _after(r"workspace\.import_notebook\(/Clients\.before-git"),
    "collected": _after(r"blobs\.put\(gitfolders/.*expected"),
    "Git folder about to be moved away": _before(r"git_folders\.move\(/Clients/"),
    "Git folder moved away, or told that it cannot be": _after(r"git_folders\.move\(/Clients/"),
    "Git folder about to be removed": _before(r"git_folders\.delete\("),
    "Git folder removed": _after(r"git_folders\.delete\("),
    "about to come back": _before(r"git_folders\.move\(/Clients\.|workspace\.import_notebook\(/Clients/"),
    "half back": _after(r"git_folders\.move\(/Clients\.|workspace\.import_notebook\(/Clients/"),
    "back, not proved": _after(r"blobs\.put\(gitfolders/.*/back"),
    "proved": _before(r"tables\.upsert\(gitfolders,.*'rolled_back'"),
}
"""In the rollback of a folder in which somebody edited a notebook."""


class Crash(BaseException):
    """The process is dead: nothing of it may have an effect any more."""


class CrashTap(QuietTap):
    """Dies at a point. `die` ends the process, or raises `Crash` where the process is only played.

    A played process is dead for all its threads: each later call raises too.
    """

    def __init__(self, point: CrashPoint, die: Callable[[], None]) -> None:
        self._point, self._die, self._pattern = point, die, re.compile(point.call, re.DOTALL)
        self._seen, self._lock = 0, threading.Lock()
        self.dead = False

    def meet(self, when: str, call: Call) -> None:
        """See `QuietTap.meet`."""
        with self._lock:
            if not self.dead and when == self._point.when and self._pattern.match(str(call)):
                self._seen += 1
                self.dead = self._seen == self._point.nth
            dead = self.dead
        if dead:
            self._die()


def kill_this_process() -> None:
    """End at once, as an out-of-memory kill does: no handler, no `finally`, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def play_dead() -> None:
    """Raise `Crash`."""
    raise Crash
