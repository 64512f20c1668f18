"""What the Azure tools say when something is amiss, and what to do about it: `failures.toml`."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path

MOST_LINES = 8
MOST_LINE_CHARACTERS = 300
_TABLE = Path(__file__).with_suffix(".toml")


@functools.cache
def known_failures() -> tuple[tuple[re.Pattern[str], str], ...]:
    """What is looked for in a message, in order, and what to do about it."""
    rows = tomllib.loads(_TABLE.read_text())["failure"]
    return tuple((re.compile(row["says"], re.MULTILINE), row["do"]) for row in rows)


def remedy_for(said: str) -> str:
    """What to do about what a tool said, empty where it is none of the known failures. May hold `$placeholders`."""
    return next((remedy for pattern, remedy in known_failures() if pattern.search(said)), "")


def shortened(said: str) -> str:
    """A tool's message without traceback: its last lines, each cut to a readable length."""
    text = re.sub(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*", "", said)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    cut = [line if len(line) <= MOST_LINE_CHARACTERS else f"{line[:MOST_LINE_CHARACTERS]}..." for line in lines]
    left_out = [f"({len(cut) - MOST_LINES} lines before)"] if len(cut) > MOST_LINES else []
    return "\n        ".join([*left_out, *cut[-MOST_LINES:]])
