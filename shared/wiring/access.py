"""What opens the outside systems: a secret of the vault where one is named, a configured token, else an identity."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import SecretStr

from shared.adapters.databricks_tokens import DatabricksTokens
from shared.adapters.devops_pats import DevOpsTokens, pats_address
from shared.adapters.identity import (
    AZURE_DEVOPS_SCOPE,
    DATABRICKS_SCOPE,
    GitAuthorization,
    Tokens,
    VaultToken,
    azure_credential,
    entra_token,
    setting_token,
)
from shared.adapters.token_calls import TokenCalls
from shared.clock import Clock
from shared.protocols import TokenIssuer, Vault
from shared.settings import Settings
from shared.wiring.deferred import deferred

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

type Credential = Callable[[], TokenCredential]


def identity(client_id: str | None) -> Credential:
    """azure-identity's credential, made when first needed: a local run never asks for one."""
    return functools.lru_cache(maxsize=1)(lambda: azure_credential(client_id))


def connect_vault(settings: Settings, credential: Credential) -> Vault | None:
    """The vault, where one is named; nothing is contacted yet."""
    uri = settings.key_vault_uri
    return deferred(lambda: _vault(uri, credential)) if uri else None


def _vault(uri: str, credential: Credential) -> Vault:
    # Loaded with the first secret: it takes long.
    from shared.adapters.vault import KeyVault

    return KeyVault.connect(uri, credential())


class Access:
    """Sources of tokens, each one for all who use it: what one learns of a refusal, the others know."""

    def __init__(self, settings: Settings, credential: Credential, vault: Vault | None, clock: Clock) -> None:
        self._settings, self._vault, self._clock = settings, vault, clock
        s = settings
        self.workspace = self._tokens(s.databricks_token_secret, s.databricks_token, DATABRICKS_SCOPE, credential)
        git = self._git = self._tokens(s.git_token_secret, s.git_token, AZURE_DEVOPS_SCOPE, credential)
        self.repository = GitAuthorization(git, basic=bool(s.git_token_secret or s.git_token))

    def git_token(self) -> str | None:
        """The configured token for the repository, which Databricks is given as a credential; None by identity."""
        return self._git() if self._settings.git_token_secret or self._settings.git_token else None

    @property
    def restore(self) -> Tokens | None:
        """Tokens for the workspace of restores alone; None where they use the backup's."""
        s = self._settings
        if not (s.restore_client_id or s.databricks_restore_token_secret):
            return None
        return self._tokens(s.databricks_restore_token_secret, None, DATABRICKS_SCOPE, identity(s.restore_client_id))

    def databricks_issuer(self) -> TokenIssuer:
        """Who makes the workspace's tokens."""
        s = self._settings
        return DatabricksTokens(s.databricks_host, s.backup_root, TokenCalls("the workspace's token"))

    def git_issuer(self) -> TokenIssuer | None:
        """Who makes the repository's tokens; None for a server without an API of them."""
        api = self._settings.pat_api_url or pats_address(self._settings.git_remote_url)
        calls = TokenCalls("the repository's token")
        return DevOpsTokens(api, self._settings.git_remote_url, self._clock, calls) if api else None

    def _tokens(self, secret: str | None, setting: SecretStr | None, scope: str, credential: Credential) -> Tokens:
        if secret and self._vault is not None:
            return VaultToken(self._vault, secret, self._clock, self._settings.secret_cache_seconds)
        return setting_token(setting) if setting is not None else entra_token(scope, credential)
