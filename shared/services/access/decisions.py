"""Admission: who a request is from, whether it may do what it asks for, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.access import ANONYMOUS, GRANTS, ON_THIS_MACHINE, Caller, Pace, Right
from shared.domain.folder_scopes import FolderMap, Scope
from shared.domain.principal import HEADER, MalformedPrincipal, caller_of
from shared.errors import BackupError
from shared.services.access.request_rate import RequestRate


class SignInOff(BackupError):
    """Nobody is let in while this app has no sign-in: switch on App Service Authentication (docs/administrator.md)."""

    code = "sign_in_off"
    retriable = True


class NotSignedIn(BackupError):
    """Nobody is signed in. Sign in with Microsoft Entra ID; a program sends its token as `Authorization: Bearer`."""

    code = "not_signed_in"


class PrincipalNotBelieved(BackupError):
    """The header X-MS-CLIENT-PRINCIPAL is not believed: {reason}. Leave it out: the platform sends its own."""

    code = "principal_not_believed"


class RoleMissing(BackupError):
    """{name} has no role that allows this. Ask an administrator for one of: {roles}."""

    code = "role_missing"


class OutsideFolders(BackupError):
    """{path} is outside the folders that {name} may {act}. Ask an administrator to add it to {setting}."""

    code = "outside_folders"


class TooManyRequests(BackupError):
    """Too many requests from {name}. Wait {seconds} seconds, then go on more slowly."""

    code = "too_many_requests"


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people are known. `guarded`: the platform signs them in, and strips its header from what comes in.

    `required`: the app runs in Azure, or is told to want it, so that without a guard everybody is kept out.
    `hosts` are names that the app is reached by, beside the one that a request itself names.
    """

    guarded: bool
    required: bool
    in_azure: bool = False
    hosts: tuple[str, ...] = ()


class AccessService:
    """Says who asks, and what they may reach. `restore_folders` and `read_folders` limit people by their groups."""

    def __init__(self, sign_in: SignIn, rate: RequestRate, restore_folders: FolderMap, read_folders: FolderMap) -> None:
        self.sign_in, self._rate = sign_in, rate
        self._restore, self._read = restore_folders, read_folders

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who a request is from; `ANONYMOUS` where nobody is signed in. Raises `PrincipalNotBelieved`."""
        given = headers.get(HEADER)
        if not self.sign_in.guarded:
            if given is not None:
                raise PrincipalNotBelieved(reason="no platform guards it here")
            return ANONYMOUS if self.sign_in.required else ON_THIS_MACHINE
        if given is None:
            return ANONYMOUS
        try:
            return caller_of(given)
        except MalformedPrincipal as error:
            raise PrincipalNotBelieved(reason=str(error)) from None

    def admit(self, caller: Caller, right: Right) -> None:
        """Raises `SignInOff`, `NotSignedIn`, `RoleMissing` unless the caller has the right."""
        if right is Right.PUBLIC:
            return
        if self.sign_in.required and not self.sign_in.guarded:
            raise SignInOff
        if caller == ANONYMOUS:
            raise NotSignedIn
        if not caller.may(right):
            raise RoleMissing(name=caller.name, roles=", ".join(roles_with(right)))

    def slow_down(self, key: str, name: str, pace: Pace) -> None:
        """Count a request of a caller. Raises `TooManyRequests` where there were too many."""
        seconds = self._rate.wait(key, pace)
        if seconds:
            raise TooManyRequests(name=name, seconds=seconds)

    def restorable(self, caller: Caller) -> Scope:
        """The folders that a caller may restore in, and to."""
        return self._restore.scope_of(caller)

    def readable(self, caller: Caller) -> Scope:
        """The folders whose notebooks a caller may see."""
        return self._read.scope_of(caller)


def roles_with(right: Right) -> list[str]:
    """The roles that grant a right."""
    return [role.value for role, granted in GRANTS.items() if right in granted]
