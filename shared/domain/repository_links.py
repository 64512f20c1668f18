"""Addresses of commits and differences on the repository's own site, made of its remote's address."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit


class Site(StrEnum):
    """Sites whose addresses are known."""

    AZURE_DEVOPS = "azure_devops"
    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True, slots=True)
class RepositoryLinks:
    """Links into one repository. `base` is its address on the site, without credentials; None links nowhere."""

    site: Site | None = None
    base: str | None = None

    @classmethod
    def of(cls, remote: str) -> RepositoryLinks:
        """Links for a remote's address; none for a host that is not known."""
        try:
            parts = urlsplit(remote.strip())
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return cls()
        site = _site(host, parts.path)
        if site is None or parts.scheme not in ("https", "http"):
            return cls()
        path = parts.path.rstrip("/")
        # Azure DevOps lets a repository's own name end in `.git`; the other two add it to the address of a clone.
        path = path if site is Site.AZURE_DEVOPS else path.removesuffix(".git")
        return cls(site, f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}")

    def commit(self, commit: str) -> str | None:
        """The page of a commit."""
        if self.base is None:
            return None
        return f"{self.base}{'/-' if self.site is Site.GITLAB else ''}/commit/{commit}"

    def difference(self, commit: str, file: str | None) -> str | None:
        """The page of what a commit changed in a file; None where the file or the site is not known."""
        page = self.commit(commit)
        if page is None or file is None:
            return None
        raw = file.encode("utf-8", "surrogatepass")
        if self.site is Site.GITHUB:
            return f"{page}#diff-{hashlib.sha256(raw).hexdigest()}"
        if self.site is Site.GITLAB:
            return f"{page}#{hashlib.sha1(raw, usedforsecurity=False).hexdigest()}"
        return f"{page}?path=/{quote(raw, safe='/')}"


def _site(host: str, path: str) -> Site | None:
    if host == "dev.azure.com" or host.endswith(".visualstudio.com"):
        return Site.AZURE_DEVOPS if "/_git/" in path else None
    if host == "github.com" or host.startswith("github.") or host.endswith(".ghe.com"):
        return Site.GITHUB
    return Site.GITLAB if host == "gitlab.com" or host.startswith("gitlab.") else None
