"""Addresses of Azure DevOps, made of that of a repository's remote."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit, urlunsplit

_ON_SERVER = "_git"
_VARIANTS = ("_full", "_optimized")


def repository_api(url: str) -> str | None:
    """The address of a repository in the REST API of Azure DevOps; None for any other server.

    `https://dev.azure.com/org/project/_git/repo`, with a user before the host or without,
    `https://org.visualstudio.com/project/_git/repo`, with a collection or without, and an Azure DevOps Server's.
    A project is left out where it is called as the repository.
    """
    parts = urlsplit(url)
    names = [unquote(name) for name in parts.path.split("/") if name]
    if _ON_SERVER not in names:
        return None
    cut = names.index(_ON_SERVER)
    above, below = names[:cut], [name for name in names[cut + 1 :] if name not in _VARIANTS]
    if len(below) != 1:
        return None
    host = parts.netloc.rpartition("@")[2]
    organisation = 1 if host == "dev.azure.com" else 0
    collection = "DefaultCollection" in above
    if len(above) == organisation + collection:
        above.append(below[0])
    path = "/".join(quote(name, safe="") for name in [*above, "_apis", "git", "repositories", *below])
    return urlunsplit((parts.scheme, host, f"/{path}", "", ""))
