"""The set-up guide shows every command that the set-up runs, with what it prints."""

from __future__ import annotations

import re
from pathlib import Path

from shared.cli.setup.answers import QUESTIONS
from shared.cli.setup.engine import execute
from shared.cli.setup.sign_in import ROLES
from shared.cli.setup.steps import steps
from shared.cli.setup.walk import Asked, Walk

GUIDE = (Path(__file__).resolve().parent.parent.parent / "docs" / "azure-setup.md").read_text()
FOLDER = Path("/home/you/notebook-backup")


def walked() -> str:
    """What `./backup setup --dry-run --warehouse ...` shows."""
    told: list[str] = []
    walk = Walk(FOLDER / ".local" / "setup", FOLDER, told.append, lambda _: False, execute)
    walk.go(Asked("backup", {"warehouse": "<warehouse>"}, dry_run=True))
    return "\n".join(told)


def test_the_guide_shows_what_a_dry_run_shows() -> None:
    shown = GUIDE.partition("<!-- commands -->\n```\n")[2].partition("\n```\n<!-- end of commands -->")[0]
    assert shown == walked()


def test_the_steps_that_the_guide_leaves_to_others_are_there() -> None:
    known = {step.id for step in steps({"warehouse": "x", "plan": "flexConsumption"})}
    assert set(re.findall(r"--leave ([a-z][a-z-]*)", GUIDE)) <= known


def test_every_question_and_role_and_step_is_in_the_guide() -> None:
    flags = [f"`--{question.name.replace('_', '-')}`" for question in QUESTIONS]
    assert [flag for flag in flags if flag not in GUIDE] == []
    assert [role for role in ROLES if f"`{role}`" not in GUIDE] == []
    assert len(steps({"warehouse": "x"})) >= 20
