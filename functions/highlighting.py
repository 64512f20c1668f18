"""Notebooks as highlighted lines and cells: each cell by the language of its magic, bounded in every direction."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, overload

from markupsafe import Markup, escape

from shared.domain.notebooks import ExportFormat, Language
from shared.services.recovery.content import NotebookContent

LEXERS = {Language.PYTHON: "python", Language.SQL: "sql", Language.SCALA: "scala", Language.R: "r"}
MARKDOWN = "markdown"
PLAIN = {MARKDOWN}
"""Shown without colours: the time of its lexer grows with the square of the empty lines."""
MAGICS = {f"%{name}": name for name in LEXERS.values()} | {"%sh": "bash", "%md": MARKDOWN, "%md-sandbox": MARKDOWN}
CELL_END = "\n\n# COMMAND ----------\n\n"
HEADER = re.compile(r"(#|--|//) Databricks notebook source\s*")
SEPARATOR = re.compile(r"(#|--|//) COMMAND ----------\s*")
MAGIC = re.compile(r"((?:#|--|//) MAGIC ?)(.*)")
WORD = re.compile(r"(\s*%[\w-]+)(.*)", re.DOTALL)
MOST_HIGHLIGHTED = 500_000
MOST_HIGHLIGHTED_LINES = 50_000
MOST_LINE_CHARACTERS = 2_000
MOST_SHOWN_LINES = 5_000
MOST_PIECE = 10_000
"""Characters that a lexer is given at once. Its expressions go back: what they cost grows with the square of these."""
MOST_SECONDS = 2.0


def source_of(content: NotebookContent) -> str:
    """A notebook's text; cells of one that was exported as Jupyter are parted as in a source, without outputs."""
    text = content.data.decode("utf-8", "replace")
    if content.format is not ExportFormat.JUPYTER:
        return text
    try:
        return CELL_END.join(map(_jupyter_cell, json.loads(text)["cells"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return text


def _jupyter_cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] != "markdown":
        return source
    return "\n".join(f"# MAGIC {line}" for line in ["%md", *source.split("\n")])


class Patience:
    """How long one page is coloured: what is left after that is shown without colours."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = monotonic() + MOST_SECONDS

    @property
    def ended(self) -> bool:
        """Whether the page's time is used up."""
        return self._monotonic() > self._until


@dataclass(frozen=True, slots=True)
class _Written:
    """A cell taken apart by line: what marks it as of another language, and the rest, which `lexer` reads."""

    lexer: str
    marks: tuple[str, ...]
    rest: tuple[str, ...]

    @classmethod
    def of(cls, lines: Sequence[str], language: Language) -> _Written:
        """The lexer is the language's, unless the cell begins with the magic of another."""
        found = [MAGIC.fullmatch(line) for line in lines]
        marked = all(mark or not line.strip() for mark, line in zip(found, lines, strict=True))
        marks = [mark[1] if mark and marked else "" for mark in found]
        rest = [mark[2] if mark and marked else line for mark, line in zip(found, lines, strict=True)]
        first = next((n for n, line in enumerate(rest) if line.strip()), 0)
        word = WORD.fullmatch(rest[first])
        lexer = MAGICS.get(word[1].strip()) if word else None
        if word and lexer:
            marks[first], rest[first] = marks[first] + word[1], word[2]
        return cls(lexer or LEXERS[language], tuple(marks), tuple(rest))

    def coloured(self, patience: Patience) -> list[Markup]:
        """The rest of each line as HTML: in colours, while the page has time for them."""
        if self.lexer in PLAIN:
            return [escape(line) for line in self.rest]
        return [line for piece in _pieces(self.rest) for line in _coloured(piece, self.lexer, patience)]


def _pieces(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Runs of lines of bounded length; a string that is open at an end of one is not known in the next."""
    start, size = 0, 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > MOST_PIECE and number > start:
            yield lines[start:number]
            start, size = number, len(line) + 1
    yield lines[start:]


def _coloured(lines: Sequence[str], lexer: str, patience: Patience) -> list[Markup]:
    # Loaded with the first notebook that is shown: it takes long.
    from pygments import format as formatted
    from pygments.formatters import HtmlFormatter

    plain = [escape(line) for line in lines]
    tokens = []
    for token in () if patience.ended else _lexer(lexer).get_tokens("\n".join([*lines, ""])):
        tokens.append(token)
        if patience.ended:
            return plain
    *shown, last = formatted(iter(tokens), HtmlFormatter(nowrap=True)).split("\n")
    # Some lexers add or drop a last line, and a carriage return becomes a line of its own.
    if last or len(shown) != len(lines):
        return plain
    return [Markup(line) for line in shown]  # noqa: S704 - escaped by Pygments


@functools.cache
def _lexer(name: str) -> Any:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


def short(line: str) -> str:
    """A line cut after a bounded number of characters."""
    return line if len(line) <= MOST_LINE_CHARACTERS else line[:MOST_LINE_CHARACTERS] + " …"


class _Escaped(Sequence[Markup]):
    """Lines without colours, each made when it is asked for: a text may have millions, of which few are shown."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> Markup: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Markup]: ...
    def __getitem__(self, index: int | slice) -> Markup | Sequence[Markup]:
        if isinstance(index, slice):
            return _Escaped(self._lines[index])
        return escape(short(self._lines[index]))


def highlighted(lines: Sequence[str], language: Language, patience: Patience | None = None) -> Sequence[Markup]:
    """A notebook's lines as HTML, each cell by itself: a string that one leaves open does not colour the next.

    Lines that are very long are cut; a text that is very long is only escaped, and so is what is left of a page when
    its `patience` has ended.
    """
    patience = patience or Patience()
    if len(lines) > MOST_HIGHLIGHTED_LINES:
        return _Escaped(lines)
    cut = [short(line) for line in lines]
    if sum(map(len, cut)) > MOST_HIGHLIGHTED:
        return _Escaped(lines)
    found: list[Markup] = []
    for start, end in _spans(cut):
        found += [escape(line) for line in cut[len(found) : start]]
        cell = _Written.of(cut[start:end], language)
        found += [_marked(mark) + line for mark, line in zip(cell.marks, cell.coloured(patience), strict=True)]
    return found + [escape(line) for line in cut[len(found) :]]


def _marked(mark: str) -> Markup:
    return Markup('<span class="magic">{}</span>').format(mark) if mark else Markup("")


def _spans(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where cells begin and end, without the lines between them and the one that heads a notebook."""
    borders = [-1, *(n for n, line in enumerate(lines) if SEPARATOR.fullmatch(line)), len(lines)]
    if lines and HEADER.fullmatch(lines[0]):
        borders[0] = 0
    return ((before + 1, after) for before, after in pairwise(borders) if after > before + 1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a notebook: its lines by number from `first`; `prose` are those of Markdown."""

    first: int
    lines: tuple[Markup, ...]
    prose: bool = False


def cells(text: str, language: Language, patience: Patience | None = None) -> tuple[list[Cell], bool]:
    """A notebook's cells, and whether anything of them was left out: lines after many, or the ends of long ones."""
    patience = patience or Patience()
    raw = text.split("\n")
    shown = [short(line) for line in raw[:MOST_SHOWN_LINES]]
    wanted = patience if sum(map(len, shown)) <= MOST_HIGHLIGHTED else None
    found = [_cell(a, shown[a:b], language, wanted) for a, b in _spans(shown) if any(map(str.strip, shown[a:b]))]
    return found, len(raw) > len(shown) or any(len(line) > MOST_LINE_CHARACTERS for line in raw[:MOST_SHOWN_LINES])


def _cell(start: int, lines: Sequence[str], language: Language, patience: Patience | None) -> Cell:
    """Blank lines at its ends are left out, and so are the marks of another language but for its word."""
    cell = _Written.of(lines, language)
    prose = cell.lexer == MARKDOWN
    bodies = cell.coloured(patience) if patience else [escape(line) for line in cell.rest]
    words = ["" if prose else (mark[2] if (mark := MAGIC.fullmatch(m)) else m) for m in cell.marks]
    filled = [n for n in range(len(lines)) if (words[n] + cell.rest[n]).strip()] or [0]
    first, last = filled[0], filled[-1] + 1
    shown = tuple(_marked(word) + line for word, line in zip(words[first:last], bodies[first:last], strict=True))
    return Cell(start + first + 1, shown, prose)
