"""What pages make of notebooks and differences."""

from __future__ import annotations

import pytest

from functions import page_views
from functions.page_views import cells, crumbs, highlighted, source_of, stretches
from shared.domain.differences import blocks, counts
from shared.domain.notebooks import ExportFormat, Language
from shared.services.compare import Difference, Side
from shared.services.content import NotebookContent


def _content(data: str, fmt: ExportFormat = ExportFormat.SOURCE) -> NotebookContent:
    return NotebookContent("/x", data.encode(), Language.PYTHON, fmt, "b", "s")


def test_cells_are_told_apart_in_every_language() -> None:
    for mark, language in (("#", Language.PYTHON), ("--", Language.SQL), ("//", Language.SCALA), ("#", Language.R)):
        text = f"a\n\n{mark} COMMAND ----------\n\n{mark} MAGIC %md  \n{mark} MAGIC *b*\n\n{mark} COMMAND ----------\nc"
        found, cut = cells(text, language)
        assert [(c.first, c.text) for c in found] == [(1, None), (4, "*b*"), (9, None)]
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
    assert (cut, sum(len(c.lines) for c in found)) == (True, page_views.MOST_SHOWN_LINES)
    many = highlighted(["<b>" * 100] * 10_000, Language.PYTHON)
    assert many[0] == "&lt;b&gt;" * 100


def test_a_difference_that_is_very_long_is_cut() -> None:
    old, new = tuple(f"a{n}" for n in range(9_000)), tuple(f"b{n}" for n in range(9_000))
    found = _difference(old, new)
    shown, cut = stretches(found)
    assert (cut, sum(len(s.rows) for s in shown)) == (True, page_views.MOST_SHOWN_LINES)
    shown, cut = stretches(_difference((*old, "x"), (*old, "y")))
    assert (cut, [(s.folded, s.count, len(s.rows)) for s in shown]) == (
        False,
        [(True, 8_997, 0), (False, 3, 3), (False, 1, 1)],
    )


def _difference(old: tuple[str, ...], new: tuple[str, ...]) -> Difference:
    sides = [Side("x", "x", _content("\n".join(lines)), lines) for lines in (old, new)]
    found = blocks(old, new)
    return Difference("/x", sides[0], sides[1], tuple(found), *counts(found))


def test_a_notebook_that_came_as_jupyter_is_shown_by_its_cells() -> None:
    body = '{"cells": [{"cell_type": "markdown", "source": ["*a*"]}, {"cell_type": "code", "source": "b\\nc"}]}'
    found, _ = cells(source_of(_content(body, ExportFormat.JUPYTER)), Language.PYTHON)
    assert [(c.text, len(c.lines)) for c in found] == [("*a*", 0), (None, 2)]
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
