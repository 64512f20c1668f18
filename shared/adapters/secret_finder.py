"""Secrets in notebooks: well-known token shapes, found in time that is linear in a notebook whatever it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from shared.adapters.token_shapes import CHOSEN_KINDS, SHAPES, Searched, Shape, TooManyPlaces, may_hold_any, places
from shared.protocols import MOST_FOUND_SECRETS, FoundSecret

_FEWEST_MADE = 20
"""Characters of a secret that nobody tries all of: shorter ones may be chosen, or cut."""


class TokenShapes:
    """See `shared.protocols.SecretFinder`."""

    def find(self, data: bytes) -> list[FoundSecret]:
        """See `SecretFinder.find`."""
        if not may_hold_any(data):
            return []
        notebook = Searched.of(data)
        found = dict.fromkeys(secret for shape in SHAPES for secret in _of(shape, notebook))
        return sorted(found, key=lambda secret: secret.line)[:MOST_FOUND_SECRETS]


def _of(shape: Shape, notebook: Searched) -> Iterator[FoundSecret]:
    counted, line = 0, 1
    try:
        for offset, secret in places(shape, notebook, MOST_FOUND_SECRETS):
            line += _line_ends(shape, notebook, counted, offset)
            counted = offset
            yield FoundSecret(shape.kind, line, _fingerprint(shape.kind, secret))
    except TooManyPlaces as error:
        line += _line_ends(shape, notebook, counted, error.offset)
        yield FoundSecret(f"{shape.kind}, or too much like it to look at all", line)


def _line_ends(shape: Shape, notebook: Searched, start: int, end: int) -> int:
    return notebook.text.count("\n", start, end) if shape.in_text else notebook.data.count(b"\n", start, end)


def _fingerprint(kind: str, secret: str) -> str | None:
    """64 bits of SHA-256 over kind and secret; none where it would confirm a guess."""
    if kind in CHOSEN_KINDS or len(secret) < _FEWEST_MADE:
        return None
    return hashlib.sha256(f"{kind}\0{secret}".encode()).hexdigest()[:16]
