"""What nobody expected is told in a line, and not as a traceback."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from shared.cli.terminal import say

ROOT = Path(__file__).resolve().parent.parent.parent


class TellingGroup(TyperGroup):
    """Commands that end with 3 and a line where an error is none of those that they know."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises what the command line itself is made to end with."""
        try:
            return super().invoke(ctx)
        except (TyperException, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever read has gone, as `head` does
            say(_told(error), "red")
            raise typer.Exit(3) from None


def _told(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(ROOT / "shared")]
    place = f" ({Path(frames[-1].filename).relative_to(ROOT)}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, OSError):
        return f"{error.filename or 'This machine'}: {error.strerror or error}{place}."
    if isinstance(error, KeyError | TypeError | AttributeError | IndexError):
        said = f"The app's answer is not of the form that this command line knows: {type(error).__name__} {error}"
        return f"{said}{place}. App and command line may be of different versions: use those of one checkout."
    return f"Unexpected: {type(error).__name__}: {error}{place}. Please report it with this line."
