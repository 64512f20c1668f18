"""`python -m shared.cli`."""

from __future__ import annotations

from shared.cli import app

if __name__ == "__main__":
    app(prog_name="backup")
