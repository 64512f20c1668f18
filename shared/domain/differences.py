"""Differences between two texts: by line, bounded in work, as a unified diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

MOST_LINES = 20_000
"""Texts that differ in more lines than this between their common ends are shown as wholly replaced there."""
MOST_STEPS = 5_000_000
"""Pairs of lines that are looked at: one or two seconds' work. What has not been compared by then is shown as replaced.

Notebooks of work take thousands, those of ten thousand lines about two million; equal lines in another order more.
"""
CONTEXT_LINES = 3


@dataclass(frozen=True, slots=True)
class Block:
    """Lines `a[a_from:a_to]` beside `b[b_from:b_to]`; `tag` is `equal`, `replace`, `delete` or `insert`.

    What is `coarse` was taken as replaced without a look at each of its lines: some of them may be the same.
    """

    tag: str
    a_from: int
    a_to: int
    b_from: int
    b_to: int
    coarse: bool = False


def blocks(a: Sequence[str], b: Sequence[str]) -> list[Block]:
    """How `a` becomes `b`, in order and without gaps."""
    start = _common(a, b)
    end = _common(a[start:][::-1], b[start:][::-1])
    low, a_high, b_high = start, len(a) - end, len(b) - end
    found = [Block("equal", 0, start, 0, start)] if start else []
    found += _inner(a[low:a_high], b[low:b_high], low)
    return [*found, Block("equal", a_high, len(a), b_high, len(b))] if end else found


def counts(found: Sequence[Block]) -> tuple[int, int]:
    """Lines added and removed."""
    changed = [block for block in found if block.tag != "equal"]
    return sum(c.b_to - c.b_from for c in changed), sum(c.a_to - c.a_from for c in changed)


def unified(a: Sequence[str], b: Sequence[str], a_label: str, b_label: str) -> str:
    """A unified diff; empty where the texts are equal."""
    hunks = list(_hunks(blocks(a, b)))
    if not hunks:
        return ""
    lines = [f"--- {_one_line(a_label)}", f"+++ {_one_line(b_label)}"]
    for hunk in hunks:
        first, last = hunk[0], hunk[-1]
        lines.append(f"@@ -{_span(first.a_from, last.a_to)} +{_span(first.b_from, last.b_to)} @@")
        for block in hunk:
            lines += [f" {line}" for line in a[block.a_from : block.a_to]] if block.tag == "equal" else []
            lines += [f"-{line}" for line in a[block.a_from : block.a_to]] if block.tag != "equal" else []
            lines += [f"+{line}" for line in b[block.b_from : block.b_to]] if block.tag != "equal" else []
    return "\n".join(lines) + "\n"


def _inner(a: Sequence[str], b: Sequence[str], offset: int) -> list[Block]:
    if not a and not b:
        return []
    if not a or not b or len(a) + len(b) > MOST_LINES:
        tag = "replace" if a and b else "delete" if a else "insert"
        return [Block(tag, offset, offset + len(a), offset, offset + len(b), coarse=tag == "replace")]
    matcher = _BoundedMatcher(a, b)
    codes = matcher.get_opcodes()
    return [
        Block(tag, offset + i, offset + j, offset + k, offset + m, coarse=tag == "replace" and matcher.steps < 0)
        for tag, i, j, k, m in codes
    ]


class _BoundedMatcher(difflib.SequenceMatcher[str]):
    """Finds nothing more that is equal once its steps are used up; what it found until then is right."""

    a: Sequence[str]
    b: Sequence[str]
    b2j: dict[str, list[int]]

    def __init__(self, a: Sequence[str], b: Sequence[str]) -> None:
        super().__init__(None, a, b)
        self.steps = MOST_STEPS
        places = (len(self.b2j.get(line, ())) for line in a)
        self._steps_before = [0, *accumulate(count + 1 for count in places)]

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        """See `SequenceMatcher`: it looks at all places in `b` of each line of the part of `a`."""
        end_a = len(self.a) if ahi is None else ahi
        end_b = len(self.b) if bhi is None else bhi
        if self.steps >= 0:
            self.steps -= self._steps_before[end_a] - self._steps_before[alo]
        if self.steps < 0:
            return difflib.Match(alo, blo, 0)
        return super().find_longest_match(alo, end_a, blo, end_b)


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    for index, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return index
    return min(len(a), len(b))


def _hunks(found: Sequence[Block]) -> Iterator[list[Block]]:
    """Changes with a few lines around them; those whose surroundings meet are one hunk."""
    hunk: list[Block] = []
    for index, block in enumerate(found):
        if block.tag != "equal":
            hunk.append(block)
            continue
        length, first, last = block.a_to - block.a_from, index == 0, index == len(found) - 1
        if hunk and not last and length <= 2 * CONTEXT_LINES:
            hunk.append(block)
            continue
        if hunk:
            yield [*hunk, _cut(block, 0, min(CONTEXT_LINES, length))]
        hunk = [] if last else [_cut(block, max(0, length - CONTEXT_LINES), length)]
        if first and last:
            return
    if any(block.tag != "equal" for block in hunk):
        yield hunk


def _cut(block: Block, start: int, end: int) -> Block:
    cut = (block.a_from + start, block.a_from + end, block.b_from + start, block.b_from + end)
    return Block(block.tag, *cut, coarse=block.coarse)


def _span(start: int, end: int) -> str:
    """A range of a hunk's header: an empty one names the line before it, as diff does."""
    length = end - start
    return f"{start + 1 if length else start},{length}"


def _one_line(label: str) -> str:
    return label.replace("\n", " ").replace("\r", " ")
