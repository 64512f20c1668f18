"""Measuring and tracing, as the services see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Telemetry(Protocol):
    """Takes figures of the metrics in `shared.domain.metrics`; a name that is not there is a `KeyError`.

    No method waits for anything or raises for what lies outside of the process.
    """

    def count(self, name: str, amount: int = 1, **attributes: str) -> None:
        """Add to a counter."""
        ...

    def record(self, name: str, value: float, **attributes: str) -> None:
        """Add a value to a histogram."""
        ...

    def gauge(self, name: str, value: float, **attributes: str) -> None:
        """Set a value that stands until it is set again."""
        ...

    def span(self, name: str, run_id: str = "") -> AbstractContextManager[None]:
        """Time a piece of work; what is logged within carries its name and `run_id`. One run has one trace."""
        ...

    def flush(self) -> None:
        """Hand over what was taken so far: a serverless process may be frozen after this."""
        ...


class NoTelemetry:
    """See `Telemetry`: takes nothing."""

    def count(self, name: str, amount: int = 1, **attributes: str) -> None:
        """See `Telemetry.count`."""

    def record(self, name: str, value: float, **attributes: str) -> None:
        """See `Telemetry.record`."""

    def gauge(self, name: str, value: float, **attributes: str) -> None:
        """See `Telemetry.gauge`."""

    @contextmanager
    def span(self, name: str, run_id: str = "") -> Iterator[None]:  # noqa: ARG002 - the protocol's argument
        """See `Telemetry.span`."""
        yield

    def flush(self) -> None:
        """See `Telemetry.flush`."""
