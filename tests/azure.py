"""The stand-ins of Azure for tests, and the environment in which the vendor's clients find them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from local.azure.embedded import EmbeddedAzure
from local.processes import ChildProcess, free_port, port_answers
from shared.adapters.identity import azure_credential
from shared.adapters.vault import KeyVault

ROOT = Path(__file__).resolve().parent.parent
BACKUP_ID, RESTORE_ID, STRANGER_ID = (f"{n:08}-0000-4000-8000-000000000000" for n in (1, 2, 3))
SECRETS = {"entra": "key-that-signs-the-tokens-of-tests", "identity": "header-of-tests", "control": "control-of-tests"}
FIRST = {"workspace": "dapi-first-of-tests", "git": "git-first-of-tests"}
ENVIRONMENT = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "REQUESTS_CA_BUNDLE")
QUICK: dict[str, Any] = {"retry_total": 1, "retry_backoff_factor": 0.001}


@dataclass
class Azure:
    """The running stand-ins."""

    embedded: EmbeddedAzure

    @property
    def vault_uri(self) -> str:
        return self.embedded.settings()["KEY_VAULT_URI"]

    def vault(self, client_id: str = BACKUP_ID) -> KeyVault:
        return KeyVault.connect(self.vault_uri, azure_credential(client_id), **QUICK)

    def identity(self, **switches: int) -> dict[str, int]:
        """Switch the endpoint; how often it was asked, by identity and resource."""
        url = f"http://127.0.0.1:{self.embedded.port}/control/identity"
        answer = requests.post(url, json=switches, headers=self._control, timeout=30)
        asked: dict[str, int] = answer.json()["asked"]
        return asked

    def user_token(self, resource: str, user: str = "ada@example.com") -> str:
        """What `az account get-access-token` prints."""
        url, body = f"http://127.0.0.1:{self.embedded.port}/control/user-token", {"resource": resource, "user": user}
        return str(requests.post(url, json=body, headers=self._control, timeout=30).json()["token"])

    def vault_control(self, **switches: Any) -> dict[str, Any]:
        """Switch the vault; what it holds."""
        bundle = str(self.embedded.certificate.bundle)
        url = f"{self.vault_uri}/control/vault"
        answer = requests.post(url, json=switches, headers=self._control, verify=bundle, timeout=30)
        found: dict[str, Any] = answer.json()
        return found

    @property
    def _control(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {SECRETS['control']}"}


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    """Two identities, and a vault with the first tokens of workspace and Git server."""
    given = {"AZURE_CLIENT_ID": BACKUP_ID, "BACKUP_RESTORE_CLIENT_ID": RESTORE_ID}
    given |= {"DATABRICKS_TOKEN_SECRET": "databricks-token", "GIT_TOKEN_SECRET": "git-token"}
    folder = tmp_path_factory.mktemp("azure")
    embedded = EmbeddedAzure(given, folder / "data", {**SECRETS, **FIRST}, free_port(), free_port())
    command = [sys.executable, "-m", "local.azure", *embedded.arguments()]
    environment = {"PYTHONPATH": str(ROOT), **embedded.environment()}
    process = ChildProcess("azure", command, folder / "azure.log", environment)
    process.wait_until(lambda: port_answers(embedded.port) and port_answers(embedded.vault_port))
    settings = embedded.settings()
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update({name: settings[name] for name in ENVIRONMENT})
    yield Azure(embedded)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    process.stop()
