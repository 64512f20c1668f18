"""Tables of the documents, as the tests hold them to what is deployed."""

from __future__ import annotations

import re

from tests.infra.bicep import ROOT


def table(document: str, heading: str, number: int = 0) -> dict[str, list[str]]:
    """The rows of a table under a heading, by what stands in backquotes in their first cell; the rest of each row."""
    section = (ROOT / document).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tables = [part for part in section.split("\n\n") if part.lstrip().startswith("|")]
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in tables[number].splitlines()]
    return {found[1]: row[1:] for row in rows if (found := re.search("`([^`]+)`", row[0]))}
