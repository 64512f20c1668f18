"""Sets a checkout up on a fresh machine, then hands over to a module of it.

Runs on any Python 3.11 or newer and on the standard library alone. The app itself needs Python 3.13
(azure-functions 2.x does): an installed one is used, else `uv` fetches one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements-dev.txt"
UV_LOCK = ROOT / "requirements-uv.txt"


def main(module: str, arguments: list[str]) -> None:
    """Set up where needed, then run `module` with the checkout's own Python, replacing this process."""
    try:
        python = ensure_environment()
    except OSError as error:
        sys.exit(
            f"setting up failed: {error.filename or TOOLS}: {error.strerror}; make room, or let this user write there"
        )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(python, [str(python), "-m", module, *arguments], environment)  # noqa: S606 - signals reach the program itself


def ensure_environment() -> Path:
    """The Python of `.venv`, made or brought up to the pinned requirements first; safe to call at once twice."""
    return _ensure(VENV, LOCK)


def ensure_tool(name: str) -> Path:
    """The Python of a tool that needs other versions than the app: `requirements-NAME.txt`, in `.tools/NAME`."""
    return _ensure(TOOLS / name, ROOT / f"requirements-{name}.txt")


def _ensure(folder: Path, lock: Path) -> Path:
    python, stamp = folder / "bin" / "python", folder / ".requirements"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    with _one_at_a_time():
        if stamp.exists() and stamp.read_text() == wanted and python.exists():
            return python
        _say(f"setting up {folder.name}: Python 3.13 and the pinned packages (once, about a minute)")
        uv = ensure_uv()
        _run([*uv, "venv", "--quiet", "--clear", "--python", _find_python(), str(folder)])
        # Compiled once, not by each process that starts.
        options = ["--quiet", "--compile-bytecode", "--require-hashes"]
        _run([*uv, "pip", "sync", *options, "--python", str(python), str(lock)])
        stamp.write_text(wanted)
    return python


def _find_python() -> str:
    """An installed Python 3.13, or the version alone, which lets uv fetch one."""
    candidates = [sys.executable, shutil.which("python3.13") or ""]
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += [str(p) for p in sorted(home.glob("versions/3.13*/bin/python3.13"))]
    for candidate in filter(None, candidates):
        probe = "import sys; print('%d.%d' % sys.version_info[:2])"
        result = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if result.stdout.strip() == "3.13":
            return candidate
    return "3.13"


def ensure_uv() -> list[str]:
    """The command that is uv: an installed one, else the pinned one, fetched where it is missing."""
    found = shutil.which("uv")
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        return [found]
    target = TOOLS / "uv"
    if not (target / "bin" / "uv").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "--target", str(target), "-r", str(UV_LOCK)])
    return [str(target / "bin" / "uv")]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "setup.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> None:
    result = subprocess.run(command, check=False)
    if result.returncode != 0:
        sys.exit(
            f"setting up failed: {' '.join(command[:4])} ... ended with {result.returncode}; see its message above"
        )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
