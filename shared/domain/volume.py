"""Dated full copies of the workspace: which day a folder stands for, and which notebook a file.

SOURCE files begin with a line that names their language's comment and `Databricks notebook source`
(https://docs.databricks.com/notebooks/notebook-export-import.html); a Jupyter export names its language in the
metadata. Files without it are workspace files, which the backup does not hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.batches import Failure
from shared.domain.names import EXTENSION, JUPYTER_EXTENSION
from shared.domain.notebooks import ExportFormat, Language

BOM = b"\xef\xbb\xbf"
COMMENTS = {Language.PYTHON: "#", Language.SQL: "--", Language.SCALA: "//", Language.R: "#"}
EARLIEST = datetime(2013, 1, 1, tzinfo=UTC)
"""Before Databricks there was no notebook to copy."""
MOST_AHEAD = timedelta(days=1)
"""A copy's clock may be in another time zone."""
_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<gap>[-_.]?)(?P<month>\d\d)(?P=gap)(?P<day>\d\d)"
    r"(?:[T_ -]?(?P<hour>\d\d)(?P<colon>[:._-]?)(?P<minute>\d\d)(?:(?P=colon)(?P<second>\d\d))?Z?)?(?!\d)"
)
_LANGUAGES = {extension: language for language, extension in EXTENSION.items()}
_REFUSED = {
    ".dbc": ("archive", "an archive in Databricks' own format: import it, export its folder as SOURCE, and copy that"),
    ".html": ("html_export", "an HTML export can't be turned back into a notebook: copy the SOURCE export"),
}


@dataclass(frozen=True, slots=True)
class DatedCopy:
    """A copy's folder and the moment that its name stands for, in UTC; a day without a time is its beginning."""

    name: str
    when: datetime


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """What a file name stands for: the notebook's path below the root; `language` is None until Jupyter is read."""

    path: str
    language: Language | None
    format: ExportFormat


def moment_of(name: str) -> datetime | None:
    """The one date, year first, with a time or without, that a folder's name holds; None where there is none."""
    found = list(_DATE.finditer(name))
    if len(found) != 1:
        return None
    parts = (found[0][part] or "0" for part in ("year", "month", "day", "hour", "minute", "second"))
    try:
        return datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def dated(names: Iterable[str], now: datetime) -> tuple[list[DatedCopy], list[Failure]]:
    """The copies in order of their moments, and the folders that are refused, with the reason."""
    copies: list[DatedCopy] = []
    refused: list[Failure] = []
    for name in names:
        when = moment_of(name)
        if when is None:
            refused.append(Failure(name, "no_date", "its name holds no single date such as 2024-01-31 or 20240131"))
        elif not EARLIEST <= when <= now + MOST_AHEAD:
            refused.append(
                Failure(name, "wrong_date", f"{when:%Y-%m-%d} cannot be when it was made: rename the folder")
            )
        else:
            copies.append(DatedCopy(name, when))
    copies.sort(key=lambda c: (c.when, c.name))
    moments = [c.when for c in copies]
    reason = "another copy has the same moment: add the time to the names, as in 2024-01-31T0230"
    refused += [Failure(c.name, "same_moment", reason) for c in copies if moments.count(c.when) > 1]
    return [c for c in copies if moments.count(c.when) == 1], refused


def notebook_of(file: str) -> NotebookFile | Failure | None:
    """The notebook that a file of a copy is called after; why it is refused; None for any other file."""
    folder, slash, leaf = file.rpartition("/")
    stem, dot, ending = leaf.rpartition(".")
    extension = f"{dot}{ending}".lower()
    if extension in _REFUSED:
        code, reason = _REFUSED[extension]
        return Failure(file, code, reason)
    if not stem:
        return None
    path = f"{folder}{slash}{stem}"
    if extension == JUPYTER_EXTENSION:
        return NotebookFile(path, None, ExportFormat.JUPYTER)
    language = _LANGUAGES.get(extension)
    return NotebookFile(path, language, ExportFormat.SOURCE) if language else None


def header(language: Language) -> bytes:
    """The first line of a SOURCE export."""
    return f"{COMMENTS[language]} Databricks notebook source".encode()


def has_header(data: bytes, language: Language) -> bool:
    """Whether SOURCE bytes begin as an export does, whatever its line ends are."""
    return data.removeprefix(BOM).split(b"\n", 1)[0].rstrip(b"\r ") == header(language)


def jupyter_language(data: bytes) -> Language | None:
    """The language of a Jupyter notebook, PYTHON where it names none; None where the bytes are no notebook."""
    try:
        notebook = json.loads(data)
        metadata = notebook.get("metadata") or {}
        if not isinstance(notebook["cells"], list):
            return None
        own = metadata.get("application/vnd.databricks.v1+notebook") or {}
        named = own.get("language") or (metadata.get("language_info") or {}).get("name") or "python"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return next((found for found in Language if found.value == str(named).upper()), Language.PYTHON)
