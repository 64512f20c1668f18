"""How many requests a caller may send: a bucket of tokens for each, in the memory of one instance."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

from shared.clock import Clock
from shared.domain.access import Pace

MOST_CALLERS = 10_000
"""Buckets in memory; of more, the one that was used longest ago is forgotten."""
SHARES = {Pace.READ: 1, Pace.COSTLY: 4, Pace.CHANGE: 10}
"""By how much less often requests of a pace are allowed: each pace has a bucket of its own."""
SECONDS_A_MINUTE = 60.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RequestRate:
    """`a_minute` requests of each caller, as many at once after a pause. An app on N instances allows N times that."""

    def __init__(self, clock: Clock, a_minute: int) -> None:
        self._clock, self._most = clock, float(a_minute)
        self._buckets: OrderedDict[tuple[str, Pace], _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many callers are counted."""
        return len(self._buckets)

    def wait(self, key: str, pace: Pace) -> int:
        """Take a token; 0, or the whole seconds until there is one."""
        now, most = self._clock.monotonic(), max(self._most / SHARES[pace], 1.0)
        rate = most / SECONDS_A_MINUTE
        with self._lock:
            bucket = self._buckets.pop((key, pace), None) or _Bucket(most, now)
            self._buckets[key, pace] = bucket
            if len(self._buckets) > MOST_CALLERS:
                self._buckets.popitem(last=False)
            bucket.tokens, bucket.at = min(most, bucket.tokens + (now - bucket.at) * rate), now
            if bucket.tokens < 1:
                return math.ceil((1 - bucket.tokens) / rate)
            bucket.tokens -= 1
        return 0
