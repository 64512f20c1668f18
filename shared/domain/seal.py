"""Seals: a hash that binds a stored blob's bytes to its name, so that a flipped, cut or swapped one is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def seal(name: str, parts: Iterable[bytes]) -> str:
    """SHA-256 in hex over the blob's name, a NUL, and its bytes."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass") + b"\0")
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
