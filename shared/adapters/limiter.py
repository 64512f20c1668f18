"""One adaptive rate for all workers of the process: it settles just under what the workspace accepts.

The workspace's ceiling is not published. The rate doubles from its start until the first refusal. From then
on, the calls accepted between two refusals tell the ceiling, since its bucket is empty at both: the rate
goes just below it, and creeps up again until the next refusal.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from shared.clock import Clock

START_PER_SECOND = 60.0
DOUBLING_SECONDS = 0.1
SETTLED_SHARE = 0.985
SURPRISED_SHARE = 0.5
UNSURE_CREEP_PER_SECOND = 0.08
SETTLED_CREEP_PER_SECOND = 0.0008
ECHO_SECONDS = 0.06
"""Refusals this soon after one belong to calls that were under way with it."""
SHORTEST_MEASURE_SECONDS = 0.8
LONGEST_MEASURE_SECONDS = 20.0
QUIET_SECONDS = 25.0
"""So long without a refusal at a settled rate means that the ceiling rose, or was taken for too low."""
LOWEST_RATE = 2.0
SHORTEST_NAP_SECONDS, LONGEST_NAP_SECONDS = 0.0001, 0.02
"""A nap that is shorter than a clock can tell would never end on one that stands still between naps."""


class AdaptiveRate:
    """How many calls a second to make now. Knows no clock and no threads: times are arguments, in seconds."""

    def __init__(self, start: float, ceiling: float, now: float) -> None:
        self.value, self._ceiling = min(start, ceiling), ceiling
        self._grown_at = now
        self._searching, self._creep = True, UNSURE_CREEP_PER_SECOND
        self._echo_until = float("-inf")
        self._anchor: float | None = None
        self._idle = self._idle_at_anchor = 0.0
        self._accepted: deque[float] = deque()

    def grow(self, now: float) -> float:
        """Let time pass; returns the rate."""
        # Time without calls proves nothing about the ceiling.
        gap = now - self._grown_at
        elapsed = min(gap, max(1 / self.value, LONGEST_NAP_SECONDS))
        self._grown_at = now
        self._idle += gap - elapsed
        if elapsed > 0:
            self.value = min(self.value * self._growth(elapsed, now), self._ceiling)
        return self.value

    def _growth(self, elapsed: float, now: float) -> float:
        if self._searching:
            return float(2 ** (elapsed / DOUBLING_SECONDS))
        quiet = now - self._echo_until > QUIET_SECONDS
        return 1 + (UNSURE_CREEP_PER_SECOND if quiet else self._creep) * elapsed

    def accepted(self, now: float) -> None:
        """A call was let through."""
        self._accepted.append(now)
        while self._accepted[0] < now - LONGEST_MEASURE_SECONDS:
            self._accepted.popleft()

    def refused(self, now: float) -> None:
        """A call was throttled."""
        self.grow(now)
        if now < self._echo_until:
            return
        self._echo_until = now + ECHO_SECONDS
        if self._anchor is None or now - self._anchor > LONGEST_MEASURE_SECONDS:
            self._cut(SURPRISED_SHARE if self._searching else SETTLED_SHARE, now)
        elif now - self._anchor >= SHORTEST_MEASURE_SECONDS:
            self.value = min(self.value, self._measured(self._anchor, now, 0))
            self._creep = SETTLED_CREEP_PER_SECOND
            self._cut(SETTLED_SHARE, now)
        else:
            # Too short a time to tell the ceiling well: one call more or less is much of it.
            self.value = min(self.value, self._measured(self._anchor, now, 1))
        self._searching = False
        self.value = max(self.value, LOWEST_RATE)

    def _measured(self, since: float, now: float, error: int) -> float:
        """Calls accepted in a second in which calls were made; `error` is added to their count."""
        busy = now - since - (self._idle - self._idle_at_anchor)
        return (sum(at > since for at in self._accepted) + error) / max(busy, LONGEST_NAP_SECONDS)

    def _cut(self, share: float, now: float) -> None:
        self.value *= share
        self._anchor, self._idle_at_anchor = now, self._idle


class AdaptiveLimiter:
    """Hands out permits for calls; `refused` and `accepted` tell it what became of them. Thread-safe.

    `tell` is told the same, as `accepted` or `refused`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        start_per_second: float = START_PER_SECOND,
        max_per_second: float = 2000.0,
        max_in_flight: int = 48,
        tell: Callable[[str], None] = lambda outcome: None,  # noqa: ARG005 - nobody listens
    ) -> None:
        self._clock, self._tell = clock, tell
        self._slots = threading.BoundedSemaphore(max_in_flight)
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._rate = AdaptiveRate(start_per_second, max_per_second, clock.monotonic())
        self._next_at = clock.monotonic()

    @property
    def rate(self) -> float:
        """Calls a second that are let through now."""
        with self._lock:
            return self._rate.value

    def acquire(self) -> None:
        """Wait for a slot and for this call's turn. One caller at a time waits for the time to come."""
        self._slots.acquire()
        with self._turn:
            while (wait := self._try()) > 0:
                # The rate may rise or fall meanwhile: look again soon.
                self._clock.sleep(min(max(wait, SHORTEST_NAP_SECONDS), LONGEST_NAP_SECONDS))

    def release(self) -> None:
        """Give the slot back; call it whatever became of the call."""
        self._slots.release()

    def accepted(self) -> None:
        """The call was not refused."""
        with self._lock:
            self._rate.accepted(self._clock.monotonic())
        self._tell("accepted")

    def refused(self) -> None:
        """The call was throttled."""
        with self._lock:
            self._rate.refused(self._clock.monotonic())
        self._tell("refused")

    def _try(self) -> float:
        """Take the turn and return 0, or return the seconds that are left until it comes."""
        with self._lock:
            now = self._clock.monotonic()
            interval = 1 / self._rate.grow(now)
            due = min(self._next_at, now + interval)
            if due > now:
                return due - now
            # Being woken late is made up for, by one call at most.
            self._next_at = max(due, now - interval) + interval
            return 0.0
