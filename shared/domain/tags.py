"""Names and messages of the tags that mark points of the backup's history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

OWN = "backup/"
"""What the names of the backup's own tags begin with; nobody may ask for one."""
FIRST = f"{OWN}first-sync"
AT_PREFIX = "tag:"
"""How a tag is named where a commit, a date or a time may stand."""
KIND_TRAILER = "Backup-Tag"
MOST_NAME_CHARACTERS = 200
MOST_MOMENT_CHARACTERS = len(AT_PREFIX) + MOST_NAME_CHARACTERS
"""Of what names a commit: an id, a date, a time, or a tag."""
MOST_MESSAGE_CHARACTERS = 2_000
_MONTHLY = re.compile(rf"^{OWN}(\d{{4}})-(\d{{2}})$")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_RULES = (
    "A tag's name has 1 to 200 characters without spaces, control characters and ~ ^ : ? * [ \\, without .. and @{; "
    "no part between slashes is empty, begins with a dot or ends in .lock, and it ends in no dot"
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of the repository. `when` and `tagger` are those of an annotated one; else empty and None.

    `object` is the id of the tag itself, and `commit`'s own for one that is not annotated.
    """

    name: str
    commit: str
    object: str
    message: str = ""
    tagger: str = ""
    when: datetime | None = None

    @property
    def kind(self) -> str | None:
        """`first`, `monthly` or `requested` for a tag of the backup's, else None."""
        found = re.search(rf"^{KIND_TRAILER}: (\w+)$", self.message, re.MULTILINE)
        return found[1] if found else None

    @property
    def text(self) -> str:
        """The message without what the backup says of itself."""
        return self.message.partition(f"\n\n{KIND_TRAILER}: ")[0]


def checked_name(name: str) -> str:
    """The name, where Git takes it for a tag (`git check-ref-format`) and every system can store it as a file.

    Raises `ValueError`.
    """
    parts = name.split("/")
    wrong = (
        not 0 < len(name) <= MOST_NAME_CHARACTERS
        or _FORBIDDEN.search(name) is not None
        or name.startswith("-")
        or name.endswith(".")
        or name == "@"
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
        or any(0xD800 <= ord(c) <= 0xDFFF for c in name)
    )
    if wrong:
        raise ValueError(f"{_RULES}.")
    return name


def requested_name(name: str) -> str:
    """A name that somebody may ask for. Raises `ValueError`."""
    if checked_name(name).lower().startswith(OWN):
        raise ValueError(f"names that begin with {OWN} are for the tags that the backup makes by itself")
    return name


def monthly_name(day: date) -> str:
    """The name of a month's tag, as `backup/2026-11`."""
    return f"{OWN}{day:%Y-%m}"


def outdated(tags: Iterable[Tag], today: date, keep_months: int) -> list[Tag]:
    """The monthly tags that the backup made more than `keep_months` months ago; none where that is 0."""
    if not keep_months:
        return []
    now = today.year * 12 + today.month
    found = ((tag, _MONTHLY.match(tag.name)) for tag in tags if tag.kind == "monthly")
    return [tag for tag, month in found if month and now - int(month[1]) * 12 - int(month[2]) > keep_months]


def tag_message(text: str, kind: str, trailers: Mapping[str, str]) -> str:
    """What an annotated tag says: the text, and below it what the backup says of itself."""
    lines = [f"{KIND_TRAILER}: {kind}", *(f"{name}: {value}" for name, value in trailers.items() if value)]
    return f"{text.strip()}\n\n" + "".join(f"{line}\n" for line in lines)
