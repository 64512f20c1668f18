"""The git that the app runs, and whom it trusts."""

from __future__ import annotations

from pathlib import Path

import certifi

from shared.adapters.git_program import FindGit, PortableGit, system_git
from shared.settings import RemoteSettings

PACKAGED = Path(__file__).resolve().parent.parent.parent / "portable_git"
"""Where a deployment package carries its git."""


def find_git(settings: RemoteSettings, packaged: Path = PACKAGED) -> FindGit:
    """The git that a setting names, else the package's own, else the one on PATH.

    The package's own trusts the public authorities that certifi lists: it knows nothing of the machine's.
    """
    if settings.git_executable or not packaged.is_dir():
        return system_git(settings.git_executable or "git", settings.git_ca_file)
    return PortableGit(packaged, settings.scratch, settings.git_ca_file or Path(certifi.where()))
