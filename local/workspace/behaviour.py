"""How the workspace behaves beside answering: latency, a ceiling on calls, faults, denied folders."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Behaviour:
    """Switches; `update` merges them from a control request.

    `faults` are `{kind, path_prefix?, endpoint?, times?, every?}` with kind `429`, `500`, `503`, `504`,
    `close`, `cut_body`, `error_200` or `echo` (a refusal that repeats the credential); `zip_style` is
    `named`, `bare` or `never`; every `audit_late_every`-th row of the audit table comes `audit_late_seconds` late,
    and a statement's result is ready after `statement_polls` questions;
    `admin` lets the identity read the workspace's own settings, each of which is `conf`;
    with `rename` a folder can be moved by a call, which no public reference promises;
    `throttle_style` is `retry_after`, `plain` or `empty_body`.
    """

    latency_ms: float = 0.0
    ceiling: float = 0.0
    throttle_style: str = "plain"
    zip_style: str = "named"
    audit_late_seconds: float = 0.0
    audit_late_every: int = 3
    statement_polls: int = 0
    admin: bool = False
    conf: str | None = None
    rename: bool = False
    denied: list[str] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def update(self, values: dict[str, Any]) -> None:
        """Merge switches by name. Raises `ValueError` for one that does not exist."""
        for name, value in values.items():
            if name not in self.__slots__:
                raise ValueError(f"no switch is called {name}")
            setattr(self, name, value)

    def fault_for(self, endpoint: str, path: str) -> str | None:
        """The kind of fault that this call meets, used up by being given."""
        for fault in self.faults:
            if fault.get("times") == 0 or fault.get("endpoint", endpoint) != endpoint:
                continue
            if not path.startswith(fault.get("path_prefix", "")):
                continue
            fault["seen"] = fault.get("seen", 0) + 1
            if fault["seen"] % fault.get("every", 1) == 0:
                fault["times"] = fault["times"] - 1 if "times" in fault else -1
                return str(fault["kind"])
        return None

    def denies(self, path: str) -> bool:
        """Whether the path is in a folder that the identity may not read."""
        return any(path == d or path.startswith(f"{d}/") for d in self.denied)


class Ceiling:
    """Calls a second with a burst of a tenth of a second, as a leaking bucket."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._free_at = monotonic, 0.0

    def admits(self, per_second: float) -> bool:
        """Whether one more call is let through now; 0 means no ceiling."""
        if per_second <= 0:
            return True
        now = self._monotonic()
        if self._free_at - now > max(0.1, 1 / per_second):
            return False
        self._free_at = max(self._free_at, now) + 1 / per_second
        return True


@dataclass(slots=True)
class Stats:
    """Counts since the start or the last reset."""

    calls: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    def as_json(self) -> dict[str, Any]:
        """The counts by name."""
        return {
            "calls": dict(self.calls),
            "total": sum(self.calls.values()),
            "refused": self.refused,
            "faults": dict(self.faults),
            "most_in_flight": self.most_in_flight,
        }
