"""The size of a repository in memory: what its branch holds, without compression and history."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.protocols import RepositorySize, SizeSource


class MemoryMeter:
    """See `shared.protocols.SizeMeter`; `contents` gives the branch's files with their bytes."""

    def __init__(self, contents: Callable[[], Mapping[str, bytes]]) -> None:
        self._contents = contents

    def measure(self, head: str, known: RepositorySize | None) -> RepositorySize:
        """See `SizeMeter.measure`."""
        del head, known
        return RepositorySize(sum(map(len, self._contents().values())), SizeSource.SERVER)
