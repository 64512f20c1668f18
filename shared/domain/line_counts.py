"""Lines added and removed between two contents of a notebook."""

from __future__ import annotations

import json
from dataclasses import dataclass

from shared.domain.differences import blocks, counts
from shared.domain.notebooks import ExportFormat


@dataclass(frozen=True, slots=True)
class LineCount:
    """Lines added and removed."""

    added: int = 0
    removed: int = 0

    def __add__(self, other: LineCount) -> LineCount:
        return LineCount(self.added + other.added, self.removed + other.removed)


def code_lines(data: bytes, fmt: ExportFormat) -> list[str]:
    """A notebook's lines, each with its line break; of Jupyter the sources of its cells, without outputs."""
    text = data.decode("utf-8", "replace")
    if fmt is not ExportFormat.JUPYTER:
        return _lines(text)
    try:
        cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return _lines(text)
    return [line for cell in cells for line in _lines(cell if cell.endswith("\n") else f"{cell}\n")]


def count_lines(before: list[str], after: list[str]) -> LineCount:
    """How many lines `after` has that `before` has not, and the reverse."""
    return LineCount(*counts(blocks(before, after)))


def _lines(text: str) -> list[str]:
    found = [f"{line}\n" for line in text.split("\n")]
    last = found.pop().removesuffix("\n")
    return [*found, last] if last else found
