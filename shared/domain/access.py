"""Who may do what: rights, the roles that grant them, and a caller as the platform's sign-in names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """What a route needs. `PUBLIC` needs nobody to be signed in."""

    PUBLIC = "public"
    READ = "read"
    RESTORE = "restore"
    AUDIT = "audit"
    OPERATE = "operate"


class Pace(StrEnum):
    """How much of the app a request takes, and so how often one person may send it.

    `READ` rows that are kept for it. `COSTLY` a content of Git or the workspace, a difference, a search, a report or
    a plan. `CHANGE` whatever is done.
    """

    READ = "read"
    COSTLY = "costly"
    CHANGE = "change"


class Role(StrEnum):
    """The app roles of the app registration, by their values in a token."""

    READER = "Backup.Reader"
    RESTORER = "Backup.Restorer"
    AUDITOR = "Backup.Auditor"
    OPERATOR = "Backup.Operator"


GRANTS: Mapping[Role, frozenset[Right]] = {
    Role.READER: frozenset({Right.READ}),
    Role.RESTORER: frozenset({Right.READ, Right.RESTORE}),
    Role.AUDITOR: frozenset({Right.READ, Right.AUDIT}),
    Role.OPERATOR: frozenset({Right.READ, Right.RESTORE, Right.AUDIT, Right.OPERATE}),
}
"""The matrix. Whoever audits what people did cannot write to the workspace: that is `Backup.Restorer`'s."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who is signed in, or a program.

    `name` is what records show; `subject` tells apart two of one name, and stays when somebody is renamed.
    `roles` and `groups` are as the token has them: values of app roles, and object ids of groups.
    `trusted` is whoever reaches an app that has no sign-in, on one's own machine: nothing is refused to them.
    """

    name: str
    subject: str
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    trusted: bool = False

    def may(self, right: Right) -> bool:
        """Whether one of the caller's roles grants a right. A role that is not known grants nothing."""
        if right is Right.PUBLIC or self.trusted:
            return True
        return any(right in granted for role, granted in GRANTS.items() if role in self.roles)

    @property
    def limited(self) -> bool:
        """Whether limits to folders hold for this caller: they do, unless they operate the backup itself."""
        return not self.trusted and Role.OPERATOR not in self.roles


ON_THIS_MACHINE = Caller("function key", "function key", trusted=True)
"""Whoever holds the function key of an app without sign-in."""
ANONYMOUS = Caller("anonymous", "anonymous")
"""Nobody who is known: has no role, so that nothing but what is public is open."""
