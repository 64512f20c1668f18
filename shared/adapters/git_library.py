"""GitPython, loaded when git is first needed: it takes long, and much of the app never asks for git."""

from __future__ import annotations

import functools
import os
from typing import Any


@functools.lru_cache(maxsize=1)
def gitpython() -> Any:
    """The module `git`. The program that it runs is named to it later, so that it may find none while it is loaded."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import git

    return git
