"""One adaptive rate for all workers of the process: it settles just under what the workspace accepts.

The workspace's ceiling is not published. The rate doubles from its start until the first refusal; the
calls accepted between two refusals then tell the ceiling, the rate goes just below it and creeps up again.
"""

from __future__ import annotations

import threading
from collections import deque

from shared.clock import Clock

DOUBLING_SECONDS = 0.15
BACK_OFF = 0.985
CREEP_SHARE_PER_SECOND = 0.001
REFUSAL_QUIET_SECONDS = 0.5
WINDOW_SECONDS = 2.0


class AdaptiveLimiter:
    """Hands out permits for calls; `refused` and `accepted` tell it what became of them. Thread-safe."""

    def __init__(
        self, clock: Clock, *, start_per_second: float = 30.0, max_per_second: float = 2000.0, max_in_flight: int = 48
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(max_in_flight)
        self._rate, self._ceiling = min(start_per_second, max_per_second), max_per_second
        self._next_at = self._changed_at = clock.monotonic()
        self._slow_start = True
        self._last_refusal = float("-inf")
        self._accepted: deque[float] = deque()
        self._paused_until = float("-inf")

    @property
    def rate(self) -> float:
        """Calls a second that are let through now."""
        with self._lock:
            return self._rate

    def acquire(self) -> None:
        """Wait for a slot and for this call's turn."""
        self._slots.acquire()
        with self._lock:
            now = self._clock.monotonic()
            self._grow(now)
            turn = max(self._next_at, self._paused_until, now - 1 / self._rate)
            self._next_at = turn + 1 / self._rate
        self._clock.sleep(turn - now)

    def release(self) -> None:
        """Give the slot back; call it whatever became of the call."""
        self._slots.release()

    def accepted(self) -> None:
        """The call was not refused."""
        with self._lock:
            now = self._clock.monotonic()
            self._accepted.append(now)
            while self._accepted[0] < now - WINDOW_SECONDS:
                self._accepted.popleft()

    def refused(self, retry_after_seconds: float | None) -> None:
        """The call was throttled. Refusals of calls that were under way together count once."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._last_refusal < REFUSAL_QUIET_SECONDS:
                return
            since = max(self._last_refusal, now - WINDOW_SECONDS)
            self._last_refusal = now
            self._rate = max(self._estimate(now, since) * BACK_OFF, 0.5)
            self._slow_start = False
            self._changed_at = now
            # A pause lets the calls that are already waiting start again at the new rate.
            self._paused_until = now + min(retry_after_seconds or 0.0, 2 / self._rate)
            self._next_at = max(self._paused_until, now + 1 / self._rate)

    def _estimate(self, now: float, since: float) -> float:
        seen = [at for at in self._accepted if at > since]
        if self._slow_start or len(seen) < 5 or now - since > WINDOW_SECONDS:
            return self._rate / 2 if self._slow_start else self._rate
        return min(self._rate, (len(seen) - 1) / max(seen[-1] - seen[0], 0.001))

    def _grow(self, now: float) -> None:
        elapsed = now - self._changed_at
        if elapsed <= 0:
            return
        share = 2 ** (elapsed / DOUBLING_SECONDS) if self._slow_start else 1 + CREEP_SHARE_PER_SECOND * elapsed
        self._rate = min(self._rate * share, self._ceiling)
        self._changed_at = now
