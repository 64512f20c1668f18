"""A tap sees each call of each adapter before and after it, and may raise, change the answer, or end the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from shared.wiring import Adapters

PORTS = (
    *("workspace", "restoring", "repository", "reader", "meter", "blobs", "queue", "tables", "changes", "mailer"),
    *("vault", "databricks_tokens", "git_tokens", "branches", "tags", "git_folders", "pull_requests"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the adapter's name in `Adapters`, the method, and its arguments as text to match on."""

    port: str
    method: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.port}.{self.method}({', '.join(map(str, self.arguments))})"


class Tap(Protocol):
    """What is told of each call."""

    def before(self, call: Call) -> None:
        """Told before the call; what it raises is the call's outcome, and the call is not made."""
        ...

    def after(self, call: Call, answer: Any) -> Any:
        """Told after the call had its effect; what it returns is the answer, what it raises the outcome."""
        ...


class QuietTap:
    """Lets every call pass; a tap of its own overrides what it needs."""

    def before(self, call: Call) -> None:
        """See `Tap.before`."""
        self.meet("before", call)

    def after(self, call: Call, answer: Any) -> Any:
        """See `Tap.after`."""
        self.meet("after", call)
        return answer

    def meet(self, when: str, call: Call) -> None:
        """Told of each call twice, with `when` either `before` or `after`."""


class _Tapped:
    """An adapter whose every method passes the tap."""

    def __init__(self, port: str, inner: object, tap: Tap) -> None:
        self._port, self._inner, self._tap = port, inner, tap

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return self._calling(name, method) if callable(method) else method

    def _calling(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            made = Call(self._port, name, (*arguments, *options.values()))
            self._tap.before(made)
            if name == "build_commit":
                parent, deletes, writes, *others = arguments
                arguments = (parent, deletes, self._fed(writes), *others)
            answer = method(*arguments, **options)
            # A lazy answer would have its effect after the tap was told.
            lazy = isinstance(answer, Iterator)
            told = self._tap.after(made, list(answer) if lazy else answer)
            return iter(told) if lazy else told

        return call

    def _fed(self, writes: Any) -> Iterator[Any]:
        """The files of a commit, each a call of its own: a process can die between two of them."""
        for write in writes:
            made = Call(self._port, "feed", (write.file,))
            self._tap.before(made)
            yield write
            self._tap.after(made, None)


def tapped(adapters: Adapters, tap: Tap) -> Adapters:
    """The adapters behind a tap; the clock stays as it is."""
    there = [port for port in PORTS if getattr(adapters, port) is not None]
    behind = {port: cast(Any, _Tapped(port, getattr(adapters, port), tap)) for port in there}
    return replace(adapters, **behind)
