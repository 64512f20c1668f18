"""Sizes as people read them."""

from __future__ import annotations

_UNITS = ((2**40, "TB"), (2**30, "GB"), (2**20, "MB"), (2**10, "KB"))


def size_text(size: float) -> str:
    """Bytes as people read them."""
    sign, size = ("−", -size) if size < 0 else ("", size)
    for unit, word in _UNITS:
        if size >= unit:
            return f"{sign}{size / unit:.1f} {word}"
    return f"{sign}{size:.0f} B"
