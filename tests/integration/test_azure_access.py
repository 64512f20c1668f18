"""The vendor's own clients for identity, vault and storage, over HTTPS, and what their tokens open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound as SdkNotFound

from local.azure.entra import DATABRICKS
from local.azurite import Azurite
from local.memory.clock import ManualClock
from shared.adapters.databricks_tokens import DatabricksTokens
from shared.adapters.devops_pats import DevOpsTokens
from shared.adapters.identity import (
    AZURE_DEVOPS_SCOPE,
    DATABRICKS_SCOPE,
    GitAuthorization,
    IdentityUnavailable,
    Tokens,
    VaultToken,
    azure_credential,
    entra_token,
)
from shared.adapters.limiter import AdaptiveLimiter
from shared.adapters.repository import GitRepository
from shared.adapters.storage import StorageClients
from shared.adapters.token_calls import TokenCalls
from shared.adapters.workspace import DatabricksWorkspace
from shared.clock import SystemClock
from shared.domain.notebooks import ExportFormat, Language
from shared.errors import PermissionDenied, RepositoryError, VaultRefused, VaultUnavailable
from shared.settings import Settings
from shared.wiring.outside import connect
from tests.azure import BACKUP_ID, FIRST, RESTORE_ID, SECRETS, STRANGER_ID, Azure, azure
from tests.servers import Serve, Served

__all__ = ["azure"]
SECRET, LONG, SHORT = "databricks-token", 86_400, 200
MINUTE = 60
pytestmark = pytest.mark.xdist_group("azure")


@pytest.fixture
def workspace(serve: Serve, azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Served:
    """It knows both identities: the backup's only reads."""
    for name, value in azure.embedded.known_to_workspace().items():
        monkeypatch.setenv(name, value)
    return serve("local.workspace", "--notebooks", "12", "--folders", "2")


def _workspace(served: Served, tokens: Tokens) -> DatabricksWorkspace:
    clock = SystemClock()
    return DatabricksWorkspace(served.url, tokens, AdaptiveLimiter(clock, start_per_second=1000), clock)


def _identity(client_id: str, scope: str = DATABRICKS_SCOPE) -> Tokens:
    credential = azure_credential(client_id)
    return entra_token(scope, lambda: credential)


def test_a_token_is_kept_until_shortly_before_its_end(azure: Azure) -> None:
    tokens, name = _identity(BACKUP_ID), f"{BACKUP_ID} {DATABRICKS}"
    before = azure.identity(lifetime_seconds=LONG).get(name, 0)
    first = tokens()
    assert (tokens(), tokens()) == (first, first)
    assert azure.identity()[name] == before + 1
    short = _identity(BACKUP_ID)
    azure.identity(lifetime_seconds=SHORT)
    assert len({short(), short(), short()}) == 3, "less than five minutes are left: a new one each time"
    azure.identity(lifetime_seconds=LONG)


def test_an_identity_that_the_app_does_not_have_is_told(azure: Azure) -> None:
    with pytest.raises(IdentityUnavailable, match="AZURE_CLIENT_ID") as caught:
        _identity(STRANGER_ID)()
    assert "Unable to load the proper Managed Identity" in str(caught.value)


def test_without_a_client_id_the_chain_finds_the_endpoint(azure: Azure, workspace: Served) -> None:
    credential = azure_credential(None)
    assert _workspace(workspace, entra_token(DATABRICKS_SCOPE, lambda: credential)).list("/Clients")


def test_the_identity_reads_the_workspace_and_only_the_restores_own_writes(azure: Azure, workspace: Served) -> None:
    backup, restore = (_workspace(workspace, _identity(i)) for i in (BACKUP_ID, RESTORE_ID))
    assert [o.path for o in backup.list("/Clients")] == [o.path for o in restore.list("/Clients")]
    new = ("/Clients/written", b"# Databricks notebook source\n", Language.PYTHON, ExportFormat.SOURCE)
    with pytest.raises(PermissionDenied, match="Edit"):
        backup.import_notebook(*new)
    restore.import_notebook(*new)
    assert backup.export("/Clients/written", ExportFormat.SOURCE) == new[1]
    with pytest.raises(PermissionDenied):
        _workspace(workspace, _identity(BACKUP_ID, AZURE_DEVOPS_SCOPE)).list("/Clients")


@pytest.fixture
def storage(azure: Azure, tmp_path: Path) -> Iterator[StorageClients]:
    """An account that is opened by identity, over HTTPS."""
    with Azurite(tmp_path / "azurite", own=azure.embedded.certificate) as running:
        uris = [running.identity_settings[f"AzureWebJobsStorage__{n}ServiceUri"] for n in ("blob", "queue", "table")]
        assert all(uri.startswith("https://") for uri in uris)
        yield StorageClients.from_identity(*uris, lambda: azure_credential(BACKUP_ID))


def test_the_identity_opens_blobs_queues_and_tables(storage: StorageClients) -> None:
    blobs, queues, tables = storage.blobs("backup"), storage.queues(), storage.tables()
    blobs.put("a", b"bytes")
    assert blobs.get("a") == b"bytes"
    queues.send("queue-of-tests", "text")
    assert queues.length("queue-of-tests") == 1
    tables.insert("rows", "p", "k", {"a": 1})
    found = tables.get("rows", "p", "k")
    assert found is not None
    assert found.row["a"] == 1


