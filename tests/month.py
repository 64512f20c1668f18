"""Days of twelve people on a whole real system: its app, its Git server, its storage; only the clock is put forward."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from local.lab import Lab, git
from shared.cli import Client
from shared.domain.versions import VersionKind
from tests.people_at_work import TWELVE, Counts, PeopleAtWork
from tests.signed_in import principal

NIGHT_HOUR = 2
MORNING_HOURS = 12
"""People work after the morning, which comes so long after the backup, and have stopped by midnight."""
LATE_SECONDS = 13 * 3_600
LATE_EVERY, LATE_DAY = 3, 3
"""Every third day every third row of the audit table comes late: after the night, before the morning."""
MOST_SECONDS, LOOK_SECONDS = 120.0, 0.3
UNKNOWN, COMMITTER = "unknown", "Notebook Backup"
type Commits = Counter[str]


@dataclass(frozen=True)
class Day:
    """One day: changes in truth, how many had their author at night, and whether each report was the truth.

    `at_night` is None where rows were late: then the report could not be whole yet. `wrong` are changes that were
    told of somebody who did not make them, at any time: path, kind, who was told, and who it was.
    """

    date: str
    changes: int
    restores: int
    known_at_night: int
    wrong: tuple[tuple[str, str, str, str | None], ...]
    at_night: bool | None
    in_the_morning: bool
    run_seconds: float


class SignedInLab(Lab):
    """A system that has the settings of `signed_in.IN_AZURE`, asked as its front end hands requests on."""

    @property
    def client(self) -> Client:
        """The app's HTTP API, as an operator."""
        found = super().client
        found._session.headers.update(principal("Backup.Operator", name="operator@example.com"))
        return found


@dataclass
class Month:
    """A system that people work in; `commits` is who must have committed, so far."""

    lab: SignedInLab
    draw: random.Random
    days: list[Day] = field(default_factory=list)
    commits: Commits = field(default_factory=Counter)
    heads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.people = PeopleAtWork(self.draw, self._apply, self._paths, self.lab.system.clock.advance)
        self._edited: list[str] = []
        self._restored: set[tuple[str, str]] = set()

    def begin(self) -> None:
        """The first backup, of what nobody is known for."""
        self._until_night()
        self._back_up()
        self.commits[UNKNOWN] += 1

    def live(self, acts: int) -> Day:
        """A day, its night, and its morning."""
        late = len(self.days) % LATE_DAY == LATE_DAY - 1
        self.lab.control(
            "behaviour", {"audit_late_seconds": LATE_SECONDS if late else 0, "audit_late_every": LATE_EVERY}
        )
        self.people.day(acts)
        restores = self._restore()
        self._edited = [p for (p, kind) in self.people.truth if kind == VersionKind.CHANGED]
        self._until_night()
        run = self._back_up()
        date = self.lab.system.clock.now().strftime("%Y-%m-%d")
        told = self._report(date)
        self._count_commits(told, late=late)
        known = [c for c in told["changes"] if c["person"] != UNKNOWN]
        first = _counts(told) == self.people.counts()
        self.lab.system.clock.advance(MORNING_HOURS * 3_600)
        morning = self._morning(date)
        day = Day(
            date,
            len(self.people.truth),
            restores,
            len(known),
            tuple(self._told(c) for c in (*known, *morning["changes"]) if self._is_wrong(c)),
            None if late else first,
            _counts(morning) == self.people.counts(),
            run["seconds"],
        )
        self.days.append(day)
        return day

    def shortlog(self) -> Commits:
        """Who committed how often, as Git tells; the backup itself does where a sibling makes a file change names."""
        rows = git(self.lab.clone(), "shortlog", "-sn", "main").splitlines()
        found = Counter({name: int(count) for count, name in (row.strip().split("\t") for row in rows)})
        del found[COMMITTER]
        return found

    def _apply(self, op: str, user: str, /, **fields: str) -> None:
        self.lab.edit({"action": op, **fields}, user=user)

    def _paths(self) -> list[str]:
        return [path for path, _ in self.lab.truth()]

    def _restore(self) -> int:
        """Somebody puts back what was edited the day before, to what it was before that."""
        self._restored = set()
        living = set(self._paths())
        free = [p for p in self._edited if p in living and p not in self.people.touched]
        if len(self.heads) < 2 or not free:
            return 0
        who, path = self.draw.choice(TWELVE), free[0]
        body = {"paths": [path], "at": self.heads[-2]}
        signed_in = principal("Backup.Restorer", name=who)
        done = self.lab.client.call("POST", "restores", json=body, headers=signed_in)
        if done["status"] != "succeeded":
            raise AssertionError(f"the restore of {path} is {done['status']}: {done['items']}")
        self.people.did(who, path, VersionKind.CHANGED)
        self._restored = {(path, who)}
        return 1

    def _until_night(self) -> None:
        now = self.lab.system.clock.now()
        night = (now + timedelta(days=1)).replace(hour=NIGHT_HOUR, minute=30)
        self.lab.system.clock.advance((night - now).total_seconds())

    def _back_up(self) -> dict[str, Any]:
        run = self.lab.back_up()
        if run["status"] != "succeeded":
            raise AssertionError(f"the run is {run['status']}: {run['failures']} {run['error']}")
        self.heads.append(str(run["commit"]))
        return run

    def _report(self, date: str) -> dict[str, Any]:
        return self.lab.client.call("GET", "reports/changes", params={"from": date, "to": date})

    def _morning(self, date: str) -> dict[str, Any]:
        """The report once a verification has looked again for authors."""
        proof = self.lab.client.call("POST", "verifications")["id"]
        deadline = time.monotonic() + MOST_SECONDS
        while (found := self.lab.client.call("GET", f"verifications/{proof}"))["status"] == "queued":
            if time.monotonic() > deadline:
                break
            time.sleep(LOOK_SECONDS)
        if found["status"] != "passed":
            raise AssertionError(f"the verification is {found['status']}: {found}")
        # Authors are looked for right after it.
        told = self._report(date)
        while any(c["person"] == UNKNOWN for c in told["changes"]) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            told = self._report(date)
        return told

    def _count_commits(self, told: dict[str, Any], *, late: bool) -> None:
        """One commit a person, and one for what they restored; of a late day, of those who were known at night."""
        if late:
            self.commits.update(who for who, _ in {(c["person"], bool(c["restore"])) for c in told["changes"]})
            return
        restored = {path for path, _ in self._restored}
        by_hand = {who for (path, _), who in self.people.truth.items() if path not in restored}
        self.commits.update([*by_hand, *{who for _, who in self._restored}])

    def _told(self, change: dict[str, Any]) -> tuple[str, str, str, str | None]:
        path, kind = change["path"], change["kind"]
        return path, kind, change["person"], self.people.truth.get((path, kind))

    def _is_wrong(self, change: dict[str, Any]) -> bool:
        who = self.people.truth.get((change["path"], change["kind"]))
        return change["person"] != who or bool(change["restore"]) != ((change["path"], who) in self._restored)


def _counts(told: dict[str, Any]) -> Counts:
    """What a report says, by person and kind, from its sums."""
    return Counter({(p["name"], kind): count for p in told["people"] for kind, count in p["kinds"].items()})
