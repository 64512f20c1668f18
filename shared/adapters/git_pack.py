"""The blobs of a small pack, inflated within a bound: what a pack says of its sizes is not believed.

A few hundred kilobytes can inflate to gigabytes, by zlib alone or by deltas that copy one base many times. The
format is in https://git-scm.com/docs/pack-format.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from dulwich.pack import apply_delta

from shared.domain.blob_ids import blob_id

_HEADER = struct.Struct(">4sII")
_BLOB, _OFFSET_DELTA, _ID_DELTA = 3, 6, 7
_ID_BYTES, _TRAILER_BYTES = 20, 20
_VERSION = 2
_READ_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object as the pack has it; `base` is an offset or an id where `data` is a delta."""

    offset: int
    data: bytes
    base: int | str | None


def blobs_of(pack: bytes, most_bytes: int) -> dict[str, bytes]:
    """The blobs of a pack by id, where all that is inflated, deltas included, has at most `most_bytes`.

    Raises `ValueError`, `zlib.error` or `IndexError` where it has more, is cut, or holds anything else.
    """
    return _Reading(pack, most_bytes).blobs()


class _Reading:
    def __init__(self, pack: bytes, most_bytes: int) -> None:
        self._pack, self._left = memoryview(pack), most_bytes
        self._at = 0

    def blobs(self) -> dict[str, bytes]:
        word, version, count = _HEADER.unpack_from(self._pack)
        # An entry has more than two bytes: a count that is made up ends here.
        if (word, version) != (b"PACK", _VERSION) or count > len(self._pack):
            raise ValueError("no pack")
        self._at = _HEADER.size
        waiting = [self._entry() for _ in range(count)]
        if self._at + _TRAILER_BYTES != len(self._pack):
            raise ValueError("a pack that does not end where it should")
        known: dict[int | str, bytes] = {}
        while waiting:
            ready = [e for e in waiting if e.base is None or e.base in known]
            if not ready:
                raise ValueError("a delta without its base")
            for entry in ready:
                content = entry.data if entry.base is None else self._made(entry.data, known[entry.base])
                known[entry.offset] = known[blob_id(content)] = content
            waiting = [e for e in waiting if e not in ready]
        return {name: content for name, content in known.items() if isinstance(name, str)}

    def _entry(self) -> _Entry:
        offset, first = self._at, self._byte()
        kind, size = (first >> 4) & 7, first & 15
        if first & 0x80:
            size |= self._number() << 4
        base: int | str | None = None
        if kind == _OFFSET_DELTA:
            base = offset - self._distance()
        elif kind == _ID_DELTA:
            base = self._pack[self._at : self._at + _ID_BYTES].hex()
            self._at += _ID_BYTES
        elif kind != _BLOB:
            raise ValueError("an object that is no blob")
        return _Entry(offset, self._inflated(size), base)

    def _inflated(self, size: int) -> bytes:
        """The next zlib stream, which has to give as many bytes as its entry says."""
        self._take(size)
        stream, parts, length = zlib.decompressobj(), [], 0
        while not stream.eof:
            some = self._pack[self._at : self._at + _READ_BYTES]
            if not some:
                raise ValueError("a pack that is cut")
            given = bytes(some)
            while given and not stream.eof:
                parts.append(stream.decompress(given, size - length + 1))
                length += len(parts[-1])
                if length > size:
                    raise ValueError("an object of another size than it says")
                given = stream.unconsumed_tail
            self._at += len(some) - len(stream.unused_data)
        if length != size:
            raise ValueError("an object of another size than it says")
        return b"".join(parts)

    def _made(self, delta: bytes, base: bytes) -> bytes:
        _, at = _number(delta, 0)
        self._take(_number(delta, at)[0])
        return b"".join(apply_delta(base, delta))

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError("a pack that inflates to too much")

    def _byte(self) -> int:
        value = self._pack[self._at]
        self._at += 1
        return value

    def _number(self) -> int:
        value, self._at = _number(self._pack, self._at)
        return value

    def _distance(self) -> int:
        byte = self._byte()
        value = byte & 0x7F
        while byte & 0x80:
            byte = self._byte()
            value = ((value + 1) << 7) | (byte & 0x7F)
        return value


def _number(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
