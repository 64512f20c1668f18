"""Threat model and security review: every test that they name is there, and every row of the model names one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = (ROOT / "docs/threat-model.md").read_text()
REVIEW = (ROOT / "docs/security-review.md").read_text()


def _tests() -> set[str]:
    return {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }


def _rows() -> list[list[str]]:
    lines = [line for line in MODEL.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if not line.startswith("| tries")]


def test_every_named_test_is_there() -> None:
    named = [set(re.findall(r"`(test_\w+)`", text)) for text in (MODEL, REVIEW)]
    assert [len(names) >= most for names, most in zip(named, (40, 10), strict=True)] == [True, True]
    assert sorted(set().union(*named) - _tests()) == []


def test_every_row_says_what_stops_it_and_names_its_test() -> None:
    rows = _rows()
    assert len(rows) >= 25
    assert [row for row in rows if len(row) != 3 or "`test_" not in row[2]] == []
