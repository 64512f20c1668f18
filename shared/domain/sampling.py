"""The rotating sample: which notebooks are read in full on a day, so that each has its turn in a set time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import date

from shared.domain.manifest import ManifestEntry


def sample(entries: Iterable[ManifestEntry], day: date, days: int) -> list[ManifestEntry]:
    """The entries whose turn it is: any `days` days in a row cover every path once."""
    turn = day.toordinal() % days
    return [e for e in entries if zlib.crc32(e.path.encode("utf-8", "surrogatepass")) % days == turn]
