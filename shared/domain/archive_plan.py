"""What to do when the repository nears the size that Azure advises: when, why, and step by step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from shared.domain.capacity import Level, Outlook

LEAD_DAYS = 60
"""So long before the advised size is reached a cut is planned: it needs a date that people agree on."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do."""

    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """`due` is the day by which the cut should be made, None where nothing has to be planned."""

    needed: bool
    due: date | None
    why: str
    steps: tuple[Step, ...]


_WHY = {
    Level.OK: "The repository is far from the advised size: nothing has to be done. These are the steps for later.",
    Level.WATCH: "The advised size comes near within a year: clear outputs and split large notebooks now.",
    Level.WARNING: "The advised size is near: agree on a date for the cut.",
    Level.CRITICAL: "The advised size is reached, or nearly. Backups go on; clones by people become slow.",
}


def archive_plan(level: Level, outlooks: tuple[Outlook, ...], full_copy: int, today: date) -> ArchivePlan:
    """The plan at a level; `full_copy` is what all notebooks take once, in bytes, before compression.

    The cut is due `LEAD_DAYS` before the earliest of the outlooks reaches the advised size.
    """
    reached = min((o.reached_on for o in outlooks if o.reached_on), default=None)
    needed = level in (Level.WARNING, Level.CRITICAL)
    due = max(today, reached - timedelta(LEAD_DAYS)) if reached and level is not Level.OK else None
    return ArchivePlan(needed, due, _WHY[level], _steps(today.year, full_copy))


def _steps(year: int, full_copy: int) -> tuple[Step, ...]:
    return (
        Step(
            "Make it smaller first",
            "Look at the largest notebooks and the fastest growers: outputs that are cleared and data that moves out "
            "of a notebook slow the growth. What is in the history already stays in it.",
        ),
        Step(
            "Agree on a day, and let the last run and a verification pass",
            "`./backup sync`, then `./backup verify`: the archive is then known to be whole. Stop the timer by the app "
            "setting `AzureWebJobs.daily_backup.Disabled`, and ask people not to restore meanwhile.",
        ),
        Step(
            "Keep the whole history as an archive",
            f"On the Git server rename the repository, for instance to `notebooks-until-{year}`, and deny Contribute "
            "on it to everybody, the backup's identity too. Nothing in it is changed or deleted.",
        ),
        Step(
            "Start a new, empty repository under the old name",
            "Grant the backup's identity Contribute, Create branch and Create tag. The settings stay as they are.",
        ),
        Step(
            "Back up once",
            "Start the timer again, and run `./backup sync`: every notebook is written anew, which takes at most "
            f"{full_copy / 2**30:.1f} GB before compression. The run names `history_lost`: that is the cut.",
        ),
        Step(
            "Know what changes for people",
            "Versions from before the cut are still listed. What the new repository does not hold of them is read "
            "from the archive: with plain Git, or by an app whose `GIT_REMOTE_URL` is the archive's address.",
        ),
    )
