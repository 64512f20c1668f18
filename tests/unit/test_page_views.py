"""What pages make of notebooks and differences."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES

from functions import highlighting, page_views
from functions.highlighting import (
    MOST_HIGHLIGHTED_LINES,
    MOST_PIECE,
    Cell,
    Patience,
    _pieces,
    cells,
    highlighted,
    short,
    source_of,
)
from functions.page_views import by_cells, crumbs, rows_of
from shared.domain.differences import blocks, counts
from shared.domain.notebooks import ExportFormat, Language
from shared.services.recovery.compare import Difference, Side
from shared.services.recovery.content import NotebookContent
from tests.hostile import run_guarded


def words(cell: Cell) -> str:
    """A cell's text."""
    return "\n".join(re.sub("<[^>]*>", "", line) for line in cell.lines)


def _content(data: str, fmt: ExportFormat = ExportFormat.SOURCE) -> NotebookContent:
    return NotebookContent("/x", data.encode(), Language.PYTHON, fmt, "b", "s")


def test_cells_are_told_apart_in_every_language() -> None:
    for mark, language in (("#", Language.PYTHON), ("--", Language.SQL), ("//", Language.SCALA), ("#", Language.R)):
        text = f"a\n\n{mark} COMMAND ----------\n\n{mark} MAGIC %md  \n{mark} MAGIC *b*\n\n{mark} COMMAND ----------\nc"
        found, cut = cells(text, language)
        assert [(c.first, c.prose, words(c)) for c in found] == [(1, False, "a"), (6, True, "*b*"), (9, False, "c")]
        assert not cut


def test_a_string_that_a_cell_leaves_open_does_not_colour_the_next() -> None:
    lines = ['x = """', "# COMMAND ----------", "import os"]
    assert "kn" in highlighted(lines, Language.PYTHON)[2]
    found, _ = cells("# MAGIC %sql\n# MAGIC SELECT 1", Language.PYTHON)
    assert ("MAGIC" in "".join(found[0].lines), 'class="k"' in found[0].lines[1]) == (False, True)


def test_a_line_or_text_that_is_very_long_is_cut() -> None:
    (line,) = highlighted(["x" * 1_000_000], Language.PYTHON)
    assert len(line) < 2_100
    found, cut = cells("<b>\n" * 20_000, Language.PYTHON)
    assert (cut, sum(len(c.lines) for c in found)) == (True, highlighting.MOST_SHOWN_LINES)
    many = highlighted(["<b>" * 100] * 10_000, Language.PYTHON)
    assert many[0] == "&lt;b&gt;" * 100


def test_a_difference_that_is_very_long_is_cut() -> None:
    old, new = tuple(f"a{n}" for n in range(9_000)), tuple(f"b{n}" for n in range(9_000))
    found = _difference(old, new)
    shown = rows_of(found)
    assert (shown.left_out, sum(len(s.rows) for s in shown.stretches)) == (4_000, highlighting.MOST_SHOWN_LINES)
    shown = rows_of(_difference((*old, "x"), (*old, "y")))
    assert (shown.left_out, [(s.folded, s.count, len(s.rows)) for s in shown.stretches]) == (
        0,
        [(True, 8_997, 0), (False, 3, 3), (False, 1, 1)],
    )


def test_a_difference_of_long_lines_is_cut_by_its_characters() -> None:
    shown = rows_of(_difference(("a" * 5_000,) * 3_000, ("b" * 5_000,) * 3_000))
    size = sum(len(side or "") for s in shown.stretches for r in s.rows for side in (r.old, r.new))
    assert 0 < size <= page_views.MOST_SHOWN_CHARACTERS
    assert (shown.left_out + sum(len(s.rows) for s in shown.stretches), shown.cut) == (3_000, 6_000)


def _jupyter(*sources: str, output: str = "") -> NotebookContent:
    found = [{"cell_type": "code", "source": [s], "outputs": [output]} for s in sources]
    return _content(json.dumps({"cells": found}), ExportFormat.JUPYTER)


