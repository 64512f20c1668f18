"""What of Azure is embedded: decided by the settings that name an identity or a secret, and none of their systems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.azure.tls import OwnCertificate

SECRET_SETTINGS = {
    "DATABRICKS_TOKEN_SECRET": "workspace",
    "DATABRICKS_RESTORE_TOKEN_SECRET": "workspace",
    "GIT_TOKEN_SECRET": "git",
}
"""Settings that name a secret of the vault, and which of the embedded systems' tokens it begins with."""
TRUSTED = "REQUESTS_CA_BUNDLE"
"""What the vendor's clients trust the vault's own certificate by."""
CLIENT_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


@dataclass(frozen=True, slots=True)
class EmbeddedAzure:
    """How the stand-ins are started, and what the app's settings are then."""

    given: Mapping[str, str]
    data: Path
    secrets: Mapping[str, str] = field(repr=False)
    port: int = 0
    vault_port: int = 0

    @staticmethod
    def is_wanted(given: Mapping[str, str]) -> bool:
        """Whether the settings name an identity without its endpoint, or a secret without its vault."""
        identity = given.get("AZURE_CLIENT_ID") and not given.get("IDENTITY_ENDPOINT")
        return bool(identity or (not given.get("KEY_VAULT_URI") and any(map(given.get, SECRET_SETTINGS))))

    @property
    def client_ids(self) -> list[str]:
        """The identities that the app has."""
        names = ("AZURE_CLIENT_ID", "BACKUP_RESTORE_CLIENT_ID")
        return [self.given.get(names[0]) or CLIENT_ID, *(self.given[n] for n in names[1:] if self.given.get(n))]

    @property
    def certificate(self) -> OwnCertificate:
        """The HTTPS servers' own."""
        return OwnCertificate(self.data)

    def arguments(self) -> list[str]:
        """Of `local.azure`."""
        identities = [part for client_id in self.client_ids for part in ("--identity", client_id)]
        return [str(self.port), str(self.vault_port), str(self.data), *identities]

    def environment(self) -> dict[str, str]:
        """What `local.azure` is told in secret."""
        seed = {
            self.given[name]: self.secrets[token] for name, token in SECRET_SETTINGS.items() if self.given.get(name)
        }
        return {
            "ENTRA_KEY": self.secrets["entra"],
            "IDENTITY_HEADER": self.secrets["identity"],
            "AZURE_CONTROL_TOKEN": self.secrets["control"],
            "VAULT_SEED": json.dumps(seed),
        }

    def settings(self) -> dict[str, str]:
        """The app's settings, as Azure sets them."""
        return {
            "AZURE_CLIENT_ID": self.client_ids[0],
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{self.port}/msi/token",
            "IDENTITY_HEADER": self.secrets["identity"],
            "KEY_VAULT_URI": f"https://127.0.0.1:{self.vault_port}",
            TRUSTED: str(self.certificate.bundle),
        }

    def known_to_workspace(self) -> dict[str, str]:
        """How the simulated workspace knows the identities: where restores have their own, the backup's only reads."""
        backup, *restore = self.client_ids
        roles = {backup: "read" if restore else "write", **dict.fromkeys(restore, "write")}
        return {"ENTRA_KEY": self.secrets["entra"], "WORKSPACE_IDENTITIES": json.dumps(roles)}

    def known_to_git(self) -> dict[str, str]:
        """How the Git server knows them."""
        return {"ENTRA_KEY": self.secrets["entra"]}

    @property
    def opens_workspace(self) -> bool:
        """Whether the app needs no token of the workspace in its settings."""
        return bool(self.given.get("AZURE_CLIENT_ID") or self.given.get("DATABRICKS_TOKEN_SECRET"))

    @property
    def opens_git(self) -> bool:
        """The same of the Git server."""
        return bool(self.given.get("AZURE_CLIENT_ID") or self.given.get("GIT_TOKEN_SECRET"))
