"""The zip of a folder's export, matched with what was listed: its member names are not documented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from shared.domain.names import EXTENSION
from shared.domain.notebooks import Language


def match_members(folder: str, members: Iterable[str], wanted: Mapping[str, Language]) -> dict[str, str]:
    """The member of each wanted notebook, by path, where exactly one member stands for it.

    Members may come with or without the folder's own name in front; both readings are tried, and one that
    is not unique, or a notebook whose name an archive may spell in several ways, is left out.
    """
    times = Counter(members)
    own = folder.rpartition("/")[2]
    found: dict[str, str] = {}
    for path, language in wanted.items():
        relative = path[len(folder) + 1 :] + EXTENSION[language]
        candidates = [n for n in (f"{own}/{relative}", relative) if times[n] == 1]
        if len(candidates) == 1:
            found[path] = candidates[0]
    used = Counter(found.values())
    return {path: member for path, member in found.items() if used[member] == 1}