def test_jupyter_is_compared_by_its_code() -> None:
    def compared(before: NotebookContent, after: NotebookContent) -> Difference:
        sides = [Side("x", "x", c, tuple(c.data.decode().split("\n"))) for c in (before, after)]
        return by_cells(Difference("/x", sides[0], sides[1], (), 1, 1))

    found = compared(_jupyter("a = 1", "b = 1", output="x" * 10**6), _jupyter("a = 1", "b = 2", output="y"))
    assert (found.added, found.removed, len(found.before.lines)) == (1, 1, 5)
    same = compared(_jupyter("a", output="1"), _jupyter("a", output="2"))
    assert (same.added, same.removed) == (0, 0)


@pytest.mark.parametrize(
    ("magic", "code", "expected"),
    [
        ("%sql", "SELECT 1", '<span class="k">SELECT</span>'),
        ("%scala", "val a = 1", '<span class="kd">val</span>'),
        ("%r", "a <- NULL", '<span class="kc">NULL</span>'),
        ("%sh", "echo 1", '<span class="nb">echo</span>'),
        ("%python", "import os", '<span class="kn">import</span>'),
        ("%md", "# Title <b>", "# Title &lt;b&gt;"),
    ],
)
def test_a_cell_is_coloured_as_the_language_of_its_magic(magic: str, code: str, expected: str) -> None:
    lines = ["x = 1", "# COMMAND ----------", f"# MAGIC {magic}", f"# MAGIC {code}"]
    assert expected in highlighted(lines, Language.PYTHON)[3]
    (_, cell), _ = cells("\n".join(lines), Language.PYTHON)
    assert any(expected in line for line in cell.lines)
    assert ("MAGIC" in words(cell), cell.prose) == (False, magic == "%md")
    (other,), _ = cells(f"{magic}\n{code}", Language.SQL)
    assert any(expected in line for line in other.lines), "Jupyter has the word alone"


def test_a_page_is_coloured_while_it_has_time_for_that_and_whole_all_the_same() -> None:
    """The clock moves on by a second each time that it is asked, as if each token took as long."""

    patience = Patience(itertools.count().__next__)
    lines = ["import os  # <b>"] * 10
    found = highlighted(lines, Language.PYTHON, patience)
    assert patience.ended
    assert found == ["import os  # &lt;b&gt;"] * 10
    assert "kn" in highlighted(lines, Language.PYTHON, Patience(lambda: 0.0))[0]


def test_both_sides_of_a_comparison_share_the_pages_time(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Patience] = []

    def noted(lines: Sequence[str], language: Language, patience: Patience) -> Sequence[Markup]:
        used.append(patience)
        return highlighted(lines, language, patience)

    monkeypatch.setattr(page_views, "highlighted", noted)
    rows_of(_difference(("a",), ("b",)))
    assert used[0] is used[1]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", "x = 1", "# COMMAND ----------", '"' * 3, "a" * 4_000, "<b>"]), max_size=60))
def test_a_long_cell_is_coloured_in_pieces_and_no_line_is_lost(lines: list[str]) -> None:
    shown = [re.sub("<[^>]*>", "", line) for line in highlighted(lines, Language.PYTHON)]
    assert [unescape(line) for line in shown] == [short(line) for line in lines]


def test_no_lexer_is_given_more_than_a_piece() -> None:
    pieces = list(_pieces(["a" * 999] * 95 + ["b" * 2 * MOST_PIECE, "c"]))
    assert [len(piece) for piece in pieces] == [10] * 9 + [5, 1, 1]


def test_millions_of_lines_are_not_made_into_html() -> None:
    lines = [""] * (MOST_HIGHLIGHTED_LINES + 1)
    found = highlighted([*lines, "<b>"], Language.PYTHON)
    assert not isinstance(found, list)
    assert (len(found), found[-1], list(found[-2:])) == (len(lines) + 1, "&lt;b&gt;", ["", "&lt;b&gt;"])


