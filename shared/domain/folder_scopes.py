"""Which workspace folders somebody may restore, or read: by group and role, as an administrator maps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.access import Caller


@dataclass(frozen=True, slots=True)
class Scope:
    """Folders, each with all that is below it; None stands for everything. Names count exactly, as they are stored."""

    folders: frozenset[str] | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self.folders is None

    def holds_folder(self, path: str) -> bool:
        """Whether a folder, and so all that is below it, is inside."""
        if self.folders is None:
            return True
        plain = _plain(path)
        return plain is not None and any(plain == f or _below(plain, f) for f in self.folders)

    def holds_notebook(self, path: str) -> bool:
        """Whether a notebook is inside: below one of the folders, since the folder's own path is no notebook's."""
        if self.folders is None:
            return True
        plain = _plain(path)
        return plain is not None and any(_below(plain, f) for f in self.folders)

    def leads_to(self, path: str) -> bool:
        """Whether a folder has to be passed on the way to one that is inside."""
        return self.folders is None or any(_below(f, path.rstrip("/")) for f in self.folders)

    def shows_folder(self, path: str) -> bool:
        """Whether a folder's name may be shown."""
        return self.holds_folder(path) or self.leads_to(path)


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class FolderMap:
    """Folders by the object id of a group, or the value of an app role. One that is empty limits nobody."""

    folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> FolderMap:
        """Read `{"<group id or role>": ["/Clients/acme"]}`. Raises `ValueError`."""
        try:
            given = json.loads(text) if text.strip() else {}
        except ValueError:
            raise ValueError('must be JSON, such as {"<group id>": ["/Clients/acme"]}') from None
        if not isinstance(given, dict):
            raise ValueError("must be a JSON object: folders by group id or role")
        found: dict[str, tuple[str, ...]] = {}
        for name, value in given.items():
            key = name.strip().casefold()
            found[key] = found.get(key, ()) + _folders(name, value)
        return cls(found)

    def scope_of(self, caller: Caller) -> Scope:
        """What a caller may reach: nothing, where the map names folders but none of the caller's groups and roles."""
        if not self.folders or not caller.limited:
            return EVERYTHING
        mine = {name.casefold() for name in caller.groups | caller.roles}
        return Scope(frozenset(f for name, found in self.folders.items() if name in mine for f in found))


def _folders(name: str, value: object) -> tuple[str, ...]:
    if not name.strip():
        raise ValueError("one of its groups has no name")
    folders = [value] if isinstance(value, str) else value
    if not isinstance(folders, list) or not folders:
        raise ValueError(f"{name}: must be a list of workspace folders")
    return tuple(_folder(name, folder) for folder in folders)


def _folder(name: str, folder: object) -> str:
    plain = _plain(folder) if isinstance(folder, str) else None
    if plain is None:
        raise ValueError(f"{name}: each folder must be an absolute workspace path, such as /Clients/acme")
    return plain


def _plain(path: str) -> str | None:
    """An absolute path without a slash at its end, or None for one that could mean another than it says."""
    plain = path.rstrip("/")
    parts = plain.split("/")[1:]
    if not plain.startswith("/") or "\0" in plain or any(part in ("", ".", "..") for part in parts):
        return None
    return plain


def _below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")
