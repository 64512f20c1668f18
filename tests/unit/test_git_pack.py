"""A pack of a few kilobytes that inflates to gigabytes takes no more memory than it may."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.adapters.git_pack import blobs_of
from shared.domain.blob_ids import blob_id

MOST = 2**20
BLOB, OFFSET_DELTA, ID_DELTA = 3, 6, 7
BASE = b"shared by all\n" * 100


def _varint(value: int) -> bytes:
    parts = [value & 0x7F]
    while value := value >> 7:
        parts[-1] |= 0x80
        parts.append(value & 0x7F)
    return bytes(parts)


def _entry(kind: int, data: bytes, *, says: int | None = None, base: bytes = b"") -> bytes:
    size = len(data) if says is None else says
    head = kind << 4 | size & 15
    rest = _varint(size >> 4) if size >> 4 else b""
    return bytes([head | (0x80 if rest else 0)]) + rest + base + zlib.compress(data)


def _pack(*entries: bytes, count: int | None = None) -> bytes:
    body = struct.pack(">4sII", b"PACK", 2, len(entries) if count is None else count) + b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _delta(base: bytes, times: int, says: int | None = None) -> bytes:
    """The base so many times: four bytes each."""
    copy = bytes([0x80 | 0x10 | 0x20, *struct.pack("<H", len(base))])
    return _varint(len(base)) + _varint(len(base) * times if says is None else says) + copy * times


@contextmanager
def _little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 8 * MOST
    finally:
        tracemalloc.stop()


def test_blobs_and_deltas_of_them_come_whole() -> None:
    plain, base = _entry(BLOB, b"other"), _entry(BLOB, BASE)
    near = _entry(OFFSET_DELTA, _delta(BASE, 2), base=bytes([len(base)]))
    far = _entry(ID_DELTA, _delta(BASE, 3), base=bytes.fromhex(blob_id(BASE)))
    contents = [b"other", BASE, BASE * 2, BASE * 3]
    assert blobs_of(_pack(plain, far, base, near), MOST) == {blob_id(data): data for data in contents}


@pytest.mark.parametrize("says", [None, 5, MOST])
def test_a_blob_that_inflates_to_more_than_it_may_is_not_inflated(says: int | None) -> None:
    pack = _pack(_entry(BLOB, bytes(64 * MOST), says=says))
    assert len(pack) < MOST
    with _little_memory(), pytest.raises(ValueError, match=r"too much|another size"):
        blobs_of(pack, MOST)


@pytest.mark.parametrize("says", [None, 5])
def test_a_delta_that_copies_its_base_many_times_is_not_made(says: int | None) -> None:
    base = _entry(BLOB, BASE)
    pack = _pack(base, _entry(OFFSET_DELTA, _delta(BASE, 50_000, says), base=bytes([len(base)])))
    assert len(pack) < MOST
    with _little_memory(), pytest.raises(Exception, match=r".") as caught:
        blobs_of(pack, MOST)
    assert not isinstance(caught.value, MemoryError)


@pytest.mark.parametrize(
    "pack",
    [
        _pack(_entry(BLOB, b"one"), count=2**32 - 1),
        _pack(_entry(BLOB, b"one"), count=2),
        _pack(_entry(BLOB, b"one")) + b"more",
        _pack(_entry(1, b"a commit")),
        _pack(_entry(ID_DELTA, _delta(BASE, 1), base=bytes(20))),
        b"PACK",
        b"",
    ],
)
def test_what_is_no_pack_of_blobs_is_refused(pack: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error, zlib.error)):
        blobs_of(pack, MOST)
