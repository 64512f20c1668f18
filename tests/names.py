"""Names that hurt, and what a file must be for every platform to check it out."""

from __future__ import annotations

import re
import unicodedata

HOSTILE_NAMES = (
    "plain",
    "two words",
    " leading blank",
    "trailing blank ",
    "trailing dot.",
    ".",
    "..",
    "...",
    ".hidden",
    ".git",
    ".GIT",
    ".gitattributes",
    ".gitmodules",
    "git~1",
    "GIT~1",
    "gi7eba~1",
    "con",
    "CON",
    "con.backup",
    "aux",
    "nul",
    "lpt9",
    "com¹",
    "conin$",
    "a:b",
    "a|b",
    "a\\b",
    "a/b",
    'a"b',
    "a<b>c",
    "a?b*c",
    "tab\there",
    "line\nbreak",
    "return\rhere",
    "nul\0byte",
    "bell\x07",
    "del\x7f",
    "zero\u200bwidth",
    "right\u202eleft",
    "bom\ufeff",
    "separator\u2028",
    "lone\ud800surrogate",
    "100%",
    "%41",
    "%~abcdef12",
    "%+",
    "A%2FB",
    unicodedata.normalize("NFC", "café"),
    unicodedata.normalize("NFD", "café"),
    "Case",
    "case",
    "CASE",
    "straße",
    "STRASSE",
    "İstanbul",
    "🚀 launch",
    "名前",
    "x.py",
    "x.ipynb",
    "-rf",
    '"quoted"',
    "$(touch x)",
    "n" * 250,
    "ü" * 180,
    "%" * 150,
    "a" * 199 + ".",
)

DEVICES = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def check_portable(file: str) -> None:
    """Linux, Windows and macOS can hold the file, and Git takes none of its components for its own."""
    for component in file.split("/"):
        assert component not in ("", ".", "..")
        assert len(component.encode("utf-8")) <= 255
        assert not re.search(r'[\x00-\x1f\x7f:*?"<>|\\]', component)
        assert component[-1] not in ". "
        assert not DEVICES.match(component)
        assert not component.casefold().startswith(".git")
        assert not re.match(r"^gi\w*~\d", component, re.IGNORECASE)
