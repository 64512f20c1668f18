"""Settings, names and dates of credentials."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.memory.clock import ManualClock
from local.memory.vault import MemoryVault
from shared.adapters.devops_pats import pats_address
from shared.adapters.identity import GitAuthorization, VaultToken, renewed
from shared.domain.credentials import SecretVersion, comment_start, days_until
from shared.settings import Settings

BASE = {"databricks_host": "h", "git_remote_url": "https://dev.azure.com/o/p/_git/r", "storage": "x"}
VAULT = "https://v.vault.azure.net"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"git_token_secret": "git-token"}, "KEY_VAULT_URI"),
        ({"git_token_secret": "git/token", "key_vault_uri": VAULT}, "git_token_secret"),
        ({"key_vault_uri": "http://v.vault.azure.net"}, "https"),
        ({"pat_api_url": "http://vssps.dev.azure.com/o/_apis/tokens/pats"}, "https"),
        ({"token_days": 14}, "BACKUP_ROTATE_DAYS"),
        ({"secret_cache_seconds": 300}, "secret_cache_seconds"),
    ],
)
def test_settings_that_cannot_work_are_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match="validation error") as caught:
        Settings.model_validate({**BASE, **wrong})
    assert told.lower() in str(caught.value).lower()


def test_empty_settings_are_as_if_they_were_not_there() -> None:
    names = ("git_token_secret", "key_vault_uri", "pat_api_url", "databricks_token_secret")
    found = Settings.model_validate({**BASE, **dict.fromkeys(names, "")})
    assert not any(getattr(found, name) for name in names)


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://dev.azure.com/my%20org/p/_git/r", "https://vssps.dev.azure.com/my%20org/_apis/tokens/pats"),
        ("https://dev.azure.com/org/p/_git/r", "https://vssps.dev.azure.com/org/_apis/tokens/pats"),
        ("https://user@dev.azure.com/org/p/_git/r", "https://vssps.dev.azure.com/org/_apis/tokens/pats"),
        ("https://org.visualstudio.com/p/_git/r", "https://vssps.dev.azure.com/org/_apis/tokens/pats"),
        ("https://github.com/org/r", None),
        ("https://dev.azure.com.evil.example/org/p", None),
        ("https://dev.azure.com/", None),
    ],
)
def test_a_users_token_is_sent_to_azure_devops_alone(remote: str, address: str | None) -> None:
    assert pats_address(remote) == address


@given(seconds=st.integers(-(10**8), 10**8))
def test_days_are_whole_and_rounded_down(seconds: int) -> None:
    days = days_until(NOW + timedelta(seconds=seconds), NOW)
    assert days * 86_400 <= seconds < (days + 1) * 86_400


def test_a_comment_is_of_one_vault_and_secret() -> None:
    starts = {comment_start(v, s) for v in (VAULT, "https://w.vault.azure.net") for s in ("a", "b")}
    assert len(starts) == 4
    assert comment_start(VAULT, "a") == comment_start(f"{VAULT}/".upper().replace("HTTPS", "https"), "a")


def test_many_threads_that_are_refused_read_the_vault_once() -> None:
    class Counting(MemoryVault):
        reads = 0

        def current(self, name: str) -> SecretVersion:
            self.reads += 1
            return super().current(name)

    vault = Counting()
    vault.write("s", "the-first-token", None, {})
    tokens = VaultToken(vault, "s", ManualClock(), 60)
    authorization = GitAuthorization(tokens, basic=True)
    header = authorization()
    vault.write("s", "the-second-token", None, {})
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(renewed(authorization, header))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 16
    assert vault.reads == 2
    assert not renewed(authorization, authorization())
