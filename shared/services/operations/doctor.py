"""The doctor: every outside system, right and stored thing that the backup needs, checked from where the app runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import BackupError
from shared.redaction import redact
from shared.services.state.status import Json

MOST_SECONDS = 90.0
"""For all checks together: whoever asked waits for two minutes."""
THREADS = 8
_MOST_DETAIL = 500


class Level(StrEnum):
    """How a check came out. A warning lets the backup go on."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `remedy` is what to do, where it is not the check's usual one."""

    detail: str
    level: Level = Level.OK
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check by doing. What `run` raises is a failure, with `remedy` as what to do."""

    name: str
    run: Callable[[], Finding]
    remedy: str


class DoctorService:
    """Runs the checks side by side."""

    def __init__(self, checks: Callable[[], Sequence[Check]], most_seconds: float = MOST_SECONDS) -> None:
        self._checks, self._most_seconds = checks, most_seconds

    def check(self) -> list[Json]:
        """One row a check: `name`, `level`, `ok` (not failed), `detail`, and `remedy` unless all is well.

        A check that does not come to its end in time has failed. Raises nothing.
        """
        checks = self._checks()
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="doctor")
        asked = [(check, pool.submit(check.run)) for check in checks]
        wait([future for _, future in asked], timeout=self._most_seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        return [_row(check, self._found(future)) for check, future in asked]

    def _found(self, future: Future[Finding]) -> Finding:
        if not future.done() or future.cancelled():
            return Finding(f"no answer within {self._most_seconds:.0f} seconds", Level.FAILED)
        error = future.exception()
        if error is None:
            return future.result()
        # Of other errors the type alone is safe to show.
        return Finding(str(error) if isinstance(error, BackupError) else type(error).__name__, Level.FAILED)


def _row(check: Check, found: Finding) -> Json:
    return {
        "name": check.name,
        "level": found.level.value,
        "ok": found.level is not Level.FAILED,
        "detail": redact(found.detail)[:_MOST_DETAIL],
        "remedy": None if found.level is Level.OK else found.remedy or check.remedy,
    }


def worst(rows: Iterable[Json]) -> Level:
    """The worst level among rows of `check`."""
    levels = {str(row["level"]) for row in rows}
    return next((level for level in (Level.FAILED, Level.WARNING) if level.value in levels), Level.OK)
