"""Objects of a mirror by their ids, from one git process: sizes before contents, contents one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from shared.adapters.git_mirror import GitMirror
from shared.errors import RepositoryError


class GitObjects:
    """Reads what is there in `environment`, which says where objects are and that none is to be fetched."""

    def __init__(self, mirror: GitMirror, environment: Mapping[str, str]) -> None:
        self._mirror, self._environment = mirror, {**environment, **mirror.bounded_memory}

    def sizes(self, ids: Iterable[str]) -> list[tuple[str, int]]:
        """Ids with the bytes that each object has, which are not inflated. Raises `RepositoryError`."""
        with self._mirror.process("cat-file", "--batch-check", environment=self._environment) as (_, given, told):
            found = []
            for name in ids:
                given.write(f"{name}\n".encode())
                given.flush()
                found.append((name, _size(name, told.readline())))
        return found

    def read(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Objects' bytes, one at a time. Raises `RepositoryError`."""
        with self._mirror.process("cat-file", "--batch", environment=self._environment) as (_, given, told):
            for name in ids:
                given.write(f"{name}\n".encode())
                given.flush()
                data = told.read(_size(name, told.readline()))
                told.read(1)
                yield name, data


def _size(name: str, line: bytes) -> int:
    header = line.split()
    if len(header) != 3:
        raise RepositoryError(action="read a blob", detail=f"the remote does not hold {name}")
    return int(header[2])