@pytest.mark.parametrize("language", Language)
def test_a_page_ends_soon_whatever_a_notebook_holds(language: Language) -> None:
    """A lexer that goes back reads the rest of a line, or of a cell, anew at each character."""
    code = (
        "from functions.highlighting import cells\n"
        "from shared.domain.notebooks import Language\n"
        "from tests.hostile import for_lexers\n"
        f"language = Language({language.value!r})\n"
        "print(all(cells(text, language) for text in for_lexers(400_000)))"
    )
    assert run_guarded(code) == "True\n"


def test_a_notebook_of_many_nested_lists_is_shown_as_its_text() -> None:
    text = '{"cells": ' + "[" * 100_000
    assert source_of(_content(text, ExportFormat.JUPYTER)) == text


def test_a_comparison_says_where_it_is_coarse() -> None:
    old, new = (tuple(str(n * factor % 100) for n in range(9_000)) for factor in (1, 37))
    assert _difference(old, new).coarse
    assert not _difference(("a", "b"), ("a", "c")).coarse


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of contrast."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_aa_asks_for(scheme: str) -> None:
    sheet = (page_views.FOLDER / "style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    pairs = [("on-strong", "strong"), *((n, f"{n}-wash") for n in ("good", "bad", "warn"))]
    pairs += [(n, place) for n in ("ink", "quiet", "link", "good", "bad", "warn") for place in ("paper", "wash")]
    pairs += [(n, f"{wash}-wash") for n in ("ink", "quiet", "link") for wash in ("warn", "good", "bad")]
    assert [(a, b) for a, b in pairs if _contrast(colours[a], colours[b]) < 4.5] == []
    # The style sheet's own rules for code follow on the colours of the code's style.
    mended = dict(re.findall(rf"scheme: {scheme}\) \{{ \.code \.(\w+) \{{ color: (#\w{{6}})", sheet))
    style = get_style_by_name(page_views.CODE_STYLES[scheme])
    code = {mended.get(STANDARD_TYPES[t], f"#{s['color']}") for t, s in style if s["color"] and t in STANDARD_TYPES}
    places = [colours[n] for n in ("paper", "good-wash", "bad-wash", "wash")]
    assert sorted({c for c in code for p in places if _contrast(c, p) < 4.5}) == []


def _difference(old: tuple[str, ...], new: tuple[str, ...]) -> Difference:
    sides = [Side("x", "x", _content("\n".join(lines)), lines) for lines in (old, new)]
    found = blocks(old, new)
    return Difference("/x", sides[0], sides[1], tuple(found), *counts(found))


def test_a_notebook_that_came_as_jupyter_is_shown_by_its_cells() -> None:
    body = '{"cells": [{"cell_type": "markdown", "source": ["*a*"]}, {"cell_type": "code", "source": "b\\nc"}]}'
    found, _ = cells(source_of(_content(body, ExportFormat.JUPYTER)), Language.PYTHON)
    assert [(c.prose, words(c)) for c in found] == [(True, "*a*"), (False, "b\nc")]
    for broken in ("{", "[]", '{"cells": [7]}', '{"cells": [{"source": [7]}]}'):
        assert source_of(_content(broken, ExportFormat.JUPYTER)) == broken


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/Clients", "/Clients", [("/Clients", "/Clients")]),
        ("/Clients", "/Clients/a/b", [("/Clients", "/Clients"), ("/Clients/a", "a"), ("/Clients/a/b", "b")]),
        ("/Clients", "/ClientsX/a", [("/ClientsX/a", "/ClientsX/a")]),
        ("/", "/a/b", [("/", "/"), ("/a", "a"), ("/a/b", "b")]),
    ],
)
def test_breadcrumbs_lead_from_the_root(root: str, path: str, expected: list[tuple[str, str]]) -> None:
    assert crumbs(root, path) == expected
