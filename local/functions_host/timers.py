"""Timer triggers: six-field NCRONTAB schedules in UTC, the last occurrence kept over restarts."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from azure.functions.timer import TimerRequest
from croniter import croniter

_log = logging.getLogger("host.timers")


def next_occurrence(schedule: str, after: datetime) -> datetime:
    """The first time after `after` that an NCRONTAB schedule names (seconds first, 0 is Sunday)."""
    found: datetime = croniter(schedule, after, second_at_beginning=True).get_next(datetime)
    return found


class TimerListener:
    """Runs one timer function at its times, never twice at once; a missed time runs at start as past due."""

    def __init__(
        self,
        name: str,
        schedule: str,
        store: Path,
        run: Callable[[TimerRequest], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._name, self._schedule, self._run, self._now = name, schedule, run, now
        self._store = store / f"{name}.json"
        self._busy = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=f"timer-{name}", daemon=True)

    def start(self) -> None:
        """Begin to keep the schedule."""
        self._thread.start()

    def stop(self) -> None:
        """End after the invocation under way."""
        self._stop.set()
        self._thread.join(10)

    def fire(self, *, past_due: bool = False) -> None:
        """Run now, on demand or because it is time."""
        with self._busy:
            self._keep(self._now())
            try:
                self._run(TimerRequest(past_due=past_due))
            except Exception:  # noqa: BLE001 - the next occurrence comes all the same
                _log.exception("timer %s failed", self._name)

    def due(self) -> datetime:
        """The next time: from the last occurrence that was kept, so that a missed one is seen."""
        return next_occurrence(self._schedule, self._last())

    def _loop(self) -> None:
        while not self._stop.is_set():
            due = self.due()
            wait = (due - self._now()).total_seconds()
            if wait > 0:
                self._stop.wait(min(wait, 60.0))
            else:
                self.fire(past_due=wait < -5)

    def _last(self) -> datetime:
        if self._store.exists():
            return datetime.fromisoformat(json.loads(self._store.read_text())["last"])
        now = self._now()
        self._keep(now)
        return now

    def _keep(self, at: datetime) -> None:
        self._store.parent.mkdir(parents=True, exist_ok=True)
        self._store.write_text(json.dumps({"last": at.isoformat()}))
