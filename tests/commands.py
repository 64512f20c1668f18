"""`./backup` beside a whole system, as its user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.lab import Lab

ROOT = Path(__file__).resolve().parent.parent


def command(lab: Lab, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    environment = {**os.environ, "BACKUP_DATA": str(lab.system.options.data), "COLUMNS": "200"}
    program = [sys.executable, "-m", "shared.cli", *arguments]
    result = subprocess.run(
        program, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    return result.returncode, result.stdout, result.stderr


def command_json(lab: Lab, *arguments: str, code: int | None = 0) -> Any:
    """What a command answers with `--json`; `code` is the exit code that it must have, None for any."""
    found, output, errors = command(lab, *arguments, "--json")
    assert code is None or found == code, (found, output[-2000:], errors[-2000:])
    return json.loads(output)
