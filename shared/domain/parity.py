"""A full copy beside the Git backup of the same day: what differs, and what explains a difference.

A difference is explained where the two hold the same notebook, written down in another way: line ends, a byte order
mark, the last line's end, the first line of a SOURCE export, another export format, or outputs. It is counted and
named all the same.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import combinations

from shared.domain.notebooks import ExportFormat, Language
from shared.domain.volume import BOM, COMMENTS, header


class Difference(StrEnum):
    """How a notebook differs. `MISSING` is what the copy has and Git lacks, `EXTRA` the reverse."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"
    UNREAD = "unread"


class Explanation(StrEnum):
    """Why two writings of one notebook differ."""

    BYTE_ORDER_MARK = "byte_order_mark"
    LINE_ENDS = "line_ends"
    LAST_LINE_END = "last_line_end"
    HEADER = "header"
    FORMAT = "format"
    OUTPUTS = "outputs"
    NAME_NORMALISED = "name_normalised"
    OTHER_TIME = "other_time"


@dataclass(frozen=True, slots=True)
class Finding:
    """One notebook that differs; `explanations` is empty where nothing explains it."""

    path: str
    difference: Difference
    explanations: tuple[Explanation, ...] = ()
    detail: str = ""

    @property
    def is_explained(self) -> bool:
        """Whether both hold the same, written down in another way or at another time."""
        return bool(self.explanations)


@dataclass(frozen=True, slots=True)
class Compared:
    """A day whose copy was compared. `agreed`: nothing differs that is not explained."""

    day: date
    agreed: bool


@dataclass(frozen=True, slots=True)
class Streak:
    """Since when every comparison agreed: its first day, how many were compared, and days without a comparison."""

    since: date
    compared: int
    gaps: int


def same_name(path: str) -> str:
    """A path as a file system that normalises names gives it back."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def explain(
    copy: tuple[bytes, ExportFormat], backup: tuple[bytes, ExportFormat], language: Language
) -> tuple[Explanation, ...]:
    """The fewest reasons for which two writings of one notebook differ; none where they hold something else."""
    (mine, my_format), (theirs, their_format) = copy, backup
    if my_format is their_format is ExportFormat.SOURCE:
        return _reasons(mine, theirs, language)
    left, right = cells(mine, my_format, language), cells(theirs, their_format, language)
    if left is None or left != right:
        return ()
    return (Explanation.OUTPUTS,) if my_format is their_format else (Explanation.FORMAT,)


def cells(data: bytes, fmt: ExportFormat, language: Language) -> list[str] | None:
    """The texts of a notebook's cells, empty ones left out, the same from either format; None where it is neither.

    SOURCE separates cells by `COMMAND ----------`, and writes a cell in another language line by line behind `MAGIC`.
    """
    text = data.removeprefix(BOM).decode("utf-8", "replace").replace("\r\n", "\n")
    if fmt is ExportFormat.JUPYTER:
        found = _jupyter_cells(text)
    else:
        mark = COMMENTS[language]
        body = text.removeprefix(header(language).decode())
        found = [_unwrapped(part, mark) for part in body.split(f"{mark} COMMAND ----------")]
    return None if found is None else [cell for cell in (_plain(c) for c in found) if cell]


def streak(days: Iterable[Compared]) -> Streak | None:
    """Since when both agreed, from the newest comparison back; None where the newest does not agree."""
    ordered = sorted(days, key=lambda d: d.day)
    agreed: list[date] = []
    while ordered and ordered[-1].agreed:
        agreed.append(ordered.pop().day)
    if not agreed:
        return None
    span = (agreed[0] - agreed[-1]) // timedelta(1) + 1
    return Streak(agreed[-1], len(agreed), span - len(agreed))


def _reasons(mine: bytes, theirs: bytes, language: Language) -> tuple[Explanation, ...]:
    def without_header(data: bytes) -> bytes:
        first, _, rest = data.partition(b"\n")
        return rest if first.rstrip(b"\r ") == header(language) else data

    steps: Sequence[tuple[Explanation, Callable[[bytes], bytes]]] = (
        (Explanation.BYTE_ORDER_MARK, lambda data: data.removeprefix(BOM)),
        (Explanation.LINE_ENDS, lambda data: data.replace(b"\r\n", b"\n")),
        (Explanation.HEADER, without_header),
        (Explanation.LAST_LINE_END, lambda data: data.rstrip(b"\r\n")),
    )
    for many in range(1, len(steps) + 1):
        for chosen in combinations(steps, many):
            left, right = mine, theirs
            for _, step in chosen:
                left, right = step(left), step(right)
            if left == right:
                return tuple(reason for reason, _ in chosen)
    return ()


def _jupyter_cells(text: str) -> list[str] | None:
    try:
        return ["".join(cell.get("source") or []) for cell in json.loads(text)["cells"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _unwrapped(part: str, mark: str) -> str:
    """A cell's own text: without the title line, and without what marks each line of another language."""
    lines = [line for line in part.strip().split("\n") if not line.startswith(f"{mark} DBTITLE ")]
    magic = f"{mark} MAGIC"
    if lines and all(line.startswith(magic) for line in lines):
        lines = [line.removeprefix(magic).removeprefix(" ") for line in lines]
    return "\n".join(lines)


def _plain(cell: str) -> str:
    """Jupyter holds a text cell without the command that SOURCE begins it with."""
    stripped = cell.strip()
    for command in ("%md-sandbox", "%md"):
        if stripped.startswith(command):
            return stripped.removeprefix(command).strip()
    return stripped
