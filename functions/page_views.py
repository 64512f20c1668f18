"""What pages show: templates, links that carry the function key on, and notebooks as highlighted lines."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import azure.functions as func
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from shared.domain.differences import Block
from shared.domain.notebooks import ExportFormat, Language
from shared.services.compare import Difference
from shared.services.content import NotebookContent

FOLDER = Path(__file__).with_name("templates")
LEXERS = {Language.PYTHON: "python", Language.SQL: "sql", Language.SCALA: "scala", Language.R: "r"}
NAMES = {Language.PYTHON: "Python", Language.SQL: "SQL", Language.SCALA: "Scala", Language.R: "R"}
MAGICS = {"%python": Language.PYTHON, "%sql": Language.SQL, "%scala": Language.SCALA, "%r": Language.R}
CELL_END = "# COMMAND ----------"
SEPARATOR = re.compile(r"(#|--|//) COMMAND ----------\s*")
MAGIC = re.compile(r"(#|--|//) MAGIC ?(.*)")
MOST_HIGHLIGHTED = 500_000
MOST_LINE_CHARACTERS = 2_000
MOST_SHOWN_LINES = 5_000
MOST_FOLDED_LINES = 500
FOLDED_LINES = 8
CONTEXT = 3


@functools.cache
def _style() -> str:
    """The one style sheet, with the colours of code in both schemes; it stands in each page, allowed by its hash."""
    # Styles whose colours have a contrast of 4.5 on plain, added and removed lines; `style.css` mends the rest.
    light = HtmlFormatter(style="xcode").get_style_defs(".code")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".code")
    schemes = "\n".join(
        f"@media (prefers-color-scheme: {name}) {{\n{defs}\n}}" for name, defs in (("light", light), ("dark", dark))
    )
    return f"\n{schemes}\n{(FOLDER / 'style.css').read_text()}\n"


@functools.cache
def headers() -> dict[str, str]:
    """What every page is sent with."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'"
    return {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


@functools.cache
def _templates() -> Environment:
    found = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found.filters["moment"] = lambda text: text[:19].replace("T", " ") if text else "unknown"
    found.filters["language"] = lambda name: NAMES.get(name, str(name))
    found.globals["style"] = Markup(_style())  # noqa: S704 - our own sheet
    return found


def link(req: func.HttpRequest, route: str, **query: object) -> str:
    """A relative address; the function key goes with it where it came in the address."""
    kept = {name: value for name, value in query.items() if value not in (None, "", False)}
    if code := req.params.get("code"):
        kept["code"] = code
    return f"{route}?{urlencode(kept, errors='surrogatepass')}" if kept else route


def page(req: func.HttpRequest, template: str, *, status: int = 200, **context: Any) -> func.HttpResponse:
    """A page with its headers."""
    given = {"link": functools.partial(link, req), "code": req.params.get("code"), **context}
    body = _templates().get_template(template).render(given).encode("utf-8", "replace")
    return func.HttpResponse(body, status_code=status, headers=headers(), mimetype="text/html")


def source_of(content: NotebookContent) -> str:
    """A notebook's text; cells of one that was exported as Jupyter are parted as in a source."""
    text = content.data.decode("utf-8", "replace")
    if content.format is not ExportFormat.JUPYTER:
        return text
    try:
        return f"\n{CELL_END}\n".join(map(_jupyter_cell, json.loads(text)["cells"]))
    except (ValueError, TypeError, KeyError):
        return text


def _jupyter_cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] != "markdown":
        return source
    return "\n".join(f"# MAGIC {line}" for line in ["%md", *source.split("\n")])


def highlighted(lines: Sequence[str], language: Language) -> list[Markup]:
    """A notebook's lines as HTML, each cell by itself: a string that one leaves open does not colour the next.

    Lines that are very long are cut; a text that is very long is only escaped.
    """
    short = [line if len(line) <= MOST_LINE_CHARACTERS else line[:MOST_LINE_CHARACTERS] + " …" for line in lines]
    if sum(map(len, short)) > MOST_HIGHLIGHTED:
        return [escape(line) for line in short]
    found: list[Markup] = []
    for start, end in _spans(short):
        found += [escape(line) for line in short[len(found) : start]]
        found += _coloured(short[start:end], language)
    return found + [escape(line) for line in short[len(found) :]]


