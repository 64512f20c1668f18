"""CSV for spreadsheets."""

from __future__ import annotations

import csv
import io

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(text: str) -> str:
    """A text that no spreadsheet runs: what begins as a formula does has a `'` before it."""
    return f"'{text}" if text.lstrip(" \xa0").startswith(_FORMULA) else text


def line(cells: list[str]) -> bytes:
    """A line in UTF-8; a surrogate without its partner is written as its escape."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode("utf-8", "backslashreplace")
