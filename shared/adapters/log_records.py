"""Structured logs: each record with the function and the run that it belongs to, as one line of JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from shared.redaction import redact

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "bound"}
_NOTHING: Mapping[str, str] = MappingProxyType({})
_bound: ContextVar[Mapping[str, str]] = ContextVar("bound", default=_NOTHING)


@contextmanager
def bound(**values: str) -> Iterator[None]:
    """Have what is logged within carry these values, those that are empty left out."""
    token = _bound.set({**_bound.get(), **{name: value for name, value in values.items() if value}})
    try:
        yield
    finally:
        _bound.reset(token)


def bind_records() -> None:
    """Have every log record of the process carry what is bound where it is made."""
    factory = logging.getLogRecordFactory()
    if getattr(factory, "binds", False):
        return

    def make(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = factory(*arguments, **options)
        record.bound = _bound.get()
        return record

    make.binds = True  # type: ignore[attr-defined]
    make.redacts = getattr(factory, "redacts", False)  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make)


def fields(record: logging.LogRecord) -> dict[str, str | int | float | bool]:
    """What a record carries beside its message: what was bound, then its own `extra`."""
    own = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    found = {**getattr(record, "bound", {}), **own}
    plain = (str, int, float, bool)
    return {n: v if isinstance(v, plain) and not isinstance(v, str) else redact(str(v)) for n, v in found.items()}


class JsonFormatter(logging.Formatter):
    """One line of JSON a record: `time` (UTC), `level`, `logger`, `message`, its fields, and `error` with traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            **fields(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_text or redact(self.formatException(record.exc_info))
        return json.dumps(line)


def write_json() -> None:
    """Have the process's console, and the platform's own handler, write JSON."""
    for handler in logging.getLogger().handlers:
        kind = type(handler)
        if kind is logging.StreamHandler or kind.__module__.startswith(("azure_functions", "proxy_worker")):
            handler.setFormatter(JsonFormatter())
