"""Fixtures that every suite may use: real outside systems, started on demand."""

from __future__ import annotations

from hypothesis import settings

from tests.packages import deployed, namespaces, package
from tests.servers import azurite, serve

__all__ = ["azurite", "deployed", "namespaces", "package", "serve"]

# How long an example takes says more of the machine than of the code: speed belongs in bench/.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
