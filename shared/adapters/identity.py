"""Tokens for the outside systems: a configured secret, or an Entra ID token that is fresh when asked for."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import SecretStr

from shared.redaction import remember

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

# Resource ids: Microsoft's own for Azure Databricks and for Azure DevOps.
DATABRICKS_SCOPE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"
AZURE_DEVOPS_SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"


def databricks_token(secret: SecretStr | None, credential: Callable[[], TokenCredential]) -> Callable[[], str]:
    """A source of bearer tokens for the workspace; azure-identity caches until shortly before expiry."""
    if secret is not None:
        return lambda: remember(secret.get_secret_value())
    return lambda: remember(credential().get_token(DATABRICKS_SCOPE).token)


def git_authorization(secret: SecretStr | None, credential: Callable[[], TokenCredential]) -> Callable[[], str]:
    """A source of `Authorization` header values: a configured token goes as basic, as Azure Repos takes a PAT."""
    if secret is not None:
        encoded = base64.b64encode(f":{remember(secret.get_secret_value())}".encode()).decode()
        return lambda: f"Basic {encoded}"
    return lambda: f"Bearer {remember(credential().get_token(AZURE_DEVOPS_SCOPE).token)}"
