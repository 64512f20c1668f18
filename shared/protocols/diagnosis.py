"""What the doctor asks beyond what the services need: the machine, git, the clock, and rights without an effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes that are free in the scratch folder, and the most memory that this process may take."""

    free_disk: int
    memory: int


class Probes(Protocol):
    """Each looks and changes nothing, and raises what its system raises."""

    def machine(self) -> Machine:
        """What this instance has."""
        ...

    def git_version(self) -> tuple[int, ...]:
        """The version of the git executable, and that it speaks HTTPS. Raises `RepositoryError`."""
        ...

    def try_push(self) -> None:
        """Ask the remote for a push of a branch, without pushing: `git push --dry-run`. Raises `RepositoryError`.

        Azure Repos refuses here for want of the right *Contribute*; a branch policy speaks up at a real push alone.
        """
        ...

    def identity(self) -> str:
        """Whom the workspace takes the backup for. Raises `WorkspaceError`."""
        ...

    def export_is_on(self) -> bool | None:
        """Whether the workspace's own setting lets notebooks be exported; None where only its admins may ask."""
        ...

    def seconds_ahead(self) -> float:
        """How far this machine's clock is ahead of the workspace's front end, to about a second."""
        ...

    def greet_mail_server(self) -> str:
        """Connect to the mail server and sign in, without a mail; what it is. Raises `OSError` and its kin."""
        ...

    def vault(self) -> str:
        """Read the names of the vault's secrets; its address. Raises what the vault's client raises."""
        ...

    def host_settings(self) -> dict[str, object]:
        """`host.json` as it was deployed."""
        ...
