"""Fixtures that every suite may use: real outside systems, started on demand."""

from __future__ import annotations

from tests.servers import azurite, serve

__all__ = ["azurite", "serve"]
