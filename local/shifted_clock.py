"""The machine's clock, ahead by as many seconds as a file says: days pass in a real system without waiting for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from shared.clock import SystemClock


class ShiftedClock(SystemClock):
    """See `shared.clock.Clock`. Processes that read one file share one time; it only goes forward."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def now(self) -> datetime:
        """See `Clock.now`."""
        return super().now() + timedelta(seconds=self.ahead())

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return super().monotonic() + self.ahead()

    def ahead(self) -> float:
        """By how many seconds it is ahead; not at all where there is no file."""
        try:
            return float(self._file.read_text())
        except FileNotFoundError:
            return 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass, for every process at once."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(self.ahead() + seconds))
        fresh.replace(self._file)
