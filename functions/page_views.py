"""What pages show: templates, links that carry the function key on, and notebooks as highlighted lines."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from shared.domain.notebooks import Language
from shared.services.compare import Difference

FOLDER = Path(__file__).with_name("templates")
LEXERS = {Language.PYTHON: "python", Language.SQL: "sql", Language.SCALA: "scala", Language.R: "r"}
SEPARATOR = re.compile(r"(#|--|//) COMMAND ----------\s*")
MAGIC = re.compile(r"(#|--|//) MAGIC ?(.*)")
MOST_HIGHLIGHTED = 500_000
MOST_SHOWN_LINES = 5_000
FOLDED_LINES = 8
CONTEXT = 3


@functools.cache
def _style() -> str:
    """The one style sheet, with the colours of code in both schemes; it stands in each page, allowed by its hash."""
    light = HtmlFormatter(style="friendly").get_style_defs(".code")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".code")
    sheet = (FOLDER / "style.css").read_text()
    return f"\n{sheet}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n.code {{ background: none; }}\n"


@functools.cache
def _headers() -> dict[str, str]:
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
    return found


def page(req: func.HttpRequest, template: str, *, status: int = 200, **context: Any) -> func.HttpResponse:
    """A page with its headers."""
    code = req.params.get("code")

    def link(route: str, **query: object) -> str:
        """A relative address; the function key goes with it where it came in the address."""
        kept = {k: v for k, v in query.items() if v not in (None, "", False)} | ({"code": code} if code else {})
        return f"{route}?{urlencode(kept, errors='surrogatepass')}" if kept else route

    shown = (
        _templates()
        .get_template(template)
        .render(
            style=Markup(_style()),  # noqa: S704 - our own sheet
            link=link,
            code=code,
            **context,
        )
    )
    body = shown.encode("utf-8", "replace")
    return func.HttpResponse(body, status_code=status, headers=_headers(), mimetype="text/html")


def highlighted(text: str, language: Language) -> list[Markup]:
    """A text's lines as HTML; one that is very long is only escaped."""
    plain = [escape(line) for line in text.split("\n")]
    if len(text) > MOST_HIGHLIGHTED:
        return plain
    lexer = get_lexer_by_name(LEXERS[language], stripnl=False, ensurenl=False)
    formatter = HtmlFormatter(nowrap=True)
    lines = [Markup(line) for line in highlight(text, lexer, formatter).split("\n")]  # noqa: S704 - escaped by Pygments
    # Some lexers add or drop a last line, or fold a carriage return.
    return lines if len(lines) == len(plain) else plain


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a notebook: lines of code by number, or text that stands for itself."""

    first: int
    lines: tuple[Markup, ...]
    text: str | None = None


def cells(text: str, language: Language) -> list[Cell]:
    """A notebook's cells, cut after a bounded number of lines."""
    raw, lines = text.split("\n"), highlighted(text, language)
    found: list[Cell] = []
    start = 0
    for end in [n for n, line in enumerate(raw) if SEPARATOR.fullmatch(line)] + [len(raw)]:
        if end > start and any(line.strip() for line in raw[start:end]):
            found.append(_cell(start, raw[start:end], lines[start:end]))
        start = end + 1
        if start > MOST_SHOWN_LINES:
            break
    return found


def _cell(start: int, raw: list[str], lines: list[Markup]) -> Cell:
    magic = [found[2] for line in raw if (found := MAGIC.fullmatch(line))]
    if magic and magic[0].startswith("%md"):
        return Cell(start + 1, (), "\n".join([magic[0].removeprefix("%md").strip(), *magic[1:]]).strip())
    full = [n for n, line in enumerate(raw) if line.strip()]
    return Cell(start + full[0] + 1, tuple(lines[full[0] : full[-1] + 1][:MOST_SHOWN_LINES]))


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
    """Rows that are shown, or folded since nothing differs in them."""

    folded: bool
    rows: tuple[Pair, ...]


def stretches(found: Difference) -> list[Stretch]:
    """A difference as rows, what does not differ folded but for its surroundings."""
    old = highlighted("\n".join(found.before.lines), found.language)
    new = highlighted("\n".join(found.after.lines), found.language)
    shown: list[Stretch] = []
    for index, block in enumerate(found.blocks):
        rows = tuple(_pairs(block, old, new, found.after.lines))
        if block.tag != "equal" or len(rows) <= FOLDED_LINES:
            shown.append(Stretch(False, rows))
            continue
        head = CONTEXT if index else 0
        tail = CONTEXT if index < len(found.blocks) - 1 else 0
        parts = ((False, rows[:head]), (True, rows[head : len(rows) - tail]), (False, rows[len(rows) - tail :]))
        shown += [Stretch(folded, part) for folded, part in parts if part]
    return shown


def _pairs(block: Block, old: list[Markup], new: list[Markup], after: Iterable[str]) -> Iterator[Pair]:
    texts = list(after)
    for offset in range(max(block.a_to - block.a_from, block.b_to - block.b_from)):
        a, b = block.a_from + offset, block.b_from + offset
        left, right = a < block.a_to, b < block.b_to
        yield Pair(
            tag=block.tag,
            old_number=a + 1 if left else None,
            old=old[a] if left else None,
            new_number=b + 1 if right else None,
            new=new[b] if right else None,
            separator=right and bool(SEPARATOR.fullmatch(texts[b])),
        )


def crumbs(root: str, path: str) -> list[tuple[str, str]]:
    """The folders from the root to a path, each with its name."""
    found = [(root, root)]
    below = path.removeprefix(root).strip("/")
    for part in below.split("/") if below and path.startswith(root) else ():
        found.append((f"{found[-1][0]}/{part}", part))
    return found
