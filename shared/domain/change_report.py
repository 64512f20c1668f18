"""The change report: what backups found changed in a period, by person, team, folder and kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.line_counts import LineCount
from shared.domain.people import Person
from shared.domain.report_period import Period
from shared.domain.versions import Version, VersionKind


class Omission(StrEnum):
    """Why the lines of a change are not counted."""

    LIMIT = "limit"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did to one notebook, and by whom. `committed_at` is Unix time in milliseconds.

    `before` is the version that it followed on. `lines` is None where they are not counted, `omitted` says why;
    `file` is the notebook's file in the repository, None where nobody needs it or it is not known.
    """

    version: Version
    before: Version | None
    commit: str
    committed_at: int
    person: Person
    file: str | None = None
    lines: LineCount | None = None
    omitted: Omission | None = None

    @property
    def sides(self) -> tuple[Version | None, Version | None]:
        """The contents to compare, None for an empty one; both None where no line changed.

        A notebook that moved is told with its content where it went.
        """
        kind = self.version.kind
        if kind is VersionKind.MOVED_AWAY:
            return None, None
        old, new = (self.version, None) if kind is VersionKind.DELETED else (self.before, self.version)
        return (None, None) if old and new and old.blob == new.blob else (old, new)


@dataclass(frozen=True, slots=True)
class Selection:
    """What a report is about: None is everything.

    `author` is a mail or a name, `team` a name, neither by case; `folder` is a path in the workspace.
    """

    author: str | None = None
    team: str | None = None
    folder: str | None = None

    def holds(self, version: Version, person: Person) -> bool:
        """Whether a version is among what is selected.

        A notebook that moved is told once, where it went, unless that is not in the folder that was asked for.
        """
        if not within(version.path, self.folder) or not self._by(person):
            return False
        moved_within = version.other_path is not None and within(version.other_path, self.folder)
        return not (version.kind is VersionKind.MOVED_AWAY and moved_within)

    def _by(self, person: Person) -> bool:
        if self.team is not None and _folded(person.team) != _folded(self.team):
            return False
        return self.author is None or _folded(self.author) in (_folded(person.mail), _folded(person.name))


@dataclass(frozen=True, slots=True)
class Tally:
    """Changes added up. `without_lines` of them are not in `lines`."""

    changes: int
    notebooks: int
    kinds: Mapping[VersionKind, int]
    lines: LineCount
    without_lines: int


@dataclass(frozen=True, slots=True)
class Group[Key]:
    """The changes of one person, team or folder."""

    key: Key
    tally: Tally


@dataclass(frozen=True, slots=True)
class ChangeReport:
    """Sums over all changes, the largest groups first; `changes` are listed, `left_out` more are only counted."""

    period: Period
    selection: Selection
    total: Tally
    people: tuple[Group[Person], ...]
    teams: tuple[Group[str | None], ...]
    folders: tuple[Group[str], ...]
    changes: tuple[Change, ...]
    left_out: int
    omitted: Mapping[Omission, int]


def change_report(
    changes: Iterable[Change], period: Period, selection: Selection, *, root: str, most_listed: int
) -> ChangeReport:
    """Add up changes, which are those of the period and selection, and list the first of them.

    Folders are those right below the selected one, or below `root`.
    """
    total, people, teams, folders = _Sum(), _Sums[Person](), _Sums[str | None](), _Sums[str]()
    listed: list[Change] = []
    omitted = Counter[Omission]()
    base = selection.folder or root
    for change in changes:
        sums = (
            total,
            people.of(change.person),
            teams.of(change.person.team),
            folders.of(folder_below(base, change.version.path)),
        )
        for found in sums:
            found.add(change)
        if change.omitted:
            omitted[change.omitted] += 1
        if len(listed) < most_listed:
            listed.append(change)
    return ChangeReport(
        period,
        selection,
        total.tally(),
        people.groups(lambda person: person.name),
        teams.groups(lambda team: team or ""),
        folders.groups(lambda folder: folder),
        tuple(listed),
        total.changes - len(listed),
        omitted,
    )


def within(path: str, folder: str | None) -> bool:
    """Whether a path lies in a folder, at any depth, or is it."""
    base = (folder or "").rstrip("/")
    return path == base or path.startswith(f"{base}/")


def folder_below(base: str, path: str) -> str:
    """The folder right below `base` that a notebook lies in; `base` where it lies there itself."""
    inside = path.removeprefix(base.rstrip("/")).lstrip("/")
    first, slash, _ = inside.partition("/")
    return f"{base.rstrip('/')}/{first}" if slash else base


def team_name(team: str | None) -> str:
    """What a team is called; who is in none has a line of their own."""
    return team or "no team"


class _Sum:
    """A tally that grows."""

    def __init__(self) -> None:
        self.changes = self._without_lines = 0
        self._paths: set[str] = set()
        self._kinds = Counter[VersionKind]()
        self._lines = LineCount()

    def add(self, change: Change) -> None:
        self.changes += 1
        self._paths.add(change.version.path)
        self._kinds[change.version.kind] += 1
        if change.lines is None:
            self._without_lines += 1
        else:
            self._lines += change.lines

    def tally(self) -> Tally:
        kinds = {kind: self._kinds[kind] for kind in VersionKind if self._kinds[kind]}
        return Tally(self.changes, len(self._paths), kinds, self._lines, self._without_lines)


class _Sums[Key]:
    """A sum for each key."""

    def __init__(self) -> None:
        self._sums: dict[Key, _Sum] = {}

    def of(self, key: Key) -> _Sum:
        return self._sums.setdefault(key, _Sum())

    def groups(self, name: Callable[[Key], str]) -> tuple[Group[Key], ...]:
        found = sorted(self._sums.items(), key=lambda item: (-item[1].changes, name(item[0])))
        return tuple(Group(key, total.tally()) for key, total in found)


def _folded(text: str | None) -> str | None:
    return text.strip().casefold() if text is not None else None