def test_git_is_opened_by_the_identity_and_by_no_other_token(
    azure: Azure, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTRA_KEY", SECRETS["entra"])
    served = serve("local.git_server")
    url = f"{served.url}/notebooks.git"
    right = GitAuthorization(_identity(BACKUP_ID, AZURE_DEVOPS_SCOPE), basic=False)
    assert GitRepository(url, "main", tmp_path / "right", right).fetch() is None
    wrong = GitAuthorization(_identity(BACKUP_ID, DATABRICKS_SCOPE), basic=False)
    with pytest.raises(RepositoryError):
        GitRepository(url, "main", tmp_path / "wrong", wrong).fetch()


def test_a_workspace_token_that_was_rotated_is_read_again_where_it_is_refused(azure: Azure, serve: Serve) -> None:
    served = serve("local.workspace", "--notebooks", "12", "--folders", "2")
    issuer, vault, name = DatabricksTokens(served.url, "/Clients", TokenCalls("x")), azure.vault(), "rotated-databricks"
    first = issuer.create("token-of-tests", "first", 1)
    vault.write(name, first.value, first.expires_at, {})
    clock = ManualClock()
    tokens = VaultToken(vault, name, clock, MINUTE)
    adapter = _workspace(served, tokens)
    listed = adapter.list("/Clients")
    second = issuer.create("token-of-tests", "second", 1)
    vault.write(name, second.value, second.expires_at, {})
    assert tokens() == first.value, "within a minute it is not read again"
    issuer.revoke("token-of-tests", first.id)
    assert adapter.list("/Clients") == listed
    assert tokens() == second.value
    issuer.revoke("token-of-tests", second.id)
    calls = azure.vault_control()["calls"]
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        adapter.list("/Clients")
    assert azure.vault_control()["calls"] == calls + 1, "it is read again once, not for ever"


def test_a_git_token_that_was_rotated_is_read_again_where_it_is_refused(
    azure: Azure, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTRA_KEY", SECRETS["entra"])
    served = serve("local.git_server")
    url, api = f"{served.url}/notebooks.git", f"{served.url}/organisation/_apis/tokens/pats"
    issuer, user = DevOpsTokens(api, url, SystemClock(), TokenCalls("x")), azure.user_token(AZURE_DEVOPS_SCOPE[:36])
    vault, name = azure.vault(), "rotated-git"
    first = issuer.create(user, "first", 1)
    vault.write(name, first.value, first.expires_at, {})
    tokens = VaultToken(vault, name, ManualClock(), MINUTE)
    repository = GitRepository(url, "main", tmp_path / "mirror", GitAuthorization(tokens, basic=True))
    assert repository.fetch() is None
    second = issuer.create(user, "second", 1)
    vault.write(name, second.value, second.expires_at, {})
    issuer.revoke(user, first.id)
    assert repository.fetch() is None
    assert tokens() == second.value
    issuer.revoke(user, second.id)
    with pytest.raises(RepositoryError):
        repository.fetch()


def test_while_the_vault_is_away_the_last_known_value_is_used(azure: Azure) -> None:
    clock = ManualClock()
    tokens = VaultToken(azure.vault(), SECRET, clock, MINUTE)
    assert tokens() == FIRST["workspace"]
    azure.vault_control(fails_with=503)
    try:
        clock.sleep(MINUTE)
        assert tokens() == FIRST["workspace"]
        with pytest.raises(VaultUnavailable, match="503"):
            VaultToken(azure.vault(), SECRET, clock, MINUTE)()
    finally:
        azure.vault_control(fails_with=0)


def test_what_an_identity_may_not_do_is_named(azure: Azure) -> None:
    azure.vault_control(roles={RESTORE_ID: "reader"})
    try:
        reader = azure.vault(RESTORE_ID)
        assert reader.read(SECRET).value == FIRST["workspace"]
        with pytest.raises(VaultRefused, match=r"ForbiddenByRbac.*Officer"):
            reader.write(SECRET, "x", None, {})
        azure.vault_control(roles={RESTORE_ID: ""})
        with pytest.raises(VaultRefused, match="Secrets User"):
            reader.read(SECRET)
    finally:
        azure.vault_control(roles={RESTORE_ID: "officer"})


def test_the_vendors_sdk_knows_the_simulated_tokens(serve: Serve) -> None:
    served = serve("local.workspace", "--notebooks", "5")
    client = WorkspaceClient(host=served.url, token="token-of-tests")
    made = client.tokens.create(comment="by the SDK", lifetime_seconds=3600)
    assert made.token_info is not None
    assert made.token_info.token_id is not None
    assert {t.comment for t in client.tokens.list()} == {"made by hand", "by the SDK"}
    assert WorkspaceClient(host=served.url, token=made.token_value).current_user.me().user_name
    client.tokens.delete(made.token_info.token_id)
    with pytest.raises(SdkNotFound):
        client.tokens.delete(made.token_info.token_id)


def test_what_the_settings_name_is_connected_without_a_call(
    azure: Azure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uris = {f"storage_{n}_uri": f"https://a.{n}.core.windows.net" for n in ("blob", "queue", "table")}
    given: dict[str, Any] = {
        "databricks_host": "https://adb-1.azuredatabricks.net",
        "git_remote_url": "https://dev.azure.com/o/p/_git/r",
        "identity_client_id": BACKUP_ID,
        "restore_client_id": RESTORE_ID,
        "scratch": tmp_path,
        **uris,
    }
    asked = azure.identity()
    found = connect(Settings.model_validate(given))
    assert found.restoring is not None
    assert (found.vault, found.git_tokens is None) == (None, False)
    assert azure.identity() == asked
    with pytest.raises(ValueError, match="KEY_VAULT_URI"):
        Settings.model_validate({**given, "git_token_secret": "git-token"})
