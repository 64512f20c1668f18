"""Contents that cost most: what makes an expression go back, or a comparison pair all lines with all."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUARD_SECONDS = 60
"""Far more than bounded work takes on the slowest machine, and far less than unbounded work takes on the fastest."""

PIECES = (
    *("://a:", "://", "a:", ":b", "AKIA", "ASIA", "AccountKey=", "ghp_", "glrt-", "glrt-" + "a" * 21 + "é "),
    *("glagent-" * 6 + "a" * 1_030 + "é ", "gloas-", "glcbt-0f_", "eyJ", "eyJa.a ", "eyJ.", "//", "/:_authToken="),
    *("//a/:_authToken=", "sk-", "sk-" + "a" * 20 + "T3BlbkFJ", "pypi-AgEIcHlwaS5vcmc", "SG.", "xoxb-", "xoxb-1-"),
    *("1-", "sk_live_", "dapi", "dapi" + "0" * 31, "a" * 80 + "AZDO ", "aws", "awskey", "awspw", "'", "'awskey"),
    *("'" + "awspw" + "i" * 35, "'" + "pwaws" * 8, "BEGIN ", "hooks.slack", "https://hooks.slack.com/services/Ta/B"),
)


def secret_like(size: int) -> Iterator[str]:
    """Texts of so many characters that nearly hold what a token search looks for, alone and mixed."""
    draw = random.Random(7)
    for piece in PIECES:
        yield (piece * (size // len(piece) + 1))[:size]
    for pieces in (PIECES, ("aws", "key", "pw", "'"), ("AccountKey=", "a" * 7, "a" * 3, " "), ("ghp_", "a", "aa", " ")):
        count = size // (sum(map(len, pieces)) // len(pieces))
        yield "".join(draw.choices(pieces, k=count))


def for_lexers(size: int) -> Iterator[str]:
    """Texts of so many characters whose tokens each make a lexer read on to an end that is not there."""
    for line in ("." * 1_999, "." * 1_998 + " ", " " + "." * 1_998, "<" * 1_999, '"' + "<" * 1_998):
        yield f"{line}\n" * (size // 2_000)
    yield "\n" * size
    yield "# MAGIC %md\n" + "# MAGIC \n" * (size // 8)


def run_guarded(code: str) -> str:
    """What a program prints that is ended, and the test with it, where its work has no bound."""
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=GUARD_SECONDS, check=True)
    return found.stdout
