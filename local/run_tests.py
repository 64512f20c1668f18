"""`./test`: all the tests, or those named, through pytest."""

from __future__ import annotations

import os
import subprocess
import sys

from local.bootstrap import ROOT


def main() -> int:
    """Run pytest in the checkout; its exit code is ours."""
    arguments = sys.argv[1:] or ["-n", "2", "--dist", "loadgroup"]
    os.chdir(ROOT)
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
