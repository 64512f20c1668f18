"""What keeps a package from being made."""

from __future__ import annotations


class PackagingFailed(Exception):
    """The package was not made; the message says why, and what to do."""
