"""The zip of a folder's export, matched with what was listed: its member names are not documented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.domain.names import EXTENSION
from shared.domain.notebooks import Language


def match_members(folder: str, members: Iterable[str], wanted: Mapping[str, Language]) -> dict[str, str]:
    """The member of each wanted notebook, by path, where exactly one member stands for it.

    Members may come with or without the folder's own name in front; both readings are tried, and one that
    is not unique, or a notebook whose name an archive may spell in several ways, is left out.
    """
    names = list(members)
    by_name = {name: name for name in names}
    ambiguous = {name for name in names if names.count(name) > 1} if len(by_name) != len(names) else set()
    own = folder.rpartition("/")[2]
    found: dict[str, str] = {}
    for path, language in wanted.items():
        relative = path[len(folder) + 1 :] + EXTENSION[language]
        candidates = [n for n in (f"{own}/{relative}", relative) if n in by_name and n not in ambiguous]
        if len(candidates) == 1:
            found[path] = candidates[0]
    used: dict[str, int] = {}
    for member in found.values():
        used[member] = used.get(member, 0) + 1
    return {path: member for path, member in found.items() if used[member] == 1}
