"""What pages show: templates, links that carry the function key on, and notebooks as highlighted lines."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import azure.functions as func
from markupsafe import Markup

from functions.highlighting import MOST_LINE_CHARACTERS, MOST_SHOWN_LINES, SEPARATOR, Patience, highlighted, source_of
from functions.requests import asking
from shared.domain.differences import Block, blocks, counts
from shared.domain.notebooks import ExportFormat, Language
from shared.services.recovery.compare import Difference, Side
from shared.wiring import services

if TYPE_CHECKING:
    from jinja2 import Environment

CODE_STYLES = {"light": "xcode", "dark": "github-dark"}
FOLDER = Path(__file__).with_name("templates")
SHEETS = ("style.css", "dashboard.css")
NAMES = {Language.PYTHON: "Python", Language.SQL: "SQL", Language.SCALA: "Scala", Language.R: "R"}
MOST_FOLDED_LINES = 500
MOST_SHOWN_CHARACTERS = 3_000_000
FOLDED_LINES = 8
CONTEXT = 3


@functools.cache
def _style() -> str:
    """The one style sheet, with the colours of code in both schemes; it stands in each page, allowed by its hash."""
    # Loaded with the first page: it takes long, and most of the app shows none.
    from pygments.formatters import HtmlFormatter

    # Styles whose colours have a contrast of 4.5 on plain, added and removed lines; `style.css` mends the rest.
    code = {scheme: HtmlFormatter(style=name).get_style_defs(".code") for scheme, name in CODE_STYLES.items()}
    schemes = "\n".join(f"@media (prefers-color-scheme: {scheme}) {{\n{rules}\n}}" for scheme, rules in code.items())
    sheets = "\n".join((FOLDER / name).read_text() for name in SHEETS)
    return f"\n{schemes}\n{sheets}\n"


@functools.cache
def headers() -> dict[str, str]:
    """What every page is sent with."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'"
    return {
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        # With `no-referrer` a browser would send our own forms with `Origin: null` (Fetch standard).
        "Referrer-Policy": "same-origin",
    }


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found.filters["moment"] = lambda text: text[:19].replace("T", " ") if text else "unknown"
    found.filters["language"] = lambda name: NAMES.get(name, str(name))
    # A form sends a line break as two characters: a path in one is percent-encoded.
    found.filters["quoted"] = lambda path: quote(path, safe="/ ", errors="surrogatepass")
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
    links = {"link": functools.partial(link, req), "code": req.params.get("code")}
    given = {**links, "token": functools.partial(_token, req), **context}
    body = _templates().get_template(template).render(given).encode("utf-8", "replace")
    return func.HttpResponse(body, status_code=status, headers=headers(), mimetype="text/html")


def _token(req: func.HttpRequest, act: str, restore_id: str) -> str:
    """What proves that a form came from a page that its sender was shown."""
    return services().form_tokens.make(asking(req), f"{act} {restore_id}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of a comparison: line numbers from 1 and HTML on both sides, None where a side has no line."""

    tag: str
    old_number: int | None
    old: Markup | None
    new_number: int | None
    new: Markup | None
    separator: bool = False

    @property
    def signs(self) -> tuple[str, str]:
        """What says beside the colour that a side's line went, or came."""
        return (" ", " ") if self.tag == "equal" else ("−", "+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """`count` rows that are shown, or folded since nothing differs in them; a very long fold has none to open."""

    folded: bool
    count: int
    rows: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A difference as rows; `left_out` rows are not there, and of `cut` lines only the beginning is."""

    stretches: tuple[Stretch, ...]
    left_out: int
    cut: int


def by_cells(found: Difference) -> Difference:
    """A difference of the code alone where a side came as Jupyter, which holds outputs, and may be a single line."""
    if not any(side.content and side.content.format is ExportFormat.JUPYTER for side in (found.before, found.after)):
        return found
    before, after = (_by_cells(side) for side in (found.before, found.after))
    between = tuple(blocks(before.lines, after.lines))
    added, removed = counts(between)
    return replace(found, before=before, after=after, blocks=between, added=added, removed=removed)


def _by_cells(side: Side) -> Side:
    return replace(side, lines=tuple(source_of(side.content).split("\n"))) if side.content else side


def rows_of(found: Difference) -> Shown:
    """A difference as rows, what does not differ folded but for its surroundings, within bounds."""
    patience = Patience()
    old, new = (highlighted(side.lines, found.language, patience) for side in (found.before, found.after))
    shown: list[Stretch] = []
    room, left_out = _Room(), 0
    for block, folded in _folded(found.blocks):
        count = _length(block)
        few = folded and count > MOST_FOLDED_LINES
        rows = () if few else tuple(room.take(_pairs(block, old, new, found.after.lines)))
        left_out += 0 if few else count - len(rows)
        if rows or (few and not left_out):
            shown.append(Stretch(folded, count if few else len(rows), rows))
    long = sum(len(line) > MOST_LINE_CHARACTERS for side in (found.before, found.after) for line in side.lines)
    return Shown(tuple(shown), left_out, long)


class _Room:
    """What a page still has room for, in rows and characters of HTML."""

    def __init__(self) -> None:
        self._rows, self._characters = MOST_SHOWN_LINES, MOST_SHOWN_CHARACTERS

    def take(self, rows: Iterable[Pair]) -> Iterator[Pair]:
        """Those that fit, from the first on."""
        for row in rows:
            self._rows -= 1
            self._characters -= len(row.old or "") + len(row.new or "")
            if self._rows < 0 or self._characters < 0:
                return
            yield row


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
    cut = (block.a_from + start, block.a_from + end, block.b_from + start, block.b_from + end)
    return Block(block.tag, *cut, coarse=block.coarse)


def _pairs(block: Block, old: Sequence[Markup], new: Sequence[Markup], after: Sequence[str]) -> Iterator[Pair]:
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


def see(req: func.HttpRequest, route: str, **query: object) -> func.HttpResponse:
    """Send the browser to another page."""
    target = {"Location": link(req, route, **query)}
    return func.HttpResponse(status_code=303, headers={**headers(), **target}, mimetype="text/html")


def download(data: bytes, name: str) -> func.HttpResponse:
    """A file to keep; its name is any text."""
    kept = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='', errors='replace')}"}
    return func.HttpResponse(data, headers={**headers(), **kept}, mimetype="application/octet-stream")
