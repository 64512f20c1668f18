"""The branches of Git folders: their names, and which of the backup's commits each has to follow."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The id that Git gives the tree without entries."""
COMMIT_TRAILER = "Backup-Commit"
"""In each commit of such a branch: the commit of the backup branch whose folder it shows."""
ROOT = "%root"
MOST_NAME_BYTES = 180
"""A branch is a file on many servers: 255 bytes with `.lock`, and the prefix in front."""
_KEPT_CHARACTERS = 150
_SAFE = re.compile(r"[A-Za-z0-9_-]")
_TRAILER = re.compile(rf"^{COMMIT_TRAILER}: ([0-9a-f]{{40}})\s*$", re.MULTILINE)


def branch_name(prefix: str, folder: str) -> str:
    """The branch of a folder of the tree (`acme/etl`; empty for the whole tree): `prefix` and `acme.etl`.

    A slash becomes a dot, so that no branch is a folder of another, as refs must not be; letters, digits, `-`
    and `_` stay, every other byte is `%XX`. No two folders share a name; one that would be too long ends in the
    hash of the whole. Every name is a legal ref (git-check-ref-format).
    """
    if not folder:
        return prefix + ROOT
    encoded = ".".join("".join(map(_encoded, part)) for part in folder.split("/"))
    if encoded.endswith(".lock"):
        encoded = f"{encoded[:-4]}%6Cock"
    if len(encoded) > MOST_NAME_BYTES:
        digest = hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()
        encoded = f"{encoded[:_KEPT_CHARACTERS]}%+{digest[:16]}"
    return prefix + encoded


def folder_of(prefix: str, branch: str) -> str | None:
    """The reverse of `branch_name`; None for a branch that is no folder's, or that is named by a hash."""
    name = branch.removeprefix(prefix)
    if not branch.startswith(prefix) or "%+" in name:
        return None
    if name == ROOT:
        return ""
    folder = unquote(name.replace(".", "/"), errors="surrogateescape")
    return folder if branch_name(prefix, folder) == branch else None


def _encoded(character: str) -> str:
    if _SAFE.fullmatch(character):
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def to_follow(last: str | None, steps: Iterable[tuple[str, str | None]]) -> Iterator[tuple[str, str]]:
    """Of the backup's commits, each with the folder's tree in it, those that changed the folder.

    `last` is the tree that the branch shows now, None where there is no branch yet; a folder that a commit does
    not have is empty in it, and a branch does not begin with nothing.
    """
    for commit, tree in steps:
        if last is None and tree is None:
            continue
        shown = tree or EMPTY_TREE
        if shown != last:
            yield commit, shown
            last = shown


def followed_commit(message: str) -> str | None:
    """The commit of the backup branch that a branch commit's message names; None for a person's."""
    found = _TRAILER.findall(message)
    return found[-1] if found else None


def followed_message(message: str, commit: str) -> str:
    """The message of a branch commit that follows a backup commit: its own, with the commit as one more trailer."""
    return f"{message.rstrip()}\n{COMMIT_TRAILER}: {commit}\n"
