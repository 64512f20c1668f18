"""A vault in memory."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.domain.credentials import SecretVersion, VersionInfo, version_in_use
from shared.errors import SecretMissing

_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryVault:
    """See `shared.protocols.Vault`. `stored` holds the versions of a secret by name, the newest last."""

    stored: dict[str, list[SecretVersion]] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)

    def read(self, name: str, version: str = "") -> SecretVersion:
        """See `Vault.read`."""
        versions = [v for v in self.stored.get(name, ()) if not version or v.version == version]
        if not versions or versions[-1].version in self.disabled:
            raise SecretMissing(name=name)
        return versions[-1]

    def current(self, name: str) -> SecretVersion:
        """See `Vault.current`."""
        newest = self.read(name)
        if newest.stands_aside_for is None:
            return newest
        listed = [
            VersionInfo(v.version, _AT + timedelta(seconds=n), v.version not in self.disabled, v.tags)
            for n, v in enumerate(self.stored[name])
        ]
        found = version_in_use(listed, newest.stands_aside_for)
        if found is None:
            raise SecretMissing(name=name)
        return self.read(name, found)

    def write(self, name: str, value: str, expires_at: datetime | None, tags: Mapping[str, str]) -> str:
        """See `Vault.write`."""
        made = SecretVersion(name, uuid.uuid4().hex, value, expires_at, dict(tags))
        self.stored.setdefault(name, []).append(made)
        return made.version

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """See `Vault.tag`."""
        self.stored[name] = [
            replace(v, tags=dict(tags)) if v.version == version else v for v in self.stored.get(name, ())
        ]

    def disable(self, name: str, version: str) -> None:  # noqa: ARG002 - versions are unique here
        """See `Vault.disable`."""
        self.disabled.add(version)

    def dates(self) -> dict[str, datetime]:
        """See `Vault.dates`."""
        newest = (versions[-1] for versions in self.stored.values())
        return {v.name: v.expires_at for v in newest if v.expires_at and v.version not in self.disabled}
