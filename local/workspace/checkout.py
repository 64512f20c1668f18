"""How a Git folder shows the files of a commit: a notebook by its first line, everything else as a file."""

from __future__ import annotations

from typing import NamedTuple

from local.workspace.content import EXTENSION, first_line, from_jupyter


class Shown(NamedTuple):
    """What a file shows as: its path in the Git folder, NOTEBOOK or FILE, a notebook's language, its bytes."""

    path: str
    kind: str
    language: str | None
    data: bytes


def shown_file(file: str, data: bytes) -> Shown:
    """One file of a checkout."""
    for language, extension in EXTENSION.items():
        if file.endswith(extension) and data.startswith(first_line(language).encode()):
            return Shown(file.removesuffix(extension), "NOTEBOOK", language, data)
    if file.endswith(".ipynb"):
        try:
            source, language = from_jupyter(data)
        except (ValueError, KeyError):
            return Shown(file, "FILE", None, data)
        return Shown(file.removesuffix(".ipynb"), "NOTEBOOK", language, source)
    return Shown(file, "FILE", None, data)
