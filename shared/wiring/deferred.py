"""Adapters that are made when they are first used: what they are built on takes long to load."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast


class _Deferred:
    def __init__(self, make: Callable[[], object]) -> None:
        self._make, self._lock = make, threading.RLock()
        self._made: object | None = None

    def __getattr__(self, name: str) -> Any:
        # Only what the stand-in itself does not have comes here.
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


def deferred[T](make: Callable[[], T]) -> T:
    """Stands for what `make` makes, once, at the first use of any of it. What `make` raises, that use raises."""
    return cast("T", _Deferred(make))
