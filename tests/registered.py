"""The functions that the app registers: an app tells them once in a process."""

from __future__ import annotations

import functools
from typing import Any

import function_app


@functools.cache
def functions() -> list[Any]:
    """Every function of the app."""
    return list(function_app.app.get_functions())
