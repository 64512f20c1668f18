"""Differences: whatever the texts, the blocks lead from one to the other, and so does the unified diff."""

from __future__ import annotations

import re
from difflib import Match, SequenceMatcher
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.differences import MOST_LINES, MOST_STEPS, blocks, counts, unified

LINES = st.lists(st.sampled_from(["", "a", "b", "c", "+x", "-y", " z", "@@ -1 +1 @@", "\\"]), max_size=40)
HEADER = re.compile(r"@@ -(\d+),(\d+) \+(\d+),(\d+) @@")


def _applied(a: list[str], diff: str) -> list[str]:
    """What a unified diff makes of `a`, read by its own counts."""
    if not diff:
        return a
    lines = diff.removesuffix("\n").split("\n")[2:]
    result: list[str] = []
    at = position = 0
    while position < len(lines):
        found = HEADER.fullmatch(lines[position])
        assert found, lines[position]
        start, old, _, new = map(int, found.groups())
        begin = start - 1 if old else start
        result += a[at:begin]
        at, position = begin, position + 1
        seen = [0, 0]
        while seen != [old, new]:
            mark, text = lines[position][0], lines[position][1:]
            assert mark in " -+"
            if mark != "+":
                assert a[at] == text
                at += 1
            if mark != "-":
                result.append(text)
            seen = [seen[0] + (mark != "+"), seen[1] + (mark != "-")]
            position += 1
    return result + a[at:]


@given(LINES, LINES)
def test_blocks_lead_from_one_text_to_the_other(a: list[str], b: list[str]) -> None:
    found = blocks(a, b)
    assert [line for block in found for line in a[block.a_from : block.a_to]] == a
    assert [line for block in found for line in b[block.b_from : block.b_to]] == b
    assert all(a[x.a_from : x.a_to] == b[x.b_from : x.b_to] for x in found if x.tag == "equal")
    added, removed = counts(found)
    assert len(b) - len(a) == added - removed


@given(LINES, LINES)
def test_a_unified_diff_applied_to_the_first_text_gives_the_second(a: list[str], b: list[str]) -> None:
    diff = unified(a, b, "before", "after")
    assert _applied(a, diff) == b
    assert (diff == "") == (a == b)


def test_a_change_keeps_three_lines_around_it() -> None:
    text = [str(n) for n in range(20)]
    changed = [*text[:10], "new", *text[11:]]
    assert unified(text, changed, "a", "b").split("\n")[2] == "@@ -8,7 +8,7 @@"


def test_texts_too_large_to_compare_are_replaced_between_their_common_ends() -> None:
    a = ["same", *(f"a{n}" for n in range(MOST_LINES)), "end"]
    b = ["same", *(f"b{n}" for n in range(MOST_LINES)), "end"]
    assert [block.tag for block in blocks(a, b)] == ["equal", "replace", "equal"]
    assert [block.coarse for block in blocks(a, b)] == [False, True, False]
    assert counts(blocks(a, b)) == (MOST_LINES, MOST_LINES)


def test_a_label_cannot_break_the_header() -> None:
    assert unified(["a"], ["b"], "x\n+++ y", "z\r").split("\n")[:2] == ["--- x +++ y", "+++ z "]


@pytest.mark.parametrize("factor", [37, 7, 1])
def test_many_equal_lines_in_another_order_are_compared_in_bounded_steps(
    monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    """Each line stands in a hundred places of the other text."""
    looked_at = 0
    find = SequenceMatcher.find_longest_match

    def counted(self: Any, alo: int, ahi: int, blo: int, bhi: int) -> Match:
        nonlocal looked_at
        looked_at += sum(len(self.b2j.get(line, ())) for line in self.a[alo:ahi])
        return find(self, alo, ahi, blo, bhi)

    monkeypatch.setattr(SequenceMatcher, "find_longest_match", counted)
    a, b = ([str(n * k % 100) for n in range(9_000)] for k in (1, factor))
    found = blocks(a, b)
    assert looked_at <= MOST_STEPS
    assert [line for block in found for line in b[block.b_from : block.b_to]] == b
    assert all(a[x.a_from : x.a_to] == b[x.b_from : x.b_to] for x in found if x.tag == "equal")
    assert any(block.coarse for block in found) == (factor != 1)


def test_a_large_notebook_of_work_is_compared_line_by_line() -> None:
    a = [f"line {n}" if n % 4 else "" for n in range(9_000)]
    b = [f"changed {n}" if n % 50 == 1 else line for n, line in enumerate(a)]
    found = blocks(a, b)
    assert counts(found)[0] == sum(n % 50 == 1 for n in range(9_000))
    assert not any(block.coarse for block in found)
