"""Bytecode beside each source: a deployed package is mounted read-only, so each start would compile it anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.packaging.errors import PackagingFailed

MOUNTED_AT = "/home/site/wwwroot"
"""Where the platform mounts a package: the path that tracebacks show."""


def compile_package(folder: Path) -> None:
    """Compile every module in `folder`. The bytecode is used without a look at its source's date: it has none."""
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", MOUNTED_AT, str(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode != 0:
        raise PackagingFailed(f"a module does not compile:\n{result.stdout}{result.stderr}")