def _spans(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where cells begin and end, without the lines between them."""
    borders = [-1, *(n for n, line in enumerate(lines) if SEPARATOR.fullmatch(line)), len(lines)]
    return ((before + 1, after) for before, after in pairwise(borders) if after > before + 1)


@functools.cache
def _lexer(language: Language) -> Any:
    return get_lexer_by_name(LEXERS[language], stripnl=False, ensurenl=False)


def _coloured(lines: Sequence[str], language: Language) -> list[Markup]:
    *shown, rest = highlight("\n".join([*lines, ""]), _lexer(language), HtmlFormatter(nowrap=True)).split("\n")
    # Some lexers add or drop a last line, and a carriage return becomes a line of its own.
    if rest or len(shown) != len(lines):
        return [escape(line) for line in lines]
    return [Markup(line) for line in shown]  # noqa: S704 - escaped by Pygments


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a notebook: lines of code by number from `first`, or text that stands for itself."""

    first: int
    lines: tuple[Markup, ...]
    text: str | None = None


def cells(text: str, language: Language) -> tuple[list[Cell], bool]:
    """A notebook's cells, and whether they were cut after a bounded number of lines."""
    raw = text.split("\n")
    shown = raw[:MOST_SHOWN_LINES]
    lines = highlighted(shown, language)
    found = [_cell(a, shown[a:b], lines[a:b]) for a, b in _spans(shown) if any(line.strip() for line in shown[a:b])]
    return found, len(raw) > len(shown)


def _cell(start: int, raw: Sequence[str], lines: Sequence[Markup]) -> Cell:
    full = [n for n, line in enumerate(raw) if line.strip()]
    first, last = full[0], full[-1] + 1
    magic = [found[2] if (found := MAGIC.fullmatch(line)) else None for line in raw[first:last]]
    plain = [line for line in magic if line is not None]
    word = plain[0].partition(" ")[0] if plain else ""
    if word == "%md":
        return Cell(start + 1, (), "\n".join([plain[0].removeprefix("%md").strip(), *plain[1:]]).strip())
    if word in MAGICS and len(plain) == len(magic):
        return Cell(start + first + 1, tuple(highlighted(plain, MAGICS[word])))
    return Cell(start + first + 1, tuple(lines[first:last]))


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of a comparison: line numbers from 1 and HTML on both sides, None where a side has no line."""

    tag: str
    old_number: int | None
    old: Markup | None
    new_number: int | None
    new: Markup | None
    separator: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """`count` rows that are shown, or folded since nothing differs in them; those over the bounds are not there."""

    folded: bool
    count: int
    rows: tuple[Pair, ...]


def stretches(found: Difference) -> tuple[list[Stretch], bool]:
    """A difference as rows, what does not differ folded but for its surroundings; and whether it was cut."""
    old, new = (highlighted(side.lines, found.language) for side in (found.before, found.after))
    shown: list[Stretch] = []
    left = MOST_SHOWN_LINES
    for block, folded in _folded(found.blocks):
        if left <= 0:
            return shown, True
        count = _length(block)
        few = folded and count > MOST_FOLDED_LINES
        rows = () if few else tuple(_pairs(block, old, new, found.after.lines))[:left]
        shown.append(Stretch(folded, count, rows))
        left -= len(rows)
    return shown, left <= 0


def _length(block: Block) -> int:
    return max(block.a_to - block.a_from, block.b_to - block.b_from)


def _folded(blocks: Sequence[Block]) -> Iterator[tuple[Block, bool]]:
    """Blocks, those that do not differ in up to three parts; each with whether it is folded."""
    for index, block in enumerate(blocks):
        length = _length(block)
        if block.tag != "equal" or length <= FOLDED_LINES:
            yield block, False
            continue
        head = CONTEXT if index else 0
        tail = length - (CONTEXT if index < len(blocks) - 1 else 0)
        parts = (_part(block, 0, head), _part(block, head, tail), _part(block, tail, length))
        yield from ((part, n == 1) for n, part in enumerate(parts) if _length(part))


def _part(block: Block, start: int, end: int) -> Block:
    return Block(block.tag, block.a_from + start, block.a_from + end, block.b_from + start, block.b_from + end)


def _pairs(block: Block, old: list[Markup], new: list[Markup], after: Sequence[str]) -> Iterator[Pair]:
    for offset in range(_length(block)):
        a, b = block.a_from + offset, block.b_from + offset
        left, right = a < block.a_to, b < block.b_to
        yield Pair(
            tag=block.tag,
            old_number=a + 1 if left else None,
            old=old[a] if left else None,
            new_number=b + 1 if right else None,
            new=new[b] if right else None,
            separator=right and bool(SEPARATOR.fullmatch(after[b])),
        )


def crumbs(root: str, path: str) -> list[tuple[str, str]]:
    """The folders from the root to a path, each with its name; of a path outside it, the path alone."""
    if path != root and not path.startswith(f"{root.rstrip('/')}/"):
        return [(path, path)]
    found = [(root, root)]
    for part in path.removeprefix(root).strip("/").split("/") if path != root else ():
        found.append((f"{found[-1][0].rstrip('/')}/{part}", part))
    return found
