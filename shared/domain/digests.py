"""Digests: change reports that people subscribe to, and the periods that they are about."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shared.domain.change_report import Selection
from shared.domain.report_period import Period

_MAIL = re.compile(r"[!-~]+@[!-~]+")
_ABOUT = ("author", "team", "folder")
_MEMBERS = {"to", "schedule", *_ABOUT}


class Schedule(StrEnum):
    """How often a digest is sent."""

    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A digest for `to`, a mail address."""

    to: str
    selection: Selection
    schedule: Schedule

    def period(self, now: datetime, hour: int) -> Period:
        """The last day, or week from Monday on, that is over: it ends at `hour` in UTC, whenever `now` is after it."""
        end = now.astimezone(UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
        end -= timedelta(days=1) if end > now else timedelta()
        if self.schedule is Schedule.DAILY:
            return Period(end - timedelta(days=1), end)
        end -= timedelta(days=end.weekday())
        return Period(end - timedelta(weeks=1), end)

    def key(self, period: Period) -> str:
        """Names the digest of one period: whatever was sent under it is not sent again. It holds no address."""
        about = json.dumps([self.to.casefold(), self.selection.author, self.selection.team, self.selection.folder])
        return f"digest-{self.schedule}-{period.end:%Y-%m-%d}-{hashlib.sha256(about.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Digests:
    """Every subscription."""

    subscriptions: tuple[Subscription, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Digests:
        """Read `[{"to": "lead@example.com", "team": "Sales", "schedule": "daily"}]`.

        Raises `ValueError`, which names the entry and does not quote it: it holds personal data.
        """
        try:
            given = json.loads(text) if text.strip() else []
        except ValueError:
            raise ValueError("must be JSON: a list of subscriptions") from None
        if not isinstance(given, list):
            raise ValueError("must be a JSON list of subscriptions")
        return cls(tuple(_subscription(number, entry) for number, entry in enumerate(given, 1)))


def _subscription(number: int, entry: object) -> Subscription:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise ValueError(f"entry {number} must be an object of texts")
    about = {name: entry[name].strip() for name in _ABOUT if entry.get(name, "").strip()}
    if entry.keys() - _MEMBERS or len(about) != 1:
        raise ValueError(f"entry {number} must have `to`, `schedule`, and one of `team`, `author` and `folder`")
    if not _MAIL.fullmatch(entry.get("to", "")):
        raise ValueError(f"entry {number}: `to` must be a mail address")
    if entry.get("schedule") not in tuple(Schedule):
        raise ValueError(f"entry {number}: `schedule` must be daily or weekly")
    if not about.get("folder", "/").startswith("/"):
        raise ValueError(f"entry {number}: `folder` must be an absolute workspace folder such as /Clients/acme")
    return Subscription(entry["to"], Selection(**about), Schedule(entry["schedule"]))
