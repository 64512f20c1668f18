"""People: the name, mail and team of whoever changed notebooks, from the mapping that an administrator gives."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

UNKNOWN_NAME = "unknown"
_MEMBERS = {"name", "team"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody; `mail` is None for who is not known, `team` for who is in none."""

    name: str
    mail: str | None = None
    team: str | None = None


UNKNOWN = Person(UNKNOWN_NAME)


@dataclass(frozen=True, slots=True)
class People:
    """Persons by their mail, whose case does not count, and by names that one of them alone has."""

    by_mail: Mapping[str, Person] = field(default_factory=dict)
    by_name: Mapping[str, Person] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> People:
        """Read `{"ada@example.com": {"name": "Ada", "team": "Sales"}}`, either member may be missing.

        Raises `ValueError`, which does not quote what is wrong: it holds personal data.
        """
        try:
            given = json.loads(text) if text.strip() else {}
        except ValueError:
            raise ValueError("must be JSON: an object of mail addresses") from None
        if not isinstance(given, dict):
            raise ValueError("must be a JSON object of mail addresses")
        found: dict[str, Person] = {}
        for number, (mail, members) in enumerate(given.items(), 1):
            person = _person(number, mail.strip(), members)
            if found.setdefault(_key(mail), person) is not person:
                raise ValueError(f"entry {number} repeats an address; case does not count")
        return cls(found, _by_name(found.values()))

    def of(self, author: str | None) -> Person:
        """Who an author is. One who is not in the mapping goes by their address, none at all by `unknown`.

        Whoever asked for a restore may be known by a name: it means the one person who has it in the mapping.
        """
        if not author or not author.strip():
            return UNKNOWN
        key = _key(author)
        return self.by_mail.get(key) or self.by_name.get(key) or Person(author.strip(), author.strip())


def _by_name(persons: Collection[Person]) -> dict[str, Person]:
    counts = Counter(_key(person.name) for person in persons)
    return {key: person for person in persons if counts[key := _key(person.name)] == 1}


def _person(number: int, mail: str, members: object) -> Person:
    if not mail:
        raise ValueError(f"entry {number} has no address")
    if not isinstance(members, dict) or members.keys() - _MEMBERS:
        raise ValueError(f"entry {number} must be an object with `name` and `team` alone")
    if not all(value is None or isinstance(value, str) for value in members.values()):
        raise ValueError(f"entry {number}: `name` and `team` must be texts")
    name, team = ((members.get(member) or "").strip() for member in ("name", "team"))
    return Person(name or mail, mail, team or None)


def _key(mail: str) -> str:
    return mail.strip().casefold()
