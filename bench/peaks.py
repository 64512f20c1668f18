"""The highest of a figure that is sampled while something runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Self

import psutil


class Peak:
    """Samples `measure`, in MiB, every so many seconds while it is entered; `megabytes` is the highest so far."""

    def __init__(self, measure: Callable[[], float], every_seconds: float) -> None:
        self.megabytes = 0.0
        self._measure, self._every_seconds = measure, every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._every_seconds):
            with contextlib.suppress(psutil.Error):
                self.megabytes = max(self.megabytes, round(self._measure(), 1))


def family_megabytes(pid: int) -> float:
    """Resident memory of a process and of all below it, together. Raises `psutil.Error` where it has ended."""
    root = psutil.Process(pid)
    return sum(map(_megabytes, [root, *root.children(recursive=True)]))


def git_megabytes() -> float:
    """Resident memory of the largest git below this process."""
    return max((_megabytes(p, "git") for p in psutil.Process().children(recursive=True)), default=0.0)


def _megabytes(process: psutil.Process, name_begins: str = "") -> float:
    """0 where it has ended, or is called otherwise."""
    with contextlib.suppress(psutil.Error):
        if process.name().startswith(name_begins):
            return float(process.memory_info().rss) / 2**20
    return 0.0
